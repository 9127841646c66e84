"""Streams cut into the payloads of their events, whatever the chunking: server-sent events and lines of JSON."""

from __future__ import annotations

import re

from routeiq.providers import errors
from routeiq.transport.sse import Framer, FrameTooLarge, payload, split

LIMIT = 16 * 1024 * 1024
"""Bytes of one event."""


class EventFrames:
    """Data of server-sent events; comments and empty events are left out."""

    __slots__ = ("_framer",)

    def __init__(self) -> None:
        self._framer = Framer(LIMIT)

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads completed by `data`. Raises `UpstreamError` for an event that does not end."""
        try:
            events = self._framer.feed(data)
        except FrameTooLarge as error:
            raise errors.broken_answer("", f"an event that does not end: {error}") from None
        if not events:
            return []
        return [found for event in split(events) if (found := payload(event).strip())]

    def rest(self) -> bytes:
        """Payload of what came after the last complete event."""
        return payload(self._framer.rest())


_HALF = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(\\u[dD][89abAB][0-9a-fA-F]{2})|(\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
"""Escapes of surrogates: a pair, or only the first or second half of one."""


class Halves:
    """Joins characters that a server cut in two escapes, of which each event has one: JSON has no half characters."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first = b""

    def mended(self, payload: bytes) -> bytes:
        """The same with the first half put off to the next event; one that has no other half is U+FFFD."""
        return _HALF.sub(self._mend, payload)

    def _mend(self, found: re.Match[bytes]) -> bytes:
        slashes, pair, first, second = found.groups(b"")
        if pair:
            return found[0]
        if first:
            self._first = first
            return slashes
        first, self._first = self._first, b""
        return slashes + (first + second if first else rb"\ufffd")


class LineFrames:
    """Lines of JSON (https://github.com/ndjson/ndjson-spec)."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Lines completed by `data`. Raises `UpstreamError` for one that does not end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LIMIT:
            raise errors.broken_answer("", f"a line of over {LIMIT} bytes")
        return [found for line in lines if (found := line.strip())]

    def rest(self) -> bytes:
        """What came after the last line end."""
        return self._rest.strip()
