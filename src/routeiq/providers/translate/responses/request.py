"""Responses' requests, read."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Chat,
    Format,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from routeiq.providers.translate.codec import decode_request
from routeiq.providers.translate.responses import wire
from routeiq.providers.translate.responses.items import decode_part, read_items


def read_request(body: bytes) -> Chat:
    """A request of `/v1/responses`. Raises `BadRequest`."""
    request: wire.Request = decode_request(wire.request_decoder, body)
    members = wire.decode_members(body)
    _refuse_kept_elsewhere(request)
    tools, web_search = _tools(request.tools or [])
    include = request.include or []
    text = request.text or wire.TextConfig()
    return Chat(
        model=request.model,
        messages=_messages(request),
        tools=tools,
        tool_choice=_tool_choice(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls,
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        logprobs=True if wire.LOGPROBS in include or request.top_logprobs else None,
        top_logprobs=request.top_logprobs,
        format=_format(text.format),
        reasoning=_reasoning(request.reasoning),
        verbosity=text.verbosity,
        user=request.safety_identifier or request.user or "",
        metadata=request.metadata or None,
        service_tier=request.service_tier or "",
        web_search=web_search,
        prompt_cache_key=request.prompt_cache_key or "",
        stream=bool(request.stream),
        include_usage=True,
        extra={name: msgspec.json.decode(raw) for name, raw in members.items() if _is_extra(name, raw)},
        hints=tuple(_hints(request, members)),
        origin=wire.Origin({name: raw for name, raw in members.items() if name in wire.ECHOED and not _is_null(raw)}),
    )


def _is_null(raw: Raw) -> bool:
    return bytes(raw) == b"null"


def _is_extra(name: str, raw: Raw) -> bool:
    return name not in wire.KNOWN and not _is_null(raw)


def _hints(request: wire.Request, members: dict[str, Raw]) -> list[str]:
    """What other providers do without."""
    found = [name for name in wire.HINTS if name in members and not _is_null(members[name])]
    if request.truncation not in (None, "disabled"):
        found.append("truncation")
    if request.max_tool_calls is not None:
        found.append("max_tool_calls")
    found += [f"include:{name}" for name in request.include or () if name not in (wire.LOGPROBS, wire.PROOFS)]
    return found


def _refuse_kept_elsewhere(request: wire.Request) -> None:
    for name in ("conversation", "prompt"):
        if getattr(request, name) is not None:
            raise BadRequest(
                f"'{name}' names what OpenAI keeps, and this model is served by another API: send the items "
                "themselves, or go on from an earlier response with previous_response_id.",
                param=name,
                code="unsupported_parameter",
            )


def _messages(request: wire.Request) -> list[Message]:
    messages: list[Message] = []
    if isinstance(request.instructions, str):
        if request.instructions:
            messages.append(Message(role="system", content=[Text(text=request.instructions)]))
    elif request.instructions:
        messages += read_items(request.instructions, "instructions")
    if isinstance(request.input, str):
        if request.input:
            messages.append(Message(role="user", content=[Text(text=request.input)]))
    else:
        messages += read_items(request.input, "input")
    if not messages:
        raise BadRequest("'input' must hold at least one item.", param="input", code="invalid_value")
    return messages


def _tools(raws: list[Raw]) -> tuple[list[Tool], dict[str, Any] | None]:
    """The tools, and Chat Completions' options of web search, where that is one of them."""
    out: list[Tool] = []
    search: dict[str, Any] | None = None
    for index, raw in enumerate(raws):
        param = f"tools[{index}]"
        tool: wire.Tool = decode_part(wire.tool_decoder, bytes(raw), param)
        if tool.type in ("function", "custom") and not tool.name:
            raise BadRequest("The tool has no name.", param=f"{param}.name", code="missing_required_parameter")
        if tool.type == "function":
            out.append(
                Tool(
                    name=tool.name,
                    description=tool.description or "",
                    parameters=tool.parameters,
                    strict=tool.strict,
                )
            )
        elif tool.type == "custom":
            out.append(Tool(name=tool.name, description=tool.description or "", custom=True, native=tool.format))
        elif tool.type.startswith(wire.WEB_SEARCH):
            search = _web_search(tool)
        else:
            native = msgspec.json.decode(raw)
            out.append(Tool(name=tool.name or tool.type, dialect=wire.DIALECT, native=native))
    return out, search


def _web_search(tool: wire.Tool) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/chat/create#chat_create-web_search_options"""
    options: dict[str, Any] = {}
    if tool.search_context_size is not None:
        options["search_context_size"] = tool.search_context_size
    if tool.user_location:
        place = {name: value for name, value in tool.user_location.items() if name != "type" and value is not None}
        options["user_location"] = {"type": "approximate", "approximate": place}
    if tool.filters:
        options["filters"] = {name: value for name, value in tool.filters.items() if value}
    return options


def _tool_choice(choice: str | wire.Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice in ("auto", "none", "required"):
            return ToolChoice(mode=choice)  # type: ignore[arg-type]
        raise BadRequest(
            "'tool_choice' must be auto, none, required, or name a tool.", param="tool_choice", code="invalid_value"
        )
    if choice.type == "allowed_tools":
        return ToolChoice(mode=choice.mode, names=tuple(tool.name for tool in choice.tools or () if tool.name))
    if choice.type in ("function", "custom") and choice.name:
        return ToolChoice(mode="tool", names=(choice.name,))
    raise BadRequest(
        f"'tool_choice' can't be of type '{choice.type[:50]}' with this model: it must be auto, none, required, "
        "allowed_tools, or name a function or custom tool.",
        param="tool_choice",
        code="unsupported_parameter",
    )


def _format(wanted: wire.TextFormat | None) -> Format | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Format()
    if wanted.schema is None:
        raise BadRequest("The format has no schema.", param="text.format.schema", code="missing_required_parameter")
    return Format(schema=wanted.schema, name=wanted.name, description=wanted.description or "", strict=wanted.strict)


def _reasoning(asked: wire.Reasoning | None) -> Reasoning | None:
    if asked is None or (asked.effort is None and not asked.summary and not asked.generate_summary):
        return None
    return Reasoning(effort=asked.effort, summary=asked.summary or asked.generate_summary or "")
