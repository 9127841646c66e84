"""Cohere's stream, read: deltas out of events.

message-start → (content-start → content-delta* → content-end | tool-plan-delta* | tool-call-* | citation-*)*
→ message-end:
https://docs.cohere.com/v2/docs/streaming
"""

from __future__ import annotations

import msgspec

from routeiq.providers import errors
from routeiq.providers.translate.chat import (
    CitationDelta,
    Delta,
    Ended,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.cohere import wire
from routeiq.providers.translate.frames import EventFrames


class CohereReader:
    """`DeltaReader` of one stream."""

    __slots__ = ("_calls", "_ended", "_frames", "_started", "_started_calls")

    def __init__(self) -> None:
        self._frames = EventFrames()
        self._calls: dict[int, int] = {}
        """Number of the call by its index on the wire, which another may take over."""
        self._started_calls = 0
        self._started = False
        self._ended = False

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for payload in self._frames.feed(data):
            if payload != b"[DONE]" and not self._ended:
                self._event(payload, out)
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._frames.rest().strip()
        if rest and rest != b"[DONE]" and not self._ended:
            try:
                msgspec.json.decode(rest)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return out  # cut
            self._event(rest, out)
        return out

    def _event(self, payload: bytes, out: list[Delta]) -> None:
        try:
            event = wire.decode_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise errors.broken_answer("", "an event that is none of Cohere's") from None
        if not event.type and event.message is not None:
            raise errors.from_event(payload, provider="")
        if not self._started:
            self._started = True
            out.append(Started(id=event.id or ""))
        delta = event.delta
        if delta is None:
            return
        if event.type == "message-end":
            self._ended = True
            reason = wire.finish_of(delta.finish_reason, bool(self._calls), delta.error)
            out.append(Finished(reason=reason))
            if delta.usage is not None:
                out.append(Used(usage=delta.usage.usage()))
            out.append(Ended())
        elif delta.message is not None:
            self._message(event, delta.message, out)

    def _message(self, event: wire.Event, message: wire.DeltaMessage, out: list[Delta]) -> None:
        content = message.content
        if isinstance(content, wire.Content):
            if content.text or event.logprobs is not None:
                logprobs = {"content": [event.logprobs.shown()]} if event.logprobs is not None else None
                out.append(TextDelta(text=content.text or "", logprobs=logprobs))
            if content.thinking:
                out.append(ThinkingDelta(text=content.thinking))
        if message.tool_plan and event.type == "tool-plan-delta":
            out.append(ThinkingDelta(text=message.tool_plan))
        call = message.tool_calls
        if isinstance(call, wire.ToolCall):
            function = call.function or wire.Function()
            at = event.index or 0
            if event.type == "tool-call-start":
                number = self._started_calls
                self._started_calls += 1
                self._calls[at] = number
                out.append(ToolStarted(index=number, id=call.id, name=function.name))
            if function.arguments and at in self._calls:
                out.append(ToolDelta(index=self._calls[at], arguments=function.arguments))
        if isinstance(message.citations, wire.Cited) and message.citations.type in (None, "TEXT_CONTENT"):
            out.append(CitationDelta(citation=message.citations.citation()))
