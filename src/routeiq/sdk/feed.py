"""A streamed answer between two threads: fed by the event loop's, read by whoever iterates."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType

import msgspec

from routeiq.sdk.response import Details, Response
from routeiq.transport.sse import Framer, payload, split

MOST_UNREAD = 256 * 1024
"""Bytes that may wait to be read before the provider is no longer read from."""
MAX_EVENT = 16 * 1024 * 1024

_decode = msgspec.json.Decoder(dict).decode

Piece = bytes | Exception | None
"""Some events; why there are no more; the regular end."""


class Feed:
    """What has come and was not read yet. One writer, one reader."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """`pause` is called in the writer's thread, `resume` in the reader's."""
        self._pause = pause
        self._resume = resume
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._unread = 0
        self._paused = False
        self._waiting: Future[Piece] | None = None

    def put(self, piece: Piece) -> None:
        """Hand over what came."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            if waiting is None or not waiting.set_running_or_notify_cancel():
                waiting = None
                self._pieces.append(piece)
                self._unread += len(piece) if isinstance(piece, bytes) else 0
            full = self._unread > MOST_UNREAD and not self._paused
            if full:
                self._paused = True
        if waiting is not None:
            waiting.set_result(piece)
        if full:
            self._pause()

    def take(self) -> Future[Piece]:
        """The next piece, now or when it comes."""
        future: Future[Piece] = Future()
        with self._lock:
            if not self._pieces:
                self._waiting = future
                return future
            piece = self._pieces.popleft()
            self._unread -= len(piece) if isinstance(piece, bytes) else 0
            relieved = self._paused and self._unread < MOST_UNREAD // 4
            if relieved:
                self._paused = False
        if relieved:
            self._resume()
        future.set_result(piece)
        return future


class Stream:
    """A streamed answer. Iterate with `for` or `async for`; leave early with `close()`, or use it in a `with` block.

    Nobody's stream is closed too: the provider's work is cancelled when the object is gone.
    """

    def __init__(self, feed: Feed, details: Details, cancel: Callable[[], None]) -> None:
        self.routeiq = details
        self._feed = feed
        self._framer = Framer(MAX_EVENT)
        self._ready: deque[Response] = deque()
        self._ended = False
        self._cancel = weakref.finalize(self, cancel)
        self._cancel.atexit = False

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Response:
        while not self._ready:
            if self._ended:
                raise StopIteration
            self._see(self._feed.take().result())
        return self._ready.popleft()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Response:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            future = self._feed.take()
            self._see(future.result() if future.done() else await asyncio.wrap_future(future))
        return self._ready.popleft()

    def close(self) -> None:
        """Take no more; the provider's work is cancelled if it is not done."""
        self._ended = True
        self._ready.clear()
        self._cancel()

    async def aclose(self) -> None:
        """The same."""
        self.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _see(self, piece: Piece) -> None:
        if self._ended:
            return  # closed while it was waited for
        if not isinstance(piece, bytes):
            self._ended = True
            self._cancel.detach()
            if piece is not None:
                raise piece
            return
        for event in split(self._framer.feed(piece)):
            data = payload(event).strip()
            if data and data != b"[DONE]":
                self._ready.append(Response(_decode(data), self.routeiq))
