"""A client's `generateContent` request, read.

https://ai.google.dev/api/generate-content#request-body
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    Chat,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.gemini import wire
from routeiq.providers.translate.gemini.proof import read_proof
from routeiq.providers.translate.gemini.schema import to_json_schema
from routeiq.providers.translate.gemini.thinking import EFFORTS
from routeiq.providers.translate.media import kind_of, meant, type_of

_OWN_CONFIG = (
    "media_resolution",
    "image_config",
    "audio_timestamp",
    "routing_config",
    "model_selection_config",
    "enable_enhanced_civic_answers",
)
"""Members of `generationConfig` no other dialect has."""
_OWN = ("cached_content", "model_armor_config")
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_MEDIUM": "auto", "MEDIA_RESOLUTION_HIGH": "high"}
_NATIVE = ("executable_code", "code_execution_result", "tool_call", "tool_response")
_encode = msgspec.json.Encoder().encode


def chat_of(request: wire.Request) -> Chat:
    """The request in neutral words; whether to stream stands in the path. Raises `BadRequest`."""
    config = request.generation_config or wire.GenerationConfig()
    chat = Chat(
        model=(request.model or "").removeprefix("models/"),
        messages=_messages(request),
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=None if config.top_k is None else int(config.top_k),
        stop=config.stop_sequences or [],
        seed=config.seed,
        n=config.candidate_count,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
        reasoning=_reasoning(config.thinking_config),
        metadata=dict(request.labels) if request.labels else None,
        service_tier=(request.service_tier or "").lower(),
        modalities=[name.lower() for name in config.response_modalities or ()],
        safety=request.safety_settings,
        store=request.store,
        include_usage=True,
        extra={
            wire.camel(name): value
            for source, names in ((config, _OWN_CONFIG), (request, _OWN))
            for name in names
            if (value := getattr(source, name)) is not None
        },
    )
    _tools(request, chat)
    _format(config, chat)
    _voice(config.speech_config, chat)
    return chat


def _messages(request: wire.Request) -> list[Message]:
    contents = request.contents
    listed = contents if isinstance(contents, list) else [contents] if contents is not None else []
    if not listed:
        raise BadRequest(
            "'contents' must hold at least one content.", param="contents", code="missing_required_parameter"
        )
    calls = _Calls()
    out = []
    system = request.system_instruction
    if system is not None:
        words: list[Block] = [Text(text=part.text) for part in system.all_parts() if part.text]
        if words:
            out.append(Message(role="system", content=words))
    for index, content in enumerate(listed):
        param = f"contents[{index}]"
        if content.role not in (None, "", "user", "model", "function", "tool"):
            raise BadRequest("A content's role is 'user' or 'model'.", param=f"{param}.role", code="invalid_value")
        blocks: list[Block] = []
        for at, part in enumerate(content.all_parts()):
            _part(part, calls, blocks, f"{param}.parts[{at}]")
        if content.role == "model":
            out.append(Message(role="assistant", content=blocks))
        elif blocks and all(isinstance(block, ToolResult) for block in blocks):
            out.append(Message(role="tool", content=blocks))
        else:
            out.append(Message(role="user", content=blocks))
    return out


class _Calls:
    """Which call a result answers: by id, or, for both may come without, by name and order."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        """(id, name) of calls not answered yet."""
        self._made = 0

    def called(self, call: wire.FunctionCall) -> str:
        """The id of a call, its own or a new one."""
        ident = call.id
        if not ident:
            self._made += 1
            ident = f"call_{self._made}"
        self._open.append((ident, call.name or ""))
        return ident

    def answered(self, answer: wire.FunctionResponse) -> str:
        """The id of the call that this answers; an own one where nothing was called."""
        found = next((pair for pair in self._open if answer.id and pair[0] == answer.id), None)
        if found is None and not answer.id:
            found = next((pair for pair in self._open if pair[1] == answer.name), None)
        if found is not None:
            self._open.remove(found)
            return found[0]
        if answer.id:
            return answer.id
        self._made += 1
        return f"call_{self._made}"


def _part(part: wire.Part, calls: _Calls, blocks: list[Block], param: str) -> None:
    proof = read_proof(part.thought_signature)
    if part.function_call is not None:
        call = part.function_call
        if not call.name:
            raise BadRequest("A functionCall needs a name.", param=f"{param}.functionCall.name", code="invalid_value")
        if not call.arguments.startswith("{"):
            raise BadRequest(
                "The args of a functionCall are an object.", param=f"{param}.functionCall.args", code="invalid_type"
            )
        blocks.append(
            ToolCall(id=calls.called(call), name=call.name, arguments=call.arguments, signature=proof.signature)
        )
        return
    if part.thought:
        if part.text or proof != ("", ""):
            blocks.append(Thinking(text=part.text or "", signature=proof.signature, redacted=proof.redacted))
        return
    if part.function_response is not None:
        blocks.append(_result(part.function_response, calls, param))
    elif part.text is not None:
        if part.text:
            blocks.append(Text(text=part.text))
    elif part.video_metadata is not None:
        blocks.append(Native(dialect="gemini", value=_raw(part)))
    elif part.inline_data is not None or part.file_data is not None:
        media = _media(part.inline_data, part.file_data, param)
        resolution = part.media_resolution
        level = resolution.level if isinstance(resolution, wire.MediaResolution) else resolution
        media.detail = _DETAILS.get(level or "", "")
        blocks.append(media)
    else:
        native = {wire.camel(name): value for name in _NATIVE if (value := getattr(part, name)) is not None}
        if not native and part.thought_signature is None:
            raise BadRequest(
                "A part holds one of text, inlineData, fileData, functionCall, functionResponse, executableCode, "
                "codeExecutionResult.",
                param=param,
                code="invalid_value",
            )
        if native:
            blocks.append(Native(dialect="gemini", value=native))
    if proof != ("", ""):
        blocks.append(Thinking(signature=proof.signature, redacted=proof.redacted))


def _raw(part: wire.Part) -> Any:
    """The part as it was, for Gemini only."""
    return msgspec.to_builtins(part, enc_hook=msgspec.json.decode)


def _media(inline: wire.Blob | None, file: wire.FileData | None, param: str) -> Media:
    if inline is not None:
        if not inline.data or not inline.mime_type:
            raise BadRequest(
                "inlineData needs a mimeType and data.", param=f"{param}.inlineData", code="missing_required_parameter"
            )
        return Media(
            kind=kind_of(inline.mime_type),
            media_type=meant(inline.mime_type),
            data=inline.data.translate({45: 43, 95: 47}),  # base64url, as Google's SDK for Python writes it
            name=inline.display_name or "",
        )
    if file is None or not file.file_uri:
        raise BadRequest("fileData needs a fileUri.", param=f"{param}.fileData", code="missing_required_parameter")
    media_type = file.mime_type or type_of(file.file_uri)
    return Media(kind=kind_of(media_type), media_type=media_type, url=file.file_uri, name=file.display_name or "")


def _result(answer: wire.FunctionResponse, calls: _Calls, param: str) -> ToolResult:
    value = answer.response or {}
    failed = False
    text: Any = value
    if len(value) == 1:
        if "error" in value:
            failed, text = True, value["error"]
        elif isinstance(value.get("output"), str):
            text = value["output"]
        elif isinstance(value.get("result"), str):
            text = value["result"]
    content: list[Text | Media] = [Text(text=text if isinstance(text, str) else _encode(text).decode())]
    for at, part in enumerate(answer.parts or ()):
        content.append(_media(part.inline_data, part.file_data, f"{param}.functionResponse.parts[{at}]"))
    return ToolResult(id=calls.answered(answer), name=answer.name or "", content=content, failed=failed)


def _tools(request: wire.Request, chat: Chat) -> None:
    tools: list[Tool] = []
    for tool in request.tools or ():
        for function in tool.function_declarations or ():
            schema = function.parameters_json_schema
            if schema is None and function.parameters is not None:
                schema = to_json_schema(function.parameters)
            if schema is not None and not isinstance(schema, dict):
                raise BadRequest(
                    f"The parameters of '{function.name}' are described by an object.",
                    param="tools.functionDeclarations.parametersJsonSchema",
                    code="invalid_type",
                )
            tools.append(Tool(name=function.name, description=function.description or "", parameters=schema))
        for name in tool.__struct_fields__:
            value = getattr(tool, name)
            if name == "function_declarations" or value is None:
                continue
            if name == "google_search" and not value:
                chat.web_search = {"search_context_size": "medium"}  # what others search with when nothing is said
            else:
                shown = wire.camel(name)
                tools.append(Tool(name=shown, dialect="gemini", native={shown: value}))
    chat.tools = tools
    config = request.tool_config
    if config is None:
        return
    if config.retrieval_config is not None:
        chat.extra["retrievalConfig"] = config.retrieval_config
    if config.include_server_side_tool_invocations is not None:
        chat.extra["includeServerSideToolInvocations"] = config.include_server_side_tool_invocations
    if config.function_calling_config is not None:
        chat.tool_choice = _tool_choice(config.function_calling_config)


def _tool_choice(config: wire.FunctionCallingConfig) -> ToolChoice | None:
    names = tuple(config.allowed_function_names or ())
    match (config.mode or "").upper():
        case "" | "MODE_UNSPECIFIED":
            return ToolChoice(mode="auto", names=names) if names else None
        case "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto", names=names)
        case "NONE":
            return ToolChoice(mode="none")
        case "ANY":
            return ToolChoice(mode="tool" if len(names) == 1 else "required", names=names)
        case _:
            raise BadRequest(
                "The mode of function calling is AUTO, ANY, NONE or VALIDATED.",
                param="toolConfig.functionCallingConfig.mode",
                code="invalid_value",
            )


def _reasoning(config: wire.ThinkingConfig | None) -> Reasoning | None:
    if config is None:
        return None
    level = (config.thinking_level or "").upper()
    if level and level != "THINKING_LEVEL_UNSPECIFIED" and level not in EFFORTS:
        raise BadRequest(
            f"'{config.thinking_level}' is no thinkingLevel: {', '.join(EFFORTS).lower()}."[:200],
            param="generationConfig.thinkingConfig.thinkingLevel",
            code="invalid_value",
        )
    budget = config.thinking_budget
    return Reasoning(
        effort=EFFORTS.get(level),
        budget=None if budget is None or budget < 0 else budget,
        adaptive=budget is not None and budget < 0,
        hidden=not config.include_thoughts,
    )


def _format(config: wire.GenerationConfig, chat: Chat) -> None:
    kind = config.response_mime_type or ""
    schema = config.response_json_schema
    if schema is None and config.response_schema is not None:
        schema = to_json_schema(config.response_schema)
    if kind == "application/json":
        if schema is not None and not isinstance(schema, dict):
            raise BadRequest(
                "A response schema is an object.",
                param="generationConfig.responseJsonSchema",
                code="invalid_type",
            )
        chat.format = Format(schema=schema, name="answer" if schema is not None else "")
    elif kind not in ("", "text/plain"):
        chat.extra["responseMimeType"] = kind
        if config.response_schema is not None:
            chat.extra["responseSchema"] = config.response_schema


def _voice(speech: Any, chat: Chat) -> None:
    """A voice alone is what others have too."""
    if speech is None:
        return
    voice = speech.get("voiceConfig") if isinstance(speech, dict) and set(speech) == {"voiceConfig"} else None
    built = voice.get("prebuiltVoiceConfig") if isinstance(voice, dict) else None
    name = built.get("voiceName") if isinstance(built, dict) else None
    if isinstance(name, str):
        chat.audio = {"voice": name, "format": "pcm16"}
    else:
        chat.extra["speechConfig"] = speech
