"""Chat requests of Cohere's clients, read: https://docs.cohere.com/v2/reference/chat"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    Chat,
    Format,
    Media,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.codec import decode_request, unknown_members
from routeiq.providers.translate.media import split_url


class ImageUrl(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class WireDocument(msgspec.Struct, gc=False):
    data: str | dict[str, Any]
    id: str | None = None


class Part(msgspec.Struct, gc=False):
    type: str
    text: str = ""
    thinking: str = ""
    image_url: ImageUrl | None = None
    document: WireDocument | None = None


class Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = "{}"


class Call(msgspec.Struct, gc=False):
    id: str
    function: Function


class WireMessage(msgspec.Struct, gc=False):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[Call] | None = None
    tool_plan: str | None = None
    tool_call_id: str = ""


class FunctionDef(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class WireTool(msgspec.Struct, gc=False):
    function: FunctionDef
    type: str = "function"


class ResponseFormat(msgspec.Struct, gc=False):
    type: Literal["text", "json_object"] = "text"
    schema: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = None


class WireThinking(msgspec.Struct, gc=False):
    type: Literal["enabled", "disabled"] = "enabled"
    token_budget: int | None = None


class Request(msgspec.Struct, gc=False):
    messages: list[WireMessage]
    model: str = ""
    tools: list[WireTool] | None = None
    strict_tools: bool | None = None
    documents: list[str | WireDocument] | None = None
    citation_options: Any = None
    response_format: ResponseFormat | None = None
    safety_mode: str | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    k: int | None = None
    p: float | None = None
    logprobs: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    thinking: WireThinking | None = None
    priority: int | None = None
    stream: bool | None = None


_decoder = msgspec.json.Decoder(Request)
_KNOWN = frozenset(Request.__struct_fields__)
_HINTS = ("citation_options", "safety_mode", "priority")
"""Members that steer how an answer is made or shown: other providers do without them."""


def read_request(body: bytes) -> Chat:
    """A request. Raises `BadRequest` naming what is wrong."""
    request: Request = decode_request(_decoder, body)
    if not request.messages:
        raise BadRequest("'messages' must hold at least one message.", param="messages", code="invalid_value")
    messages = [_message(message, index) for index, message in enumerate(request.messages)]
    _place_documents(request.documents or [], messages)
    wanted = request.response_format
    choice = request.tool_choice
    return Chat(
        model=request.model,
        messages=messages,
        tools=[_tool(tool, request.strict_tools) for tool in request.tools or ()],
        tool_choice=ToolChoice(mode="required" if choice == "REQUIRED" else "none") if choice is not None else None,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.p,
        top_k=request.k or None,
        stop=request.stop_sequences or [],
        seed=request.seed,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=request.logprobs,
        format=Format(schema=wanted.schema or wanted.json_schema)
        if wanted is not None and wanted.type == "json_object"
        else None,
        reasoning=_reasoning(request.thinking),
        stream=bool(request.stream),
        include_usage=True,
        hints=tuple(name for name in _HINTS if getattr(request, name) is not None),
        extra=unknown_members(body, _KNOWN),
    )


def _reasoning(thinking: WireThinking | None) -> Reasoning | None:
    if thinking is None:
        return None
    if thinking.type == "disabled":
        return Reasoning(effort="none", budget=0)
    return Reasoning(budget=thinking.token_budget, effort=None if thinking.token_budget else "medium")


def _tool(tool: WireTool, strict: bool | None) -> Tool:
    function = tool.function
    return Tool(
        name=function.name, description=function.description or "", parameters=function.parameters, strict=strict
    )


def _message(message: WireMessage, index: int) -> Message:
    given = message.content
    content: list[Block] = []
    if message.tool_plan:
        content.append(Thinking(text=message.tool_plan))
    at = f"messages[{index}].content"
    parts: list[Block] = [Text(text=given)] if isinstance(given, str) else [_part(part, at) for part in given or ()]
    if message.role == "tool":
        if not message.tool_call_id:
            raise BadRequest(
                "A tool message needs the tool_call_id it answers.",
                param=f"messages[{index}].tool_call_id",
                code="missing_required_parameter",
            )
        # Documents are how this dialect writes results; to others they are text.
        held: list[Text | Media] = [
            Text(text=part.text) if isinstance(part, Media) and part.text else part
            for part in parts
            if isinstance(part, Text | Media)
        ]
        return Message(role="tool", content=[ToolResult(id=message.tool_call_id, content=held)])
    content += parts
    content += [
        ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        for call in message.tool_calls or ()
    ]
    return Message(role=message.role, content=content)


def _part(part: Part, at: str) -> Block:
    if part.type == "text":
        return Text(text=part.text)
    if part.type == "thinking":
        return Thinking(text=part.thinking)
    if part.type == "image_url" and part.image_url is not None:
        image = part.image_url
        media_type, data = split_url(image.url, at)
        url = "" if data else image.url
        return Media(kind="image", media_type=media_type, data=data, url=url, detail=image.detail or "")
    if part.type == "document" and part.document is not None:
        return _document(part.document)
    raise BadRequest(f"'{part.type}' is no kind of content that can be read here.", param=at, code="invalid_value")


def _place_documents(documents: list[str | WireDocument], messages: list[Message]) -> None:
    """Put what stands beside the conversation before the last thing the user says."""
    if not documents:
        return
    read: list[Block] = [
        _document(found if isinstance(found, WireDocument) else WireDocument(found)) for found in documents
    ]
    for message in reversed(messages):
        if message.role == "user":
            message.content[:0] = read
            return
    messages.append(Message(role="user", content=read))


def _document(document: WireDocument) -> Media:
    data = document.data
    if isinstance(data, str):
        return Media(kind="document", media_type="text/plain", text=data, name=document.id or "", cited=True)
    title, text = data.get("title"), data.get("text")
    whole = isinstance(text, str) and data.keys() <= {"text", "title"}
    return Media(
        kind="document",
        media_type="text/plain",
        text=text if isinstance(text, str) and whole else msgspec.json.encode(data).decode(),
        name=title if isinstance(title, str) else document.id or "",
        cited=True,
    )
