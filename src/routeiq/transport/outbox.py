"""Writes of one turn of the event loop, made together at its end.

A socket write wakes the peer's process, and a peer that is woken for every single answer costs this machine more than
the answer did. So whatever is ready in one turn leaves in one burst. What has to be durable before an answer leaves,
the Events of the Journal, is written first, all of them with one call: a group commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Outbox:
    """Collects (transport, bytes); `before` runs ahead of each burst. Order is kept, per connection and overall."""

    __slots__ = ("_before", "_call_soon", "_entries")

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], None]) -> None:
        self._call_soon = loop.call_soon
        self._before = before
        self._entries: list[tuple[asyncio.Transport, bytes | tuple[bytes | memoryview, ...], bool]] = []

    def send(
        self, transport: asyncio.Transport, data: bytes | tuple[bytes | memoryview, ...], close: bool = False
    ) -> None:
        """Write `data` (or its pieces) at the end of this turn, and close after it if asked to."""
        if not self._entries:
            self._call_soon(self.flush)
        self._entries.append((transport, data, close))

    def commit(self) -> None:
        """Do what comes ahead of a burst, though there is none: an Event whose client has gone."""
        self._before()

    def flush(self) -> None:
        """Write everything now: also to be called before anything that must not overtake what is waiting."""
        entries = self._entries
        if not entries:
            return
        self._entries = []
        self._before()
        for transport, data, close in entries:
            if transport.is_closing():
                continue
            if isinstance(data, bytes):
                transport.write(data)
            else:
                transport.writelines(data)
            if close:
                transport.close()
