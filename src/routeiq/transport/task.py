"""A call carried by a task: by a library that is awaited, in place of a connection of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from routeiq.transport.call import Call, UpstreamBroken


class TaskCarrier:
    """The carrier of one call. Subclasses know how to call what went wrong."""

    def __init__(self, call: Call) -> None:
        self.gate = asyncio.Event()
        """Open while the client takes what comes: to be waited for before each piece."""
        self.gate.set()
        self._call = call
        self._task: asyncio.Task[None]
        call.carrier = self

    def start(self, loop: asyncio.AbstractEventLoop, carry: Coroutine[object, object, None]) -> None:
        """Begin; `carry` tells the call its head and data, its end is told here."""
        self._task = loop.create_task(carry)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Stop; the library closes its connection or stream."""
        self._task.cancel()

    def pause(self) -> None:
        """Hold the next piece back."""
        self.gate.clear()

    def resume(self) -> None:
        """Go on."""
        self.gate.set()

    def broken(self, error: BaseException) -> UpstreamBroken:
        """What the call is told of an exception."""
        raise NotImplementedError

    def _ended(self, task: asyncio.Task[None]) -> None:
        call = self._call
        if task.cancelled() or call.cancelled:
            return
        call.carrier = None
        error = task.exception()
        if error is None:
            call.on_done()
        else:
            call.on_failure(self.broken(error))
