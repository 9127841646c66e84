"""The client's side: HTTP/1.1 by llhttp, strict, with limits and deadlines on everything a client may send.

idle ──first byte──► head ──blank line──► body ──complete──► serving ──answered──► idle
 │ keep-alive         │ client_header      │ client_body_idle  │
 └────────────────────┴── too late: closed ┘                   └ pipelined requests wait their turn
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import cast

import httptools

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.pipeline.answer import error_head
from routeiq.process.heads import Request
from routeiq.process.parsing import GATHER, Host, RequestParsing, Serving

log = logging.getLogger("routeiq.process")

PIPELINED = 16
"""Requests a client may send ahead of their answers before it is no longer read from."""
LINGER = 2.0
"""Seconds a refused client may go on sending into the void, so that it gets to read why."""
STALLED = 300.0
"""Seconds a client may take nothing of an answer before its connection is closed."""


class ClientConnection(RequestParsing, asyncio.Protocol):
    """One client connection. Implements `core.exchange.Client` for what it is serving; anybody else is ignored."""

    __slots__ = (
        "_congested",
        "_ended",
        "_head_key",
        "_held",
        "_pending_head",
        "_transport",
        "_unsent",
    )

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._transport: asyncio.Transport | None = None
        self._head_key = b""
        """What to remember the head of the request that is being parsed under."""
        self._pending_head = b""
        self._congested = False
        self._unsent = math.inf
        self._held = False
        """Whether the client is not read from because it is too far ahead."""
        self._ended = False
        """Whether nothing after the last request counts."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.deadline = self._host.now() + self._host.timeouts.client_header
        self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._host.closed(self)
        self._queue.clear()
        serving, self.serving = self.serving, None
        if serving is not None:
            serving.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            if self._upgrading is not None:
                self._finish_upgrade(data)
            return
        if self._raw_left:
            data = self._take_raw(data)
            if not data:
                return
        elif self._between and self._request is None and not self._queue and not self._congested:
            host = self._host
            self._head_key, known = host.heads.find(data, host.limits.max_body)
            if known is not None:
                self._request = known
                host.serve(self, known)
                return
        self._head_bytes += len(data)
        busy = self._request is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ended = True
            self._finish_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError:
            # A fault of ours: the client learns that much, the log everything.
            log.exception("a request could not be handled")
            self._fault = GatewayError("The gateway failed to handle this request.", code="internal_error")
            if not busy:
                self._request = None
                serving, self.serving = self.serving, None
                if serving is not None:
                    serving.client_gone()
        except httptools.HttpParserError as error:
            if self._fault is None:
                self._fault = BadRequest(f"The request is not valid HTTP/1.1: {error}", code="invalid_http")
        if self._fault is not None:
            self._refuse(self._fault)
        elif self._head_bytes > self._host.limits.max_head:
            self._refuse(BadRequest("The request's headers are too large.", status=431, code="headers_too_large"))
        elif self._head_done:
            if self.serving is None:
                self.deadline = self._host.now() + self._host.timeouts.client_body_idle
            if self._body_length > GATHER:
                self._raw_left = self._body_length - self._body_size

    def pause_writing(self) -> None:
        self._congested = True
        self._unsent = math.inf
        self.deadline = self._host.now() + STALLED
        if self.serving is not None:
            self.serving.client_slow()

    def resume_writing(self) -> None:
        self._congested = False
        if self.serving is not None:
            self.deadline = math.inf
            self.serving.client_ready()
        else:
            self.deadline = self._host.now() + self._host.timeouts.client_keepalive
            self._next()

    # parsing

    def _take(self, request: Request) -> None:
        if self._request is None and not self._queue and not self._congested:
            self._request = request
            if self._head_key:
                self._host.heads.remember(self._head_key, request)
                self._head_key = b""
            self._host.serve(self, request)
        else:
            self._queue.append(request)
            if len(self._queue) >= PIPELINED and self._transport is not None and not self._held:
                self._held = True
                self._transport.pause_reading()

    # core.exchange.Client

    def respond(self, serving: object, head: bytes, body: bytes) -> None:
        """A whole answer; `head` up to `Content-Length`."""
        transport, request = self._transport, self._request
        if serving is not self.serving or transport is None or request is None:
            return
        close = request.close or self._host.draining
        ending = b"\r\nConnection: close\r\n\r\n" if close else b"\r\n\r\n"
        outbox = self._host.outbox
        if request.method == b"HEAD":
            outbox.send(transport, b"%bContent-Length: %d%b" % (head, len(body), ending), close)
        elif len(body) > GATHER:
            outbox.send(transport, (head, b"Content-Length: %d%b" % (len(body), ending), body), close)
        else:
            outbox.send(transport, b"%bContent-Length: %d%b%b" % (head, len(body), ending, body), close)
        self._answered(close)

    def begin(self, serving: object, head: bytes) -> None:
        """The head of a streamed answer; it leaves with the first chunk."""
        request = self._request
        if serving is not self.serving or request is None:
            return
        if request.http10:
            request.close = True
            self._pending_head = head + b"Connection: close\r\n\r\n"
        elif request.close or self._host.draining:
            request.close = True
            self._pending_head = head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        else:
            self._pending_head = head + b"Transfer-Encoding: chunked\r\n\r\n"

    def write(self, serving: object, data: bytes) -> None:
        """One chunk."""
        transport, request = self._transport, self._request
        if serving is not self.serving or transport is None or request is None:
            return
        head = self._pending_head
        if head:
            self._pending_head = b""
        if request.http10:
            self._host.outbox.send(transport, head + data)
        else:
            self._host.outbox.send(transport, b"%b%x\r\n%b\r\n" % (head, len(data), data))

    def end(self, serving: object, data: bytes = b"") -> None:
        """The regular end of a stream; `data` is its last chunk, which leaves after the Event is written."""
        transport, request = self._transport, self._request
        if serving is not self.serving or transport is None or request is None:
            return
        head, self._pending_head = self._pending_head, b""
        if request.http10:
            tail = head + data
        elif data:
            tail = b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(data), data)
        else:
            tail = head + b"0\r\n\r\n"
        close = request.close or self._host.draining
        self._host.outbox.send(transport, tail, close)
        self._answered(close)

    def abort(self, serving: object) -> None:
        """The irregular end of a stream: no last chunk, so that nobody takes it for complete."""
        if serving is not self.serving:
            return
        self.serving = None
        self._pending_head = b""
        self.close()

    # from the host

    def serve_as(self, serving: Serving) -> None:
        """What this connection's request has become; called before any of the answer."""
        self.serving = serving
        self.deadline = math.inf

    def late(self) -> None:
        """The deadline has passed: answer 408 to half a request, otherwise just close."""
        if self._congested and self._transport is not None:
            unsent = self._transport.get_write_buffer_size()
            if unsent < self._unsent:
                # It does read, if slowly.
                self._unsent = unsent
                self.deadline = self._host.now() + STALLED
                return
        if self.serving is None and (self._head_done or self._head_bytes):
            self._refuse(BadRequest("The request did not arrive in time.", status=408, code="request_timeout"))
        elif self._transport is not None:
            self._transport.abort()

    def close_when_idle(self) -> None:
        """Drain: close now if nothing is being served; else the answer will say `Connection: close`."""
        if self._request is None and not self._head_done and not self._head_bytes:
            self.close()

    def cut(self) -> None:
        """Close now, whatever is being sent."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after what is already written."""
        self._host.outbox.flush()
        if self._transport is not None:
            self._transport.close()

    # helpers

    def _answered(self, close: bool) -> None:
        self._request = None
        self.serving = None
        if close:
            self._queue.clear()
            return
        if self._queue:
            self._host.soon(self._next)
        elif self._expecting:
            self._continue()
        if not self._congested:
            timeouts = self._host.timeouts
            pending = self._head_done or self._head_bytes
            seconds = timeouts.client_body_idle if pending else timeouts.client_keepalive
            self.deadline = self._host.now() + seconds

    def _next(self) -> None:
        """Serve the next of the requests that came ahead, unless the client does not take the answers."""
        transport = self._transport
        if not self._queue or self._request is not None or self._congested or transport is None:
            return
        request = self._request = self._queue.popleft()
        if self._held and len(self._queue) < PIPELINED:
            self._held = False
            transport.resume_reading()
        self._host.serve(self, request)

    def _continue(self) -> None:
        self._expecting = False
        if self._transport is not None:
            self._host.outbox.send(self._transport, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _finish_upgrade(self, data: bytes) -> None:
        """Go on with a request that asked for an upgrade, which a server may ignore (RFC 9110 7.8).

        Java's HTTP client asks for h2c with its first request, whatever that is; so it has to be served, body and all.
        """
        request = self._upgrading
        if request is None:
            return
        if b"transfer-encoding" in request.fields:
            self._upgrading = None
            self._refuse(BadRequest("This endpoint does not upgrade connections.", code="upgrade_not_supported"))
            return
        length = int(request.fields.get(b"content-length", b"0"))
        self._body.append(data)
        self._body_size += len(data)
        if self._body_size >= length:
            self._upgrading = None
            request.body = b"".join(self._body)[:length]
            self._body = []
            self._take(request)
        else:
            self.deadline = self._host.now() + self._host.timeouts.client_body_idle

    def _refuse(self, error: GatewayError) -> None:
        """Answer what can't be served and close: after a broken request nothing that follows can be trusted."""
        transport = self._transport
        self._fault = error
        if transport is None or transport.is_closing():
            return
        self._host.outbox.flush()  # answers to earlier requests go first
        if transport.is_closing():
            return
        self._queue.clear()
        self._ended = True
        if self.serving is None:
            body = error.body()
            head = error_head(None, error)
            transport.write(b"%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (head, len(body), body))
            self._head_bytes = 0
            self._head_done = False
            if transport.can_write_eof():
                # RFC 9112 9.6: closed at once, a client that is still sending would be reset before it reads this.
                transport.write_eof()
                self.deadline = self._host.now() + LINGER
            else:
                transport.close()
        else:
            # An earlier request on this connection is still being answered: let it finish, then close.
            assert self._request is not None
            self._request.close = True
