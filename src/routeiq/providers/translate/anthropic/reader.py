"""Messages' stream as providers send it: deltas out of events.

message_start → (content_block_start → content_block_delta* → content_block_stop)* → message_delta → message_stop,
with pings between: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import msgspec

from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.dialects.anthropic import usage_of
from routeiq.providers.translate.anthropic import wire
from routeiq.providers.translate.anthropic.citations import read_citation
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
    sealed,
)
from routeiq.providers.translate.frames import EventFrames


class EventReader:
    """`DeltaReader` of one stream. Blocks of server-side tools have no counterpart elsewhere and are passed over."""

    __slots__ = ("_calls", "_ended", "_finish", "_frames", "_stop_sequence", "_tier", "_usage")

    def __init__(self) -> None:
        self._frames = EventFrames()
        self._calls: dict[int, int] = {}
        """Number of the call by index of its block."""
        self._usage: Usage | None = None
        self._tier = ""
        self._finish = ""
        self._stop_sequence = ""
        self._ended = False

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for payload in self._frames.feed(data):
            self.event(payload, out)
        return out

    def finish(self) -> list[Delta]:
        return []

    def event(self, payload: bytes, out: list[Delta]) -> None:
        """Read one event, JSON. Raises `UpstreamError`."""
        try:
            event = wire.decode_event(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise errors.broken_answer("", "an event that is none of Messages'") from None
        kind = event.type
        delta = event.delta
        if kind == "content_block_delta" and delta is not None:
            if delta.type == "text_delta":
                out.append(TextDelta(text=delta.text))
            elif delta.type == "input_json_delta":
                if event.index in self._calls and delta.partial_json:
                    out.append(ToolDelta(index=self._calls[event.index], arguments=delta.partial_json))
            elif delta.type == "thinking_delta":
                out.append(ThinkingDelta(text=delta.thinking))
            elif delta.type == "signature_delta":
                out.append(ThinkingDelta(signature=sealed("anthropic", delta.signature)))
            elif delta.type == "citations_delta" and delta.citation is not None:
                out.append(CitationDelta(citation=read_citation(delta.citation)))
        elif kind == "content_block_start" and event.content_block is not None:
            self._block(event.index, event.content_block, out)
        elif kind == "message_start" and event.message is not None:
            message = event.message
            if message.usage is not None:
                self._usage = usage_of(message.usage)
                self._usage.estimated = True  # until its end tells the tokens of the answer
            self._tier = (message.usage.service_tier or "") if message.usage is not None else ""
            out.append(Started(id=message.id, model=message.model, usage=self._usage, service_tier=self._tier))
        elif kind == "message_delta":
            if delta is not None and delta.stop_reason is not None:
                self._finish = delta.stop_reason
                self._stop_sequence = delta.stop_sequence or ""
            if event.usage is not None:
                self._usage = usage_of(event.usage, self._usage)
        elif kind == "message_stop" and not self._ended:
            self._ended = True
            reason = wire.FINISH.get(self._finish or "end_turn", "stop")
            out.append(Finished(reason=reason, stop_sequence=self._stop_sequence))
            if self._usage is not None:
                out.append(Used(usage=self._usage, service_tier=self._tier))
            out.append(Ended())
        elif kind == "error":
            raise errors.from_event(payload, provider="")

    def _block(self, index: int, block: wire.Block, out: list[Delta]) -> None:
        if block.type == "tool_use":
            self._calls[index] = number = len(self._calls)
            out.append(ToolStarted(index=number, id=block.id, name=block.name))
            given = bytes(block.input)
            if given not in (b"{}", b"null"):
                out.append(ToolDelta(index=number, arguments=given.decode()))
        elif block.type == "redacted_thinking":
            out.append(ThinkingDelta(redacted=sealed("anthropic", block.data)))
        elif block.type == "text" and block.text:
            out.append(TextDelta(text=block.text))
        elif block.type == "thinking" and block.thinking:
            out.append(ThinkingDelta(text=block.thinking))
