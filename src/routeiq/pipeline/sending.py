"""A request on its way: over our own pool or by the library, and asked for again where an answer comes later.

send ──► attempt
     └─► Poller ──► provider ──► not ready: GET, after a while ──► … ──► ready ──► attempt
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from routeiq.core.exchange import Header
from routeiq.providers.dialects.splice import Piece
from routeiq.providers.translate.codec import Pending
from routeiq.transport.call import Call, UpstreamBroken

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.plan import Route
    from routeiq.pipeline.services import Services

INTERVAL = 0.5
"""Seconds between two questions for an answer that is not ready."""
LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that is looked at for whether it is ready."""
MOST_FAILURES = 5
"""Questions in a row that may fail: what has begun would be paid for twice if it was begun anew."""


def send(attempt: Attempt, head: bytes, body: tuple[Piece, ...]) -> None:
    """Send an attempt's request; `head` is complete but for the length."""
    route = attempt.route
    if route.pending is not None:
        Poller(attempt, route.pending, head).ask(body)
        return
    _dispatch(attempt, route, attempt.exchange.plan.services, head, body)


def _dispatch(call: Call, route: Route, services: Services, head: bytes, body: tuple[Piece, ...]) -> None:
    """Over our own pool; through a proxy or by HTTP/2 the library does it."""
    origin = route.origin
    if origin is None:
        call.payload = body
        services.library.send(call, route.target.spec, head)
        return
    length = 0
    for piece in body:
        length += len(piece)
    call.payload = (head, b"Content-Length: %d\r\n\r\n" % length, *body)
    call.size = length
    origin.send(call)


class Poller(Call):
    """Between an attempt and its provider: hands on the first answer that is ready. The attempt's deadline holds."""

    __slots__ = (
        "_attempt",
        "_failures",
        "_head",
        "_headers",
        "_pending",
        "_pieces",
        "_size",
        "_status",
        "_target",
        "_timer",
    )

    def __init__(self, attempt: Attempt, pending: Pending, head: bytes) -> None:
        super().__init__()
        self._attempt = attempt
        self._pending = pending
        self._head = head
        self._target = ""
        """Where it is asked for; empty before anything has begun."""
        self._failures = 0
        self._status = 0
        self._headers: list[Header] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        attempt.carrier = self

    def ask(self, body: tuple[Piece, ...]) -> None:
        """Send the request."""
        _dispatch(self, self._attempt.route, self._attempt.exchange.plan.services, self._head, body)

    # Call

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status
        self._headers = headers

    def on_data(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > LIMIT:
            self.cancel()
            self._attempt.on_failure(UpstreamBroken("too_large", f"an answer of over {LIMIT} bytes"))

    def on_done(self) -> None:
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self.carrier = None  # by now it may be somebody else's
        if self._status < 300:
            self._failures = 0
            target = self._pending(self._head.split(b" ", 2)[1].decode(), body)
            if target is not None:
                self._target = target
                self._later()
                return
        elif self._target and (self._status == 429 or self._status >= 500) and self._failures < MOST_FAILURES:
            self._failures += 1
            self._later()
            return
        attempt = self._attempt
        attempt.on_head(self._status, self._headers)
        if body and not attempt.cancelled:
            attempt.on_data(body)
        if not attempt.cancelled:
            attempt.on_done()

    def on_failure(self, failure: UpstreamBroken) -> None:
        self._attempt.on_failure(failure)

    # Carrier

    def cancel(self) -> None:
        super().cancel()
        if self._timer is not None:
            self._timer.cancel()

    def pause(self) -> None:
        """What is handed on has come completely."""

    def resume(self) -> None:
        """Nothing was held back."""

    def _later(self) -> None:
        self._timer = self._attempt.exchange.plan.services.loop.call_later(INTERVAL, self._again)

    def _again(self) -> None:
        _, _, lines = self._head.partition(b"\r\n")
        head = b"GET %b HTTP/1.1\r\n%b" % (self._target.encode(), lines)
        self.reconnected = False
        _dispatch(self, self._attempt.route, self._attempt.exchange.plan.services, head, ())
