"""Server-sent events, as MCP sends messages in them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from routeiq.transport.sse import Framer, split

_LINE = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event. `retry` in milliseconds."""

    name: str
    data: bytes
    id: str | None
    retry: int | None


class EventReader:
    """Turns bytes into events, however they were cut."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of one event."""
        self._framer = Framer(limit)

    def feed(self, data: bytes) -> list[Event]:
        """Events completed by `data`. Raises `FrameTooLarge`."""
        whole = self._framer.feed(data)
        return [event for part in split(whole) if (event := _read(part)) is not None] if whole else []


def _read(part: bytes) -> Event | None:
    """One event; `None` for a comment."""
    name, ident, retry = "message", None, None
    data: list[bytes] = []
    known = False
    for line in _LINE.split(part):
        word, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if word == b"data":
            data.append(value)
        elif word == b"event":
            name = value.decode("utf-8", "replace")
        elif word == b"id" and b"\0" not in value:
            ident = value.decode("utf-8", "replace")
        elif word == b"retry" and value.isdigit():
            retry = int(value)
        else:
            continue
        known = True
    return Event(name, b"\n".join(data), ident, retry) if known else None


def event(data: bytes, ident: str = "") -> bytes:
    """One message as an event; JSON has no line ends in it."""
    if ident:
        return b"id: %b\nevent: message\ndata: %b\n\n" % (ident.encode(), data)
    return b"event: message\ndata: %b\n\n" % data


KEEP_ALIVE = b": \n\n"
"""A comment, so that nobody on the way takes the stream for dead."""
