"""Cohere's v2 on the wire, as far as translation reads it.

https://docs.cohere.com/v2/reference/chat, /chat-stream, /embed, /rerank
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.dialects.cohere import FAILED, WireUsage, broken
from routeiq.providers.translate.chat import Citation, FinishReason

FINISH: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
FINISH_OF: dict[FinishReason, str] = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",  # version 1's word: 2 has none for it, and its SDKs take any
    "refusal": "ERROR_TOXIC",
    "pause": "COMPLETE",
}


class Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: str = ""


class ToolCall(msgspec.Struct, gc=False):
    id: str = ""
    function: Function | None = None


class Content(msgspec.Struct, gc=False):
    """`type` is missing in deltas."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Cited(msgspec.Struct, gc=False):
    start: int | None = None
    end: int | None = None
    text: str | None = None
    sources: list[dict[str, Any]] | None = None
    content_index: int | None = None
    type: str | None = None

    def citation(self) -> Citation:
        """In our words: the first source's own, where it has some."""
        source = self.sources[0] if self.sources else {}
        about = source.get("document") or source.get("tool_output")
        about = about if isinstance(about, dict) else {}
        return Citation(
            text=_text(about, "text", "snippet", "content"),
            url=_text(about, "url"),
            title=_text(about, "title") or _text(source, "id"),
            start=self.start,
            end=self.end,
            dialect="cohere",
            native=msgspec.to_builtins(self),
        )


class Logprob(msgspec.Struct, gc=False):
    """Of a piece of text, which may be several tokens."""

    text: str | None = None
    logprobs: list[float] | None = None

    def shown(self) -> dict[str, Any]:
        """In OpenAI's shape: the piece as one token."""
        text = self.text or ""
        return {
            "token": text,
            "logprob": sum(self.logprobs or ()),
            "bytes": list(text.encode()),
            "top_logprobs": [],
        }


class AnswerMessage(msgspec.Struct, gc=False):
    content: list[Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | None = None
    citations: list[Cited] | None = None


class Answer(msgspec.Struct, gc=False):
    message: AnswerMessage
    id: str = ""
    finish_reason: str | None = None
    usage: WireUsage | None = None
    logprobs: list[Logprob] | None = None


class DeltaMessage(msgspec.Struct, gc=False):
    """In a stream each member is one object; at its start all are lists."""

    content: Content | list[Any] | None = None
    tool_plan: str | None = None
    tool_calls: ToolCall | list[Any] | None = None
    citations: Cited | list[Any] | None = None


class Delta(msgspec.Struct, gc=False):
    message: DeltaMessage | None = None
    finish_reason: str | None = None
    usage: WireUsage | None = None
    error: Any = None


class Event(msgspec.Struct, gc=False):
    type: str = ""
    index: int | None = None
    id: str | None = None
    delta: Delta | None = None
    logprobs: Logprob | None = None
    message: Any = None
    """Of an error in place of an event."""


decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
decode_event = msgspec.json.Decoder(Event, strict=False).decode


def finish_of(reason: str | None, called: bool, told: Any = None) -> FinishReason:
    """Why it ended. Raises `UpstreamError` for an answer that failed on the way: `told` is what the stream said."""
    if reason is not None and reason in FAILED:
        raise broken(reason, told)
    return FINISH.get(reason or "", "tool_calls" if called else "stop")


def _text(members: dict[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := members.get(name), str) and value), "")
