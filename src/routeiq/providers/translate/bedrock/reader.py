"""ConverseStream's messages, read: deltas out of events.

messageStart → (contentBlockStart? → contentBlockDelta* → contentBlockStop)* → messageStop → metadata, each a message of
AWS's event stream encoding: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import msgspec

from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.dialects.bedrock import from_exception
from routeiq.providers.translate.bedrock import wire
from routeiq.providers.translate.bedrock.answer import cited, picture
from routeiq.providers.translate.chat import (
    CitationDelta,
    Delta,
    Ended,
    Finished,
    MediaDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStarted,
    Used,
    sealed,
)
from routeiq.transport.eventstream import BadFrame, Framer, Message

LIMIT = 16 * 1024 * 1024
"""Bytes of one message."""


class ConverseReader:
    """`DeltaReader` of one stream. Blocks of server-side tools have no counterpart elsewhere and are passed over."""

    __slots__ = ("_calls", "_ended", "_framer", "_started", "_stop", "_stop_sequence", "_tier", "_usage")

    def __init__(self) -> None:
        self._framer = Framer(LIMIT)
        self._calls: dict[int, int] = {}
        """Number of the call by index of its block."""
        self._started = False
        self._ended = False
        self._stop: str | None = None
        self._stop_sequence = ""
        self._usage: Usage | None = None
        self._tier = ""

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        try:
            for message in self._framer.feed(data):
                if not self._ended:
                    self._message(message, out)
        except BadFrame as error:
            raise errors.broken_answer("", f"a broken frame: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise errors.broken_answer("", "an event that is none of Converse's") from None
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        if self._stop is not None and not self._ended and not self._framer.rest():
            self._end(out)  # complete, but for its usage
        return out

    def _message(self, message: Message, out: list[Delta]) -> None:
        headers = message.headers
        if headers.get(":message-type") != "event":
            raise from_exception(headers, message.payload)
        kind = headers.get(":event-type")
        event = wire.decode_event(message.payload)
        if not self._started:
            self._started = True
            out.append(Started())
        if kind == "contentBlockDelta" and event.delta is not None:
            self._delta(event.content_block_index, event.delta, out)
        elif kind == "contentBlockStart" and event.start is not None:
            use = event.start.tool_use
            if use is not None and use.type is None:
                self._calls[event.content_block_index] = number = len(self._calls)
                out.append(ToolStarted(index=number, id=use.tool_use_id, name=use.name))
        elif kind == "messageStop":
            self._stop = event.stop_reason or ""
            self._stop_sequence = wire.stopped_by(event.additional_model_response_fields)
        elif kind == "metadata":
            if event.usage is not None:
                self._usage = event.usage.usage(event.service_tier, event.performance_config)
            if event.service_tier is not None:
                self._tier = event.service_tier.type or ""
            if self._stop is not None:
                self._end(out)

    def _delta(self, index: int, delta: wire.DeltaBlock, out: list[Delta]) -> None:
        if delta.text is not None:
            out.append(TextDelta(text=delta.text))
        elif delta.tool_use is not None:
            if index in self._calls and delta.tool_use.input:
                out.append(ToolDelta(index=self._calls[index], arguments=delta.tool_use.input))
        elif delta.reasoning_content is not None:
            thought = delta.reasoning_content
            out.append(
                ThinkingDelta(
                    text=thought.text or "",
                    signature=sealed("bedrock", thought.signature or ""),
                    redacted=sealed("bedrock", thought.redacted_content or ""),
                )
            )
        elif delta.citation is not None:
            out.append(CitationDelta(citation=cited(delta.citation)))
        elif delta.image is not None:
            media = picture(delta.image)
            if media is not None:
                out.append(MediaDelta(media=media))

    def _end(self, out: list[Delta]) -> None:
        self._ended = True
        reason = wire.FINISH.get(self._stop or "", "tool_calls" if self._calls else "stop")
        out.append(Finished(reason=reason, stop_sequence=self._stop_sequence))
        if self._usage is not None:
            out.append(Used(usage=self._usage, service_tier=self._tier))
        out.append(Ended())
