"""Chat Completions' requests, read."""

from __future__ import annotations

from typing import Any

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    CacheMark,
    Chat,
    Format,
    Media,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    sealed,
)
from routeiq.providers.translate.codec import decode_request
from routeiq.providers.translate.media import split_url, type_of
from routeiq.providers.translate.openai import wire


def read_request(body: bytes) -> Chat:
    """A request of `/v1/chat/completions`. Raises `BadRequest`."""
    request: wire.Request = decode_request(wire.request_decoder, body)
    options = request.stream_options
    return Chat(
        model=request.model,
        messages=_messages(request.messages),
        tools=_tools(request),
        tool_choice=_tool_choice(request),
        parallel_tool_calls=request.parallel_tool_calls,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        stop=[request.stop] if isinstance(request.stop, str) else request.stop or [],
        seed=request.seed,
        n=request.n,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        logit_bias=request.logit_bias,
        format=_format(request.response_format),
        reasoning=_reasoning(request),
        verbosity=request.verbosity,
        user=request.user or request.safety_identifier or "",
        metadata=request.metadata,
        service_tier=request.service_tier or "",
        modalities=request.modalities or [],
        audio=request.audio,
        prediction=request.prediction,
        web_search=request.web_search_options,
        prompt_cache_key=request.prompt_cache_key or "",
        safety=request.safety_settings,
        store=request.store,
        stream=bool(request.stream),
        include_usage=options is not None and bool(options.include_usage),
        extra=wire.extra_of(body),
    )


def _messages(messages: list[wire.Message]) -> list[Message]:
    if not messages:
        raise BadRequest("'messages' must hold at least one message.", param="messages", code="invalid_value")
    out = []
    pending: list[str] = []
    """Ids made for legacy function calls, whose results have none."""
    for index, message in enumerate(messages):
        param = f"messages[{index}]"
        if message.role == "tool" or message.role == "function":
            out.append(Message(role="tool", content=[_result(message, pending, param)]))
        elif message.role == "assistant":
            out.append(Message(role="assistant", content=_assistant(message, pending), name=message.name or ""))
        else:
            blocks = _blocks(message.content, f"{param}.content")
            if message.cache_control is not None and blocks:
                _mark(blocks[-1], message.cache_control.mark())
            out.append(Message(role=message.role, content=blocks, name=message.name or ""))
    return out


def _assistant(message: wire.Message, pending: list[str]) -> list[Block]:
    blocks: list[Block] = [
        Thinking(text=thought.thinking, signature=_proof(thought.signature or ""), redacted=_proof(thought.data))
        for thought in message.thinking_blocks or ()
    ]
    thought = message.reasoning_content or message.reasoning
    if not blocks and isinstance(thought, str) and thought:
        blocks.append(Thinking(text=thought))
    blocks += _blocks(message.content, "content")
    if message.refusal:
        blocks.append(Refusal(text=message.refusal))
    if message.audio is not None:
        blocks.append(Media(kind="audio", file_id=message.audio.id))
    for call in message.tool_calls or ():
        signature = ""
        if call.extra_content is not None and call.extra_content.google is not None:
            signature = sealed("gemini", call.extra_content.google.thought_signature)
        cache = call.cache_control.mark() if call.cache_control is not None else None
        if call.custom is not None:
            blocks.append(
                ToolCall(id=call.id, name=call.custom.name, arguments=call.custom.input, custom=True, cache=cache)
            )
        elif call.function is not None:
            function = call.function
            blocks.append(
                ToolCall(id=call.id, name=function.name, arguments=function.arguments, signature=signature, cache=cache)
            )
    if message.function_call is not None:
        pending.append(f"call_{len(pending)}_{message.function_call.name}")
        blocks.append(
            ToolCall(id=pending[-1], name=message.function_call.name, arguments=message.function_call.arguments)
        )
    if message.cache_control is not None and blocks:
        _mark(blocks[-1], message.cache_control.mark())
    return blocks


def _proof(value: str) -> str:
    """Sealed ones are as they left us; plain ones are Anthropic's, as LiteLLM hands them out."""
    return value if "#" in value else sealed("anthropic", value)


def _result(message: wire.Message, pending: list[str], param: str) -> ToolResult:
    ident = message.tool_call_id or ""
    if not ident and message.role == "function" and pending:
        ident = pending[-1]
    if not ident:
        raise BadRequest(
            "A tool message needs the tool_call_id it answers.",
            param=f"{param}.tool_call_id",
            code="missing_required_parameter",
        )
    blocks = _blocks(message.content, f"{param}.content")
    cache = message.cache_control.mark() if message.cache_control is not None else None
    return ToolResult(
        id=ident,
        name=message.name or "",
        content=[block for block in blocks if isinstance(block, (Text, Media))],
        cache=cache,
    )


def _mark(block: Block, mark: CacheMark) -> None:
    if isinstance(block, (Text, Media, ToolCall, ToolResult)):
        block.cache = mark


def _blocks(content: str | list[wire.Part] | None, param: str) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    return [_part(part, f"{param}[{index}]") for index, part in enumerate(content)]


def _part(part: wire.Part, param: str) -> Block:
    kind = part.type
    cache = part.cache_control.mark() if part.cache_control is not None else None
    if kind == "text" and part.text is not None:
        return Text(text=part.text, cache=cache)
    if kind == "image_url" and part.image_url is not None:
        image = part.image_url if isinstance(part.image_url, wire.ImageUrl) else wire.ImageUrl(part.image_url)
        media_type, data = split_url(image.url, f"{param}.image_url")
        return Media(
            kind="image",
            media_type=media_type or image.format or type_of(image.url),
            data=data,
            url="" if data else image.url,
            detail=image.detail or "",
            cache=cache,
        )
    if kind == "input_audio" and part.input_audio is not None:
        sound = part.input_audio
        media_type, data = split_url(sound.data, f"{param}.input_audio")
        return Media(
            kind="audio", media_type=media_type or f"audio/{sound.format}", data=data or sound.data, cache=cache
        )
    if kind == "video_url" and part.video_url is not None:
        url = part.video_url if isinstance(part.video_url, str) else part.video_url.url
        media_type, data = split_url(url, f"{param}.video_url")
        return Media(
            kind="video", media_type=media_type or type_of(url), data=data, url="" if data else url, cache=cache
        )
    if kind == "file" and part.file is not None:
        return _file(part.file, cache, param)
    if kind == "refusal" and part.refusal is not None:
        return Refusal(text=part.refusal)
    raise BadRequest(
        f"'{kind[:50]}' is no content part with what it needs: text, image_url, input_audio, video_url, file, refusal.",
        param=param,
        code="invalid_value",
    )


def _file(file: wire.File, cache: CacheMark | None, param: str) -> Media:
    name = file.filename or ""
    if file.file_id is not None and file.file_data is None:
        # Others' clients put a URL where OpenAI has the id of an upload: LiteLLM does so for Gemini and Bedrock.
        remote = file.file_id.startswith(("https://", "http://", "gs://", "s3://"))
        media_type = file.format or type_of(file.file_id)
        return Media(
            kind=_kind(media_type),
            media_type=media_type,
            url=file.file_id if remote else "",
            file_id="" if remote else file.file_id,
            name=name,
            cache=cache,
        )
    media_type, data = split_url(file.file_data or "", f"{param}.file.file_data")
    if not data:
        raise BadRequest(
            "A file needs a file_id, or file_data as a data URL.", param=f"{param}.file", code="invalid_value"
        )
    return Media(kind=_kind(media_type), media_type=media_type, data=data, name=name, cache=cache)


def _kind(media_type: str) -> Any:
    family = media_type.partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def _tools(request: wire.Request) -> list[Tool]:
    out = []
    for index, tool in enumerate(request.tools or ()):
        if tool.function is not None:
            cache = tool.cache_control or tool.function.cache_control
            out.append(_function(tool.function, cache))
        elif tool.custom is not None:
            custom = tool.custom
            out.append(Tool(name=custom.name, description=custom.description or "", custom=True, native=custom.format))
        else:
            raise BadRequest(
                f"A tool of type '{tool.type[:50]}' needs its definition under '{tool.type[:50]}'; "
                "Chat Completions has function and custom tools.",
                param=f"tools[{index}]",
                code="invalid_value",
            )
    return out + [_function(function, function.cache_control) for function in request.functions or ()]


def _function(function: wire.FunctionDef, cache: wire.CacheControl | None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters,
        strict=function.strict,
        cache=cache.mark() if cache is not None else None,
    )


def _tool_choice(request: wire.Request) -> ToolChoice | None:
    choice = request.tool_choice
    if choice is None:
        legacy = request.function_call
        if isinstance(legacy, wire.Named):
            return ToolChoice(mode="tool", names=(legacy.name,))
        choice = legacy
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice in ("auto", "none", "required"):
            return ToolChoice(mode=choice)  # type: ignore[arg-type]
        if choice == "any":
            return ToolChoice(mode="required")
        raise BadRequest(
            "'tool_choice' must be auto, none, required, or name a tool.", param="tool_choice", code="invalid_value"
        )
    if choice.allowed_tools is not None:
        allowed = choice.allowed_tools
        names = tuple(named.name for tool in allowed.tools if (named := tool.function or tool.custom) is not None)
        return ToolChoice(mode=allowed.mode, names=names)
    named = choice.function or choice.custom
    if named is None:
        raise BadRequest("'tool_choice' names no tool.", param="tool_choice", code="invalid_value")
    return ToolChoice(mode="tool", names=(named.name,))


def _format(wanted: wire.ResponseFormat | None) -> Format | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Format()
    if wanted.type == "json_schema" and wanted.json_schema is not None and wanted.json_schema.schema is not None:
        schema = wanted.json_schema
        return Format(
            schema=schema.schema, name=schema.name, description=schema.description or "", strict=schema.strict
        )
    raise BadRequest(
        "'response_format' must be of type text, json_object, or json_schema with its schema.",
        param="response_format",
        code="invalid_value",
    )


def _reasoning(request: wire.Request) -> Reasoning | None:
    thinking = request.thinking
    if thinking is not None:
        if thinking.type == "disabled":
            return Reasoning(effort="none", budget=0)
        return Reasoning(
            effort=request.reasoning_effort,
            budget=thinking.budget_tokens,
            adaptive=thinking.type == "adaptive",
            hidden=thinking.display == "omitted",
        )
    return Reasoning(effort=request.reasoning_effort) if request.reasoning_effort is not None else None
