"""Streams of events to a client of a session, which it may take up again where it lost them.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from routeiq.mcp.events import KEEP_ALIVE, event
from routeiq.mcp.wire import Message, encode

KEPT_EVENTS = 1000
KEPT_BYTES = 4 * 1024 * 1024
"""Of one stream, for a client that comes back; the oldest go first."""


class Out(Protocol):
    """Where a stream goes now."""

    @property
    def over(self) -> bool:
        """Whether nothing more can be sent."""

    def begin(self, status: int = 200, *, headers: bytes = b"") -> None:
        """The head of a stream."""

    def write(self, data: bytes) -> None:
        """A piece of it."""

    def end(self, data: bytes = b"") -> None:
        """Its end."""

    def respond(self, status: int, body: bytes, *, headers: bytes = b"") -> None:
        """A whole answer instead."""


class Stream:
    """Events of one request, or of none. Ids are `<stream>-<number>`."""

    def __init__(self, name: str, primed: bool) -> None:
        """`primed`: begin with an event that only has an id, so that the client can come back from the start."""
        self.name = name
        self.done = False
        self.out: Out | None = None
        self._primed = primed
        self._count = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._size = 0

    @property
    def attached(self) -> bool:
        """Whether somebody reads it."""
        return self.out is not None and not self.out.over

    def attach(self, out: Out, headers: bytes, after: int = 0) -> None:
        """Send to `out` from now on, first what came after an event."""
        if self.out is not None and not self.out.over:
            self.out.end()
        self.out = out
        out.begin(200, headers=headers)
        first = b"".join(data for number, data in self._kept if number > after)
        if not after and self._primed:
            first = b"id: %b-0\nretry: 1000\ndata: \n\n" % self.name.encode() + first
        out.write(first or KEEP_ALIVE)
        if self.done:
            out.end()

    def send(self, message: Message) -> None:
        """One message."""
        self._count += 1
        data = event(encode(message), f"{self.name}-{self._count}")
        self._kept.append((self._count, data))
        self._size += len(data)
        while len(self._kept) > KEPT_EVENTS or (self._size > KEPT_BYTES and len(self._kept) > 1):
            self._size -= len(self._kept.popleft()[1])
        if self.attached and self.out is not None:
            self.out.write(data)

    def finish(self) -> None:
        """Nothing more comes."""
        self.done = True
        if self.attached and self.out is not None:
            self.out.end()

    def keep_alive(self) -> None:
        """Say that it is still there."""
        if self.attached and self.out is not None:
            self.out.write(KEEP_ALIVE)
