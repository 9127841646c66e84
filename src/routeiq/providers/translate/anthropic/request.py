"""Messages' requests, read."""

from __future__ import annotations

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.anthropic import wire
from routeiq.providers.translate.anthropic.citations import read_citation
from routeiq.providers.translate.anthropic.proof import read_call_proof, read_proof
from routeiq.providers.translate.chat import (
    Block,
    Chat,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.codec import decode_request
from routeiq.providers.translate.media import meant


def read_request(body: bytes, *, counting: bool = False) -> Chat:
    """A request of `/v1/messages`, or with `counting` of `/v1/messages/count_tokens`. Raises `BadRequest`."""
    request: wire.Request = decode_request(wire.request_decoder, body)
    if request.max_tokens is None and not counting:
        raise BadRequest("max_tokens: Field required", param="max_tokens", code="missing_required_parameter")
    others = wire.others_of(body)
    betas = others.pop("betas", None)
    choice = request.tool_choice
    messages = [Message(role="system", content=_blocks(request.system, "system"))] if request.system else []
    messages += [_message(message, index) for index, message in enumerate(request.messages)]
    if request.cache_control is not None and messages:
        _mark_last(messages[-1], request.cache_control)
    return Chat(
        model=request.model,
        messages=messages,
        tools=[_tool(raw, index) for index, raw in enumerate(request.tools or ())],
        tool_choice=_choice(choice) if choice is not None else None,
        parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop=request.stop_sequences or [],
        format=_format(request),
        reasoning=_reasoning(request),
        user=(request.metadata.user_id or "") if request.metadata is not None else "",
        service_tier=request.service_tier or "",
        stream=bool(request.stream),
        include_usage=True,
        betas=tuple(betas) if isinstance(betas, list) else (),
        extra={name: value for name, value in others.items() if name not in wire.HINTS},
        hints=(*(name for name in others if name in wire.HINTS), *wire.tool_hints(request.tools or ())),
    )


def _message(message: wire.Message, index: int) -> Message:
    role: Role = message.role
    return Message(role=role, content=_blocks(message.content, f"messages.{index}.content"))


def _mark_last(message: Message, control: wire.CacheControl) -> None:
    """The request's own mark stands for one on its last block."""
    last = message.content[-1] if message.content else None
    if isinstance(last, (Text, Media, ToolCall, ToolResult)) and last.cache is None:
        last.cache = control.mark()


def _blocks(content: str | list[msgspec.Raw] | None, param: str) -> list[Block]:
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    out: list[Block] = []
    proof: str | None = None
    for index, raw in enumerate(content or ()):
        block = _block(raw, f"{param}.{index}")
        if isinstance(block, ToolCall) and proof is not None:
            block.signature, proof = proof, None
        if isinstance(block, Thinking) and not block.text:
            proof = read_call_proof(block.signature)
            if proof is not None:
                continue
        out.append(block)
    return out


def _block(raw: msgspec.Raw, param: str) -> Block:
    try:
        block = wire.decode_block(raw)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{param}: {error}", param=param, code="invalid_type") from None
    cache = block.cache_control.mark() if block.cache_control is not None else None
    kind = block.type
    if kind == "text":
        cited = block.citations if isinstance(block.citations, list) else []
        return Text(text=block.text, cache=cache, citations=[read_citation(citation) for citation in cited])
    if kind == "tool_use":
        return ToolCall(id=block.id, name=block.name, arguments=bytes(block.input).decode(), cache=cache)
    if kind == "tool_result":
        return ToolResult(
            id=block.tool_use_id, content=_result(block.content, param), failed=bool(block.is_error), cache=cache
        )
    if kind == "thinking":
        return Thinking(text=block.thinking, signature=read_proof(block.signature))
    if kind == "redacted_thinking":
        return Thinking(redacted=read_proof(block.data))
    if kind in ("image", "document") and block.source is not None:
        media = _media(block, block.source, param)
        if media is not None:
            media.cache = cache
            return media
    return Native(dialect="anthropic", value=msgspec.json.decode(raw))


def _media(block: wire.Block, source: wire.Source, param: str) -> Media | None:
    media = Media(
        kind="image" if block.type == "image" else "document",
        media_type=meant(source.media_type),
        name=block.title or "",
        context=block.context or "",
        cited=isinstance(block.citations, wire.Cited) and block.citations.enabled,
    )
    if source.type == "base64":
        media.data = source.data
    elif source.type == "url":
        media.url = source.url
    elif source.type == "file":
        media.file_id = source.file_id
    elif source.type == "text":
        media.text = source.data
    elif source.type == "content":
        return None
    else:
        raise BadRequest(
            f"{param}.source.type: '{source.type[:50]}' is not base64, url, file, text or content",
            param=f"{param}.source.type",
            code="invalid_value",
        )
    return media


def _result(raw: msgspec.Raw, param: str) -> list[Text | Media]:
    try:
        content = wire.decode_result(raw)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{param}.content: {error}", param=f"{param}.content", code="invalid_type") from None
    out: list[Text | Media] = []
    for block in _blocks(content, f"{param}.content"):
        if isinstance(block, (Text, Media)):
            out.append(block)
        elif isinstance(block, Native):  # a search result, a reference to a tool: what it says is better than nothing
            out.append(Text(text=msgspec.json.encode(block.value).decode()))
    return out


def _tool(raw: msgspec.Raw, index: int) -> Tool:
    try:
        tool = wire.tool_decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise BadRequest(f"tools.{index}: {error}", param=f"tools.{index}", code="invalid_type") from None
    cache = tool.cache_control.mark() if tool.cache_control is not None else None
    if tool.type not in (None, "custom"):
        native = msgspec.json.decode(raw)
        return Tool(name=tool.name or str(tool.type), dialect="anthropic", native=native, cache=cache)
    if not tool.name:
        raise BadRequest(
            f"tools.{index}.name: Field required", param=f"tools.{index}.name", code="missing_required_parameter"
        )
    return Tool(
        name=tool.name,
        description=tool.description or "",
        parameters=tool.input_schema,
        strict=tool.strict,
        cache=cache,
    )


def _choice(choice: wire.ToolChoice) -> ToolChoice:
    if choice.type == "tool":
        return ToolChoice(mode="tool", names=(choice.name,))
    return ToolChoice(mode="required" if choice.type == "any" else choice.type)


def _format(request: wire.Request) -> Format | None:
    wanted = request.output_config.format if request.output_config is not None else None
    wanted = wanted or request.output_format
    if wanted is None or wanted.schema is None:
        return None
    return Format(schema=wanted.schema, strict=True)


def _reasoning(request: wire.Request) -> Reasoning | None:
    thinking = request.thinking
    effort = request.output_config.effort if request.output_config is not None else None
    if thinking is None:
        return Reasoning(effort=effort) if effort is not None else None
    if thinking.type == "disabled":
        return Reasoning(effort="none", budget=0)
    return Reasoning(
        effort=effort,
        budget=thinking.budget_tokens,
        adaptive=thinking.type in ("adaptive", "between_tools"),
        hidden=thinking.display == "omitted",
    )
