"""One call on its way through the pipeline: `core.exchange.Client` of a caller in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Exchange
from routeiq.pipeline.settle import abandon
from routeiq.sdk.errors import APIConnectionError, APIError, APITimeoutError, InternalServerError, of_gateway
from routeiq.sdk.feed import Feed, Stream
from routeiq.sdk.response import Details, Response

_decode = msgspec.json.Decoder(dict).decode


class Call:
    """`future` ends with the whole answer (bytes), or with the Feed of a streamed one that has begun."""

    def __init__(self, endpoint: str, body: bytes, *, stream: bool, timeout: float | None = None) -> None:
        """`timeout`: seconds until the answer is there; of a streamed one, until it begins."""
        self.endpoint = endpoint
        self.body = body
        self.stream = stream
        self.details = Details()
        self.future: Future[bytes | Feed] = Future()
        self.done: Callable[[Call], None] | None = None
        """Told when nothing more will happen."""
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._exchange: Exchange | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: Feed | None = None
        self._unwanted = False

    # for the caller, in any thread

    def wait(self) -> Response | Stream:
        """Block until there is an answer. Raises `APIError`."""
        try:
            outcome = self.future.result()
        except BaseException:
            self.cancel()
            raise
        return self._answer(outcome)

    async def wait_async(self) -> Response | Stream:
        """The same in any event loop."""
        try:
            outcome = await asyncio.wrap_future(self.future)
        except BaseException:
            self.cancel()
            raise
        return self._answer(outcome)

    def cancel(self) -> None:
        """Nobody waits any more: the provider's work is cancelled, if it is under way."""
        self._unwanted = True
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._abandon)
            except RuntimeError:
                return  # the loop has ended, and the call with it

    def _answer(self, outcome: bytes | Feed) -> Response | Stream:
        if isinstance(outcome, Feed):
            return Stream(outcome, self.details, self.cancel)
        if not self.stream:
            return Response(_decode(outcome), self.details)
        # A provider that was asked for a stream and answered in one piece.
        feed = Feed(_nothing, _nothing)
        feed.put(b"data: %b\n\n" % outcome.replace(b"\n", b" "))
        feed.put(None)
        return Stream(feed, self.details, _nothing)

    # for the loop, in its thread

    def bind(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        """It is about to enter the pipeline."""
        self._exchange = exchange
        self._loop = loop
        if self._timeout is not None:
            self._timer = loop.call_later(self._timeout, self._late, self._timeout)
        if self._unwanted:
            loop.call_soon(self._abandon)

    def refuse(self, error: Exception) -> None:
        """It could not enter it."""
        if isinstance(error, GatewayError):
            self.fail(of_gateway(error, {}))
        else:
            self.fail(InternalServerError(f"RouteIQ can't serve this configuration: {error}"))

    def fail(self, error: APIError) -> None:
        """Tell the caller, whatever it waits for."""
        self._finish()
        if self._feed is not None:
            self._feed.put(error)
            return
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return  # it was cancelled

    def cut(self, why: str) -> None:
        """End it before its time."""
        exchange = self._exchange
        if exchange is not None and not exchange.settled:
            abandon(exchange)
            self.fail(APIConnectionError(why))

    def _late(self, seconds: float) -> None:
        exchange = self._exchange
        if exchange is not None and not exchange.settled:
            abandon(exchange)
            self.fail(APITimeoutError(f"There was no answer within {seconds:g} s.", status_code=408, code="timeout"))

    def _abandon(self) -> None:
        if self._exchange is not None:
            abandon(self._exchange)
        self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.done is not None:
            self.done(self)

    def _pause(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.attempt is not None:
            exchange.attempt.pause()

    def _resume(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.attempt is not None:
            exchange.attempt.resume()

    def _relieved(self) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._resume)
        except RuntimeError:
            return

    def _learn(self, exchange: Exchange, head: bytes) -> None:
        self.details.headers = headers_of(head)
        self.details.learn(exchange)

    # core.exchange.Client

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """A whole answer."""
        self._learn(exchange, head)
        if exchange.error is not None:
            self.fail(of_gateway(exchange.error, self.details.headers))
            return
        self._finish()
        try:
            self.future.set_result(body)
        except InvalidStateError:
            return

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """The start of a streamed one."""
        self._learn(exchange, head)
        if self._timer is not None:
            self._timer.cancel()
        self._feed = Feed(self._pause, self._relieved)
        try:
            self.future.set_result(self._feed)
        except InvalidStateError:
            return

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Some of it."""
        if self._feed is not None:
            self._feed.put(data)

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """Its end: regular, or with what went wrong."""
        self.details.learn(exchange)
        if exchange.error is not None:
            self.fail(of_gateway(exchange.error, self.details.headers))
            return
        self._finish()
        if self._feed is not None:
            if data:
                self._feed.put(data)
            self._feed.put(None)

    def abort(self, exchange: Exchange) -> None:
        """Its irregular end."""
        self.fail(APIConnectionError("The answer ended before it was complete."))


def headers_of(head: bytes) -> dict[str, str]:
    """The headers of a rendered response head, names in lower case."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, _, value in lines}


def _nothing() -> None:
    return
