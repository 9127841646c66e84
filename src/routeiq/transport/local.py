"""Carries a call to an answer made in this process: the embedded provider and `mock_response`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from routeiq.core.exchange import Header
from routeiq.transport.call import Call


class LocalAnswer:
    """Plays status, headers and chunks to a call, `interval` seconds apart, honouring pause and cancel."""

    __slots__ = ("_call", "_chunks", "_handle", "_head", "_interval", "_loop", "_paused", "_started")

    def __init__(
        self, call: Call, status: int, headers: list[Header], chunks: Iterator[bytes], interval: float
    ) -> None:
        self._call = call
        self._head = (status, headers)
        self._chunks = chunks
        self._interval = interval
        self._paused = False
        self._started = False
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = self._loop.call_soon(self._step)
        call.carrier = self

    def cancel(self) -> None:
        """Stop playing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def pause(self) -> None:
        """Hold the next chunk back."""
        self._paused = True

    def resume(self) -> None:
        """Play on."""
        if self._paused:
            self._paused = False
            if self._handle is None:
                self._handle = self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._handle = None
        call = self._call
        if not self._started:
            self._started = True
            call.on_head(*self._head)
        elif not self._paused:
            chunk = next(self._chunks, None)
            if chunk is None:
                call.carrier = None
                call.on_done()
                return
            call.on_data(chunk)
        if call.cancelled or self._paused:
            return
        self._handle = (
            self._loop.call_later(self._interval, self._step) if self._interval else self._loop.call_soon(self._step)
        )
