"""Server-sent events as bytes: cut at event boundaries, otherwise untouched.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

DONE = b"data: [DONE]\n\n"
"""The terminal marker of OpenAI's streams."""

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA = re.compile(rb"(?:^|[\r\n])data:[ ]?([^\r\n]*)")


class FrameTooLarge(ValueError):
    """An event did not end within the limit."""


class Framer:
    """Cuts a byte stream into whole events, each with its own blank line, whatever the chunking."""

    __slots__ = ("_limit", "_tail")

    def __init__(self, limit: int) -> None:
        self._tail = b""
        self._limit = limit

    def feed(self, data: bytes) -> bytes:
        """All events completed by `data`, joined; what is not complete is kept. Raises `FrameTooLarge`."""
        tail = self._tail
        if tail:
            data = tail + data
        if data.endswith(b"\n\n"):
            self._tail = b""
            return data
        end = max(data.rfind(b"\n\n") + 2, 0) if b"\n\n" in data else 0
        if b"\r" in data:
            # A "\r\r" at the very end may be the first half of "\r\r\n…": still a boundary, so no need to wait.
            for match in _BOUNDARY.finditer(data, end):
                end = match.end()
        if len(data) - end > self._limit:
            raise FrameTooLarge(f"an event is longer than {self._limit} bytes")
        self._tail = data[end:]
        return data[:end] if end else b""

    def rest(self) -> bytes:
        """What came after the last complete event."""
        return self._tail


def split(events: bytes) -> list[bytes]:
    """Whole events, one by one, each with its boundary."""
    out = []
    start = 0
    for match in _BOUNDARY.finditer(events):
        out.append(events[start : match.end()])
        start = match.end()
    if start < len(events):
        out.append(events[start:])
    return out


def payload(event: bytes) -> bytes:
    """The `data` of one event: its data lines joined by newlines."""
    lines = _DATA.findall(event)
    return lines[0] if len(lines) == 1 else b"\n".join(lines)
