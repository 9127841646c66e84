"""Server-sent events as bytes: cut at event boundaries, otherwise untouched.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

DONE = b"data: [DONE]\n\n"
"""The terminal marker of OpenAI's streams."""

_BOUNDARY = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""Two line ends in a row; atomic, so that one CRLF is not taken for two."""
_DATA = re.compile(rb"(?:^|[\r\n])data:[ ]?([^\r\n]*)")


class FrameTooLarge(ValueError):
    """An event did not end within the limit."""


class Framer:
    """Cuts a byte stream into whole events, each with its own blank line, whatever the chunking."""

    __slots__ = ("_limit", "_parts", "_seam", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        """Of the event that is not complete yet. Joined once, or a large one in small pieces would cost its square."""
        self._size = 0
        self._seam = b""
        """Its last bytes: a blank line may be cut."""

    def feed(self, data: bytes) -> bytes:
        """All events completed by `data`, joined; what is not complete is kept. Raises `FrameTooLarge`."""
        parts = self._parts
        if parts:
            seam = self._seam + data
            if (b"\n" not in seam and b"\r" not in seam) or _BOUNDARY.search(seam) is None:
                self._keep(data, seam)
                return b""
            parts.append(data)
            data = b"".join(parts)
            parts.clear()
            self._size = 0
        if data.endswith(b"\n\n"):
            return data
        end = 0
        if b"\r" not in data:
            end = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        else:
            for match in _BOUNDARY.finditer(data):
                # A last CR after a CRLF is the first half of another. After a CR it is an end: no need to wait.
                if match.end() < len(data) or not data.endswith(b"\r\n\r"):
                    end = match.end()
        if end < len(data):
            self._keep(data[end:], data[end:])
        return data[:end]

    def rest(self) -> bytes:
        """What came after the last complete event."""
        return b"".join(self._parts)

    def _keep(self, data: bytes, seam: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        self._seam = seam[-3:]
        if self._size > self._limit:
            raise FrameTooLarge(f"an event is longer than {self._limit} bytes")


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
