"""Cohere's side of the wire, as its SDK's types have it: answers built from them, requests read by them."""

from __future__ import annotations

import json
from typing import Any

import cohere
from cohere.core.unchecked_base_model import UncheckedBaseModel
from cohere.types import chat_message_v2
from cohere.v2 import types as v2
from pydantic import BaseModel, ConfigDict, create_model

ANSWER: dict[str, Any] = {
    "id": "c14c80c3",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello there"}]},
    "usage": {
        "billed_units": {"input_tokens": 5, "output_tokens": 2},
        "tokens": {"input_tokens": 71, "output_tokens": 4},
        "cached_tokens": 3,
    },
}
"""A plain answer."""


class Strict(BaseModel):
    """A request body with nothing the API does not have."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _request(name: str, **fields: Any) -> type[Strict]:
    made: Any = {field: (kind, ... if field in ("model", "messages", "query", "documents") else None)
                 for field, kind in fields.items()}  # fmt: skip
    if name == "ChatRequest":
        made["documents"] = (fields["documents"], None)
    return create_model(name, __base__=Strict, **made)


ChatRequest = _request(
    "ChatRequest",
    model=str,
    messages=list[dict[str, Any]],
    stream=bool,
    tools=list[dict[str, Any]],
    strict_tools=bool,
    documents=list[Any],
    citation_options=dict[str, Any],
    response_format=dict[str, Any],
    safety_mode=str,
    max_tokens=int,
    stop_sequences=list[str],
    temperature=float,
    seed=int,
    frequency_penalty=float,
    presence_penalty=float,
    k=int,
    p=float,
    logprobs=bool,
    tool_choice=str,
    thinking=dict[str, Any],
    priority=int,
)
"""Parameters of `ClientV2.chat`: https://docs.cohere.com/v2/reference/chat"""
EmbedRequest = _request(
    "EmbedRequest",
    model=str,
    texts=list[str],
    input_type=str,
    embedding_types=list[str],
    output_dimension=int,
    truncate=str,
)
RerankRequest = _request(
    "RerankRequest", model=str, query=str, documents=list[str], top_n=int, max_tokens_per_doc=int, priority=int
)
_MESSAGES: dict[str, type[UncheckedBaseModel]] = {
    "user": chat_message_v2.UserChatMessageV2,
    "assistant": chat_message_v2.AssistantChatMessageV2,
    "system": chat_message_v2.SystemChatMessageV2,
    "tool": chat_message_v2.ToolChatMessageV2,
}


def accept_chat(body: bytes) -> dict[str, Any]:
    """A body the gateway sent to `/v2/chat`, once the SDK's types have taken it. Raises `ValidationError`."""
    sent: dict[str, Any] = json.loads(body)
    ChatRequest.model_validate(sent)
    for message in sent["messages"]:
        same(_MESSAGES[message["role"]], message)
    for tool in sent.get("tools", ()):
        same(cohere.ToolV2, tool)
    for document in sent.get("documents", ()):
        if not isinstance(document, str):
            same(cohere.Document, document)
    if "thinking" in sent:
        same(cohere.Thinking, sent["thinking"])
    if "response_format" in sent:
        same(cohere.JsonObjectResponseFormatV2, sent["response_format"])
    return sent


def same(kind: type[UncheckedBaseModel], value: dict[str, Any]) -> None:
    """Assert that a type knows every member of a value, at every depth, and gives it back unchanged."""
    read = kind.model_validate(value)
    _no_extra(read)
    assert json.loads(read.json(exclude_unset=True)) == value


def _no_extra(read: Any) -> None:
    if isinstance(read, BaseModel):
        assert not read.model_extra, (type(read), read.model_extra)
        for name in type(read).model_fields:
            _no_extra(getattr(read, name))
    elif isinstance(read, list):
        for item in read:
            _no_extra(item)


def answer(**changes: Any) -> dict[str, Any]:
    """A whole answer of Chat that the SDK's type takes."""
    made = {**ANSWER, **changes}
    same(v2.V2ChatResponse, made)
    return made


def event(kind: str, **members: Any) -> bytes:
    """One event of a stream, as the SDK's type of that name writes it."""
    name = "".join(part.capitalize() for part in kind.split("-")) + "V2ChatStreamResponse"
    from cohere.v2.types import v2chat_stream_response as events

    made = {"type": kind, **members}
    same(getattr(events, name), made)
    return f"event: {kind}\ndata: {json.dumps(made)}\n\n".encode()


def said(kind: str, index: int, **message: Any) -> bytes:
    """An event with a delta of the message."""
    return event(kind, index=index, delta={"message": message})


END_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 2},
    "tokens": {"input_tokens": 71, "output_tokens": 4},
}


def end(reason: str = "COMPLETE", **members: Any) -> bytes:
    """The last event."""
    return event("message-end", delta={"finish_reason": reason, "usage": END_USAGE, **members})


def start() -> bytes:
    """The first."""
    return event("message-start", id="29f14a5a", delta={"message": {"role": "assistant"}})


TEXT_STREAM = [
    start(),
    said("content-start", 0, content={"type": "text", "text": ""}),
    said("content-delta", 0, content={"text": "Hel"}),
    said("content-delta", 0, content={"text": "lo \u00e9\u4f60\U0001f600"}),
    said(
        "citation-start",
        0,
        citations={
            "start": 0,
            "end": 3,
            "text": "Hel",
            "sources": [{"type": "document", "id": "doc-0", "document": {"title": "T", "text": "src", "url": "u:1"}}],
            "content_index": 0,
            "type": "TEXT_CONTENT",
        },
    ),
    event("citation-end", index=0),
    event("content-end", index=0),
    end(),
]
TOOL_STREAM = [
    start(),
    event("tool-plan-delta", delta={"message": {"tool_plan": "I will "}}),
    event("tool-plan-delta", delta={"message": {"tool_plan": "look."}}),
    said(
        "tool-call-start",
        0,
        tool_calls={"id": "w_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
    ),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"city":'}}),
    said("tool-call-delta", 0, tool_calls={"function": {"arguments": ' "Rome"}'}}),
    event("tool-call-end", index=0),
    said(
        "tool-call-start",
        1,
        tool_calls={"id": "w_2", "type": "function", "function": {"name": "time", "arguments": ""}},
    ),
    said("tool-call-delta", 1, tool_calls={"function": {"arguments": "{}"}}),
    event("tool-call-end", index=1),
    end("TOOL_CALL"),
]
THINKING_STREAM = [
    start(),
    said("content-start", 0, content={"type": "thinking", "thinking": ""}),
    said("content-delta", 0, content={"thinking": "Hm."}),
    event("content-end", index=0),
    said("content-start", 1, content={"type": "text", "text": ""}),
    event(
        "content-delta",
        index=1,
        delta={"message": {"content": {"text": "42"}}},
        logprobs={"text": "42", "token_ids": [7, 8], "logprobs": [-0.5, -0.25]},
    ),
    event("content-end", index=1),
    end("MAX_TOKENS"),
]
STREAMS = {"text": TEXT_STREAM, "tools": TOOL_STREAM, "thinking": THINKING_STREAM}
