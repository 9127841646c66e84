"""One HTTP request to an agent: its answer whole, or its events as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from routeiq.a2a.wire import Unavailable
from routeiq.core.exchange import Header
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.sse import Framer, FrameTooLarge, payload, split

WAITING = 256
"""Events that wait for the client before no more are read."""


class Exchange(Call):
    """One request and its answer."""

    __slots__ = (
        "_chunks", "_ended", "_events", "_failure", "_framer", "_idle", "_limit", "_loop", "_paused", "_seen", "_size",
        "_timer", "_waiter", "status",
    )  # fmt: skip

    def __init__(self, payload: tuple[bytes, ...], limit: int, idle: float) -> None:
        """`limit`: bytes of one message; `idle`: seconds in which nothing comes."""
        super().__init__(payload)
        self.size = sum(map(len, payload))
        self.status = 0
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._idle = idle
        self._framer: Framer | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._events: deque[bytes] = deque()
        self._failure: Unavailable | None = None
        self._ended = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._seen = False
        self._timer = self._loop.call_later(idle, self._look)

    def close(self) -> None:
        """Nobody waits any more."""
        self._timer.cancel()
        if not self._ended and self._failure is None:
            self.cancel()

    def halt(self, why: str) -> None:
        """End it from outside."""
        if not self._ended and self._failure is None:
            self.cancel()
            self._fail(why)

    async def body(self) -> bytes:
        """All of the answer. Raises `Unavailable`."""
        while not self._ended:
            await self._more()
        return b"".join(self._chunks)

    async def events(self) -> AsyncIterator[bytes]:
        """The data of events; of an answer that is none, the body. Raises `Unavailable` where it breaks off."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._paused and self.carrier is not None:
                self._paused = False
                self.carrier.resume()
            if self._ended:
                break
            await self._more()
        if self._framer is None:
            yield b"".join(self._chunks)

    async def _more(self) -> None:
        """Until something has come."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        await self._waiter

    def on_head(self, status: int, headers: list[Header]) -> None:
        self.status = status
        self._seen = True
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if status < 300 and kind.lower().startswith(b"text/event-stream"):
            self._framer = Framer(self._limit)

    def on_data(self, data: bytes) -> None:
        self._seen = True
        if self._framer is None:
            self._size += len(data)
            self._chunks.append(data)
            if self._size > self._limit:
                self.halt(f"its answer is longer than {self._limit} bytes")
            return
        try:
            whole = self._framer.feed(data)
        except FrameTooLarge:
            self.halt(f"an event of it is longer than {self._limit} bytes")
            return
        if whole:
            self._events.extend(found for part in split(whole) if (found := payload(part)))
            if len(self._events) > WAITING and not self._paused and self.carrier is not None:
                self._paused = True
                self.carrier.pause()
            self._wake()

    def on_done(self) -> None:
        self._ended = True
        self._timer.cancel()
        self._wake()

    def on_failure(self, failure: UpstreamBroken) -> None:
        self._fail(failure.reason)  # the rest names its address

    def _fail(self, why: str) -> None:
        self._timer.cancel()
        self._failure = Unavailable(f"The agent can't be asked: {why}.")
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _look(self) -> None:
        if self._seen or self._paused:
            self._seen = False
            self._timer = self._loop.call_later(self._idle, self._look)
        else:
            self.halt(f"it has said nothing for {self._idle:g} s")
