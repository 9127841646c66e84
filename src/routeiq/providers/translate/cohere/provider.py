"""Chat as Cohere serves it: https://docs.cohere.com/v2/reference/chat"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Choice,
    Media,
    Message,
    Native,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, portable_tools
from routeiq.providers.translate.cohere import wire
from routeiq.providers.translate.cohere.reader import CohereReader
from routeiq.providers.translate.media import data_url
from routeiq.providers.translate.reasoning import budget_of

_encode = msgspec.json.Encoder().encode
_PLAIN = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_k": "k",
    "seed": "seed",
    "logprobs": "logprobs",
}
_EXTRA = ("documents", "citation_options", "safety_mode", "strict_tools", "priority")
"""Cohere's own members, which clients may send by their names."""
_SERVED = frozenset(
    (
        *(*_PLAIN, *_EXTRA, "top_p", "presence_penalty", "frequency_penalty", "format", "reasoning"),
        *("citations", "detail", "strict"),
    )
)
_P = (0.01, 0.99)
"""What `p` must lie between; without it 0.75 counts."""


class CohereProvider:
    """`ProviderCodec` for the operation `cohere_chat`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {"model": context.model}
        messages, documents = _conversation(chat.messages, fit)
        out["messages"] = messages
        for name, field in _PLAIN.items():
            value = getattr(chat, name)
            if value is not None and not fit.leaves_out(name):
                out[field] = value
        if chat.top_p is not None and not fit.leaves_out("top_p"):
            out["p"] = min(max(chat.top_p, _P[0]), _P[1])
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(chat, name)
            if value is not None and not fit.leaves_out(name):
                if 0 <= value <= 1:
                    out[name] = value
                else:
                    fit.refuse(name, "it must be between 0 and 1")
        if chat.stop and not fit.leaves_out("stop"):
            out["stop_sequences"] = chat.stop
        _tools(chat, out, fit)
        _thinking(chat, out, fit)
        for name in _EXTRA:
            if name in chat.extra and not fit.leaves_out(name):
                out[name] = chat.extra[name]
        if documents:
            given = out.get("documents", [])
            if not isinstance(given, list):
                raise BadRequest("'documents' must be a list.", param="documents", code="invalid_type")
            out["documents"] = [*given, *documents]
        _format(chat, out, fit)
        fit.settle_rest(chat, _SERVED)
        if chat.stream:
            out["stream"] = True
        return Outgoing("cohere_chat", _encode(out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        answer = wire.decode_answer(body)
        message = answer.message
        blocks: list[Block] = []
        if message.tool_plan:
            blocks.append(Thinking(text=message.tool_plan))
        for index, content in enumerate(message.content or ()):
            if content.thinking:
                blocks.append(Thinking(text=content.thinking))
            if content.text:
                cited = [
                    found.citation()
                    for found in message.citations or ()
                    if found.type in (None, "TEXT_CONTENT") and found.content_index in (None, index)
                ]
                blocks.append(Text(text=content.text, citations=cited))
        for call in message.tool_calls or ():
            function = call.function or wire.Function()
            blocks.append(ToolCall(id=call.id, name=function.name, arguments=function.arguments or "{}"))
        logprobs = {"content": [found.shown() for found in answer.logprobs]} if answer.logprobs else None
        finish = wire.finish_of(answer.finish_reason, bool(message.tool_calls))
        return Answer(
            id=answer.id,
            choices=[Choice(content=blocks, finish=finish, logprobs=logprobs)],
            usage=answer.usage.usage() if answer.usage is not None else None,
        )

    def reader(self, chat: Chat) -> DeltaReader:
        return CohereReader()


def _tools(chat: Chat, out: dict[str, Any], fit: Fit) -> None:
    """Tools and choice. One tool, or some, are forced by showing the model no others."""
    tools = portable_tools(chat.tools, fit)
    choice = chat.tool_choice if not fit.leaves_out("tool_choice") else None
    if choice is not None and choice.names and choice.mode != "none":
        tools = [tool for tool in tools if tool.name in choice.names]
    written = [_tool(tool) for tool in tools if not _is_custom(tool, fit)]
    if not written:
        return
    out["tools"] = written
    if any(tool.strict for tool in tools):
        out["strict_tools"] = True
    if choice is not None and choice.mode != "auto":
        out["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"


def _is_custom(tool: Tool, fit: Fit) -> bool:
    if tool.custom:
        fit.refuse("tools", f"the tool '{tool.name}' takes free text, and this provider has only tools that take JSON")
    return tool.custom


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _format(chat: Chat, out: dict[str, Any], fit: Fit) -> None:
    """https://docs.cohere.com/v2/docs/structured-outputs: in words of its own, and not beside tools or documents."""
    if chat.format is None or fit.leaves_out("response_format"):
        return
    beside = next((name for name in ("tools", "documents") if out.get(name)), None)
    if beside is not None:
        fit.refuse("response_format", f"this provider takes none in a request with {beside}")
        return
    out["response_format"] = {"type": "json_object"}
    if chat.format.schema is not None:
        out["response_format"]["json_schema"] = chat.format.schema


def _thinking(chat: Chat, out: dict[str, Any], fit: Fit) -> None:
    """https://docs.cohere.com/docs/reasoning: models that can't reason refuse it, so it is asked for by name only."""
    reasoning = chat.reasoning
    if reasoning is None or fit.leaves_out("reasoning_effort"):
        return
    if "reasoning" not in out["model"] and "command-a-plus" not in out["model"]:
        if reasoning.effort != "none":
            fit.ignore("reasoning_effort")
        return
    budget = budget_of(reasoning)
    if budget == 0:
        out["thinking"] = {"type": "disabled"}
    elif budget is not None and budget > 0:
        out["thinking"] = {"type": "enabled", "token_budget": budget}
    else:
        out["thinking"] = {"type": "enabled"}


def _conversation(messages: list[Message], fit: Fit) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(messages, documents). Documents stand beside the conversation, not in it."""
    out: list[dict[str, Any]] = []
    documents: list[dict[str, Any]] = []
    for message in messages:
        if message.name:
            fit.ignore("name")
        if message.role == "assistant":
            out.append(_assistant(message, fit))
            continue
        results = [block for block in message.content if isinstance(block, ToolResult)]
        out += [_result(result, fit) for result in results]
        rest: list[Block] = []
        for block in message.content:
            if isinstance(block, Media) and block.kind == "document" and block.text:
                documents.append(_document(block, len(documents)))
            elif not isinstance(block, ToolResult):
                rest.append(block)
        if rest or not results:
            role = "system" if message.role in ("system", "developer") else "user"
            out.append({"role": role, "content": _content(rest, fit)})
    return out, documents


def _document(media: Media, index: int) -> dict[str, Any]:
    data = {"text": media.text}
    if media.name:
        data["title"] = media.name
    if media.context:
        data["context"] = media.context
    return {"id": f"doc-{index}", "data": data}


def _content(blocks: Sequence[Block], fit: Fit) -> str | list[dict[str, Any]]:
    if all(isinstance(block, Text) for block in blocks):
        texts = [block for block in blocks if isinstance(block, Text)]
        if len(texts) < 2:
            return texts[0].text if texts else ""
    return [part for block in blocks for part in _part(block, fit)]


def _part(block: Block, fit: Fit) -> list[dict[str, Any]]:
    if isinstance(block, Text):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, Refusal):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, Media):
        return [_media(block)]
    what = f"{block.dialect} block" if isinstance(block, Native) else type(block).__name__
    fit.refuse("messages", f"a message holds a {what}, which this provider does not know")
    return []


def _media(media: Media) -> dict[str, Any]:
    url = media.url or (data_url(media.media_type, media.data) if media.data else "")
    if media.kind != "image" or not url:
        raise BadRequest(
            f"This model takes no {media.kind} {'by reference' if media.kind == 'image' else 'but as plain text'}.",
            param="messages",
            code="unsupported_content",
        )
    shown: dict[str, Any] = {"url": url}
    if media.detail:
        shown["detail"] = media.detail
    return {"type": "image_url", "image_url": shown}


def _result(result: ToolResult, fit: Fit) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for block in result.content:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif block.kind == "document" and block.text:
            content.append({"type": "document", "document": _document(block, len(content))})
        else:
            fit.refuse("messages", f"a tool's result holds a {block.kind}, and this provider takes only text")
    if not content:
        content = [{"type": "text", "text": "The tool failed." if result.failed else ""}]
    plain = len(content) == 1 and content[0]["type"] == "text"
    return {"role": "tool", "tool_call_id": result.id, "content": content[0]["text"] if plain else content}


def _assistant(message: Message, fit: Fit) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    calls = [block for block in message.content if isinstance(block, ToolCall)]
    thoughts = [block for block in message.content if isinstance(block, Thinking)]
    if not all(block.text for block in thoughts):
        fit.ignore("thinking")
    thought = "".join(block.text for block in thoughts)
    rest = [block for block in message.content if not isinstance(block, ToolCall | Thinking)]
    content = _content(rest, fit) if rest else ""
    if calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in calls
        ]
        if thought:
            out["tool_plan"] = thought
    elif thought:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        content = [{"type": "thinking", "thinking": thought}, *parts]
    if content or not calls:
        out["content"] = content
    return out
