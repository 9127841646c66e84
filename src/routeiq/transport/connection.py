"""One HTTP/1.1 connection to an upstream, used for one call at a time.

idle ──start──► head ──► body ──► idle        kept alive
                  └────────┴────► closed      Connection: close, failure, cancel
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import httptools

from routeiq.core.exchange import Header
from routeiq.transport.call import Call, UpstreamBroken

if TYPE_CHECKING:
    from routeiq.transport.pool import Origin

log = logging.getLogger("routeiq.transport")

MAX_HEAD = 64 * 1024
"""Bytes of response headers taken from a provider."""
GATHER = 64 * 1024
"""Payloads above this are written piece by piece instead of being joined."""


class UpstreamConnection(asyncio.Protocol):
    """The protocol of a pooled connection. Parsing is llhttp's, strict."""

    __slots__ = (
        "_finished",
        "_head_size",
        "_headers",
        "_in_body",
        "_parser",
        "_seen",
        "_spoilt",
        "call",
        "idle_since",
        "origin",
        "paused",
        "transport",
        "used",
    )

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.transport: asyncio.Transport | None = None
        self.call: Call | None = None
        self.used = False
        self.paused = False
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[Header] = []
        self._head_size = 0
        self._in_body = False
        self._seen = False
        self._finished: Call | None = None
        """The call whose answer has just ended."""
        self._spoilt = False
        """Whether the connection is not to be used again."""

    # carrier

    def start(self, call: Call) -> None:
        """Send a call; the connection is idle."""
        self.call = call
        call.carrier = self
        self._seen = False
        transport = self.transport
        assert transport is not None
        payload = call.payload
        if call.size <= GATHER:
            self.origin.outbox.send(transport, b"".join(payload))
        else:
            self.origin.outbox.send(transport, payload)

    def cancel(self) -> None:
        """Close: HTTP/1.1 has no other way to tell the upstream to stop."""
        self.call = None
        if self.transport is not None:
            self.transport.abort()

    def pause(self) -> None:
        """Stop reading from the socket."""
        if not self.paused and self.transport is not None:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.paused and self.transport is not None:
            self.paused = False
            self.transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.call is None:
            # Bytes nobody asked for: the connection can't be trusted with another request.
            self._close()
            return
        self._seen = True
        if not self._in_body:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("protocol", "the upstream switched protocols")
        except httptools.HttpParserCallbackError:
            # A fault of ours while the answer was being handled: whoever waits for it must not wait for ever.
            log.exception("an answer could not be handled")
            self._fail("protocol", "the gateway failed to handle the answer")
        except httptools.HttpParserError as error:
            self._fail("protocol", str(error))
        if self._finished is not None:
            self._finish()
        elif not self._in_body and self._head_size > MAX_HEAD:
            self._fail("too_large", f"response headers over {MAX_HEAD} bytes")

    def eof_received(self) -> bool:
        call = self.call
        if call is not None and self._in_body and not self._has_length():
            # RFC 9112 6.3: without a length the close of the connection ends the body.
            self.call = None
            call.carrier = None
            self._close()
            call.on_done()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        call, self.call = self.call, None
        self.transport = None
        self.origin.forget(self)
        if call is None:
            return
        call.carrier = None
        if self.used and not self._seen and not call.reconnected:
            # The upstream closed a kept connection while the request was on its way: not the request's fault.
            call.reconnected = True
            self.origin.connect(call)
            return
        reason = "reset" if exc is not None else "closed"
        call.on_failure(UpstreamBroken(reason, "the upstream closed the connection before its answer was complete"))

    # httptools

    def on_message_begin(self) -> None:
        self._headers = []
        self._spoilt = self._finished is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._in_body = True
        call = self.call
        if call is not None:
            call.on_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        call = self.call
        if call is not None:
            call.on_data(data)

    def on_message_complete(self) -> None:
        if not self._in_body:
            return  # a 1xx
        call, self.call = self.call, None
        self._in_body = False
        self._head_size = 0
        if call is None:
            return
        call.carrier = None
        self._finished = call
        self._spoilt = not self._parser.should_keep_alive()

    # helpers

    def _finish(self) -> None:
        """The answer is complete, and all that came with it has been seen.

        Only now may another call have the connection: bytes after an answer must never become the answer to it.
        """
        call, self._finished = self._finished, None
        transport = self.transport
        if self._spoilt or transport is None or transport.is_closing():
            self._close()
        else:
            self.used = True
            if self.paused:
                self.resume()
            self.origin.release(self)
        if call is not None:
            call.on_done()

    def _has_length(self) -> bool:
        return any(name == b"content-length" or name == b"transfer-encoding" for name, _ in self._headers)

    def _fail(self, reason: str, detail: str) -> None:
        call, self.call = self.call, None
        self._spoilt = True
        self._close()
        if call is not None:
            call.carrier = None
            call.on_failure(UpstreamBroken(reason, detail))

    def _close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
