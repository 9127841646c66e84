"""Ollama's stream, read: deltas out of lines of JSON.

https://docs.ollama.com/api/streaming; an error in the midst is a line of its own: https://docs.ollama.com/api/errors
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from routeiq.providers import errors
from routeiq.providers.translate.chat import (
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
from routeiq.providers.translate.frames import LineFrames
from routeiq.providers.translate.ollama import wire


class LineReader:
    """`DeltaReader` of one stream. Calls come whole; the line with `done` is the last."""

    __slots__ = ("_calls", "_ended", "_frames", "_started")

    def __init__(self) -> None:
        self._frames = LineFrames()
        self._started = False
        self._ended = False
        self._calls = 0

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for payload in self._frames.feed(data):
            if not self._ended:
                self._line(payload, out)
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._frames.rest()
        if rest.endswith(b"}") and not self._ended:
            try:
                wire.decode_line(rest)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return out  # cut within a line
            self._line(rest, out)
        return out

    def _line(self, payload: bytes, out: list[Delta]) -> None:
        try:
            line = wire.decode_line(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise errors.broken_answer("", "a line that is no answer of Ollama's") from None
        if line.error is not UNSET and line.error is not None:
            raise errors.from_event(payload, provider="")
        if not self._started:
            self._started = True
            out.append(Started(model=line.model))
        message = line.message or wire.Message()
        if message.thinking:
            out.append(ThinkingDelta(text=message.thinking))
        logprobs = wire.logprobs_of(line.logprobs)
        if message.content or logprobs is not None:
            out.append(TextDelta(text=message.content or "", logprobs=logprobs))
        for call in message.tool_calls or ():
            ident = wire.call_id(call, line.created_at, self._calls)
            out.append(ToolStarted(index=self._calls, id=ident, name=call.function.name))
            out.append(ToolDelta(index=self._calls, arguments=bytes(call.function.arguments).decode()))
            self._calls += 1
        if line.done:
            self._ended = True
            out.append(Finished(reason=line.finish(self._calls > 0)))
            usage = line.usage()
            if usage is not None:
                out.append(Used(usage=usage))
            out.append(Ended())
