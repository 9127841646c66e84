"""From what llhttp tells of a client's bytes to requests, with limits on everything a client may send."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

import httptools

from routeiq.core.errors import BadRequest, BodyTooLarge, GatewayError
from routeiq.core.exchange import Header
from routeiq.process.heads import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from routeiq.core.snapshot import Limits, Timeouts
    from routeiq.process.heads import Heads
    from routeiq.process.http import ClientConnection
    from routeiq.transport.outbox import Outbox

GATHER = 64 * 1024
"""Bodies above this go past the parser, and answers are written in two pieces instead of being joined."""


class Serving(Protocol):
    """What a connection is working on: an exchange of the pipeline, or a request relayed elsewhere."""

    def client_gone(self) -> None:
        """The client closed its connection."""

    def client_slow(self) -> None:
        """The client reads slower than it is sent to."""

    def client_ready(self) -> None:
        """The client has caught up."""


class Host(Protocol):
    """Whose connections these are: a worker, or the process with MCP."""

    limits: Limits
    timeouts: Timeouts
    heads: Heads
    outbox: Outbox
    now: Callable[[], float]
    draining: bool

    def opened(self, connection: ClientConnection) -> None:
        """A client connected."""

    def closed(self, connection: ClientConnection) -> None:
        """A client is gone."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Run in the next turn of the loop."""

    def serve(self, connection: ClientConnection, request: Request) -> None:
        """Take one request, and say by `connection.serve_as` what has become of it."""


class RequestParsing:
    """What httptools calls, method by method. Whoever is connected says what becomes of a request: `_take`."""

    __slots__ = (
        "_between",
        "_body",
        "_body_length",
        "_body_size",
        "_expecting",
        "_fault",
        "_fields",
        "_head",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_host",
        "_parser",
        "_queue",
        "_raw_left",
        "_request",
        "_upgrading",
        "_url",
        "deadline",
        "serving",
    )

    def __init__(self, host: Host) -> None:
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self.serving: Serving | None = None
        """What is being worked at."""
        self._request: Request | None = None
        self._queue: deque[Request] = deque()
        self._url = b""
        self._headers: list[Header] = []
        self._head: list[Header] = []
        self._fields: dict[bytes, bytes] = {}
        self._head_bytes = 0
        """Received since the last byte of a body: of a head, of chunk sizes, of trailers."""
        self._head_done = False
        self._expecting = False
        self._body: list[bytes] = []
        self._body_size = 0
        self._body_length = 0
        """`Content-Length`, 0 without one."""
        self._between = True
        """Whether the parser is between two requests."""
        self._raw_left = 0
        """Bytes of a large body that are still to come, and go past the parser."""
        self._fault: GatewayError | None = None
        self._upgrading: Request | None = None
        """A request that asked for another protocol, as its body arrives."""
        self.deadline = math.inf

    def _take(self, request: Request) -> None:
        """A request is complete."""
        raise NotImplementedError

    def _continue(self) -> None:
        """The client waits for leave to send its body."""
        raise NotImplementedError

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._head_done = False
        self._body = []
        self._body_size = 0
        self._body_length = 0
        self._between = False
        if self.serving is None:
            self.deadline = self._host.now() + self._host.timeouts.client_header

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url
        if len(self._url) > self._host.limits.max_url:
            self._fault = BadRequest("The request's URL is too long.", status=414, code="url_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._head_done = True
        limits = self._host.limits
        headers = self._headers
        self._head = headers
        self._fields = fields = dict(headers)
        if len(headers) > limits.max_headers or (
            self._head_bytes > limits.max_head
            and sum(len(name) + len(value) for name, value in headers) > limits.max_head
        ):
            self._fault = BadRequest("The request's headers are too large.", status=431, code="headers_too_large")
            return
        self._head_bytes = 0
        version = self._parser.get_http_version()
        if version != "1.1" and version != "1.0":
            self._fault = BadRequest("Only HTTP/1.1 is spoken here.", status=505, code="http_version_not_supported")
            return
        # Fewer fields than headers means that something was sent twice.
        hosts = 1 if b"host" in fields else 0
        if hosts and len(fields) != len(headers):
            hosts = sum(name == b"host" for name, _ in headers)
        if hosts != 1 and (hosts or version != "1.0"):
            self._fault = BadRequest("A request has exactly one Host header.", code="invalid_host")
            return
        length = fields.get(b"content-length")
        if length is not None:
            self._body_length = int(length)
            if self._body_length > limits.max_body:
                self._fault = self._too_large()
        coding = fields.get(b"content-encoding")
        if coding is not None and coding.lower() != b"identity":
            self._fault = BadRequest(
                "Request bodies are taken without a content coding.", status=415, code="unsupported_content_encoding"
            )
        if b"transfer-encoding" in fields:
            self._headers = []  # for the trailers, which nobody reads
            if fields[b"transfer-encoding"].lower() != b"chunked":
                self._fault = BadRequest(
                    "The only transfer coding is chunked.", status=501, code="unsupported_transfer_encoding"
                )
        if b"expect" in fields and self._fault is None:
            if fields[b"expect"].lower() != b"100-continue":
                self._fault = BadRequest("Nothing else can be expected.", status=417, code="expectation_failed")
            elif version == "1.1":
                self._expecting = True
                if self._request is None and not self._queue:
                    self._continue()

    def on_chunk_header(self) -> None:
        self._head_bytes = 0

    def on_body(self, data: bytes) -> None:
        self._head_bytes = 0
        self._expecting = False
        self._body.append(data)
        self._body_size += len(data)
        if self._body_size > self._host.limits.max_body:
            self._fault = self._too_large()
            self._body = []

    def _take_raw(self, data: bytes) -> bytes:
        """The rest of a large body without the parser, which would copy it; returns what comes after the body."""
        left = self._raw_left
        if len(data) < left:
            self._body.append(data)
            self._raw_left = left - len(data)
            if self.serving is None:
                self.deadline = self._host.now() + self._host.timeouts.client_body_idle
            return b""
        self._body.append(data if len(data) == left else data[:left])
        self._raw_left = 0
        try:
            self.on_message_complete()
        finally:
            # This one still waits for the body; what follows is another message.
            self._parser = httptools.HttpRequestParser(self)
        return data[left:]

    def on_message_complete(self) -> None:
        self._between = True
        self._head_done = False
        self._head_bytes = 0
        self._expecting = False
        if self._fault is not None:
            return
        body = self._body
        path, _, query = self._url.partition(b"?")
        parser = self._parser
        request = Request(
            parser.get_method(),
            path,
            query,
            self._head,
            self._fields,
            body[0] if len(body) == 1 else b"".join(body),
            parser.should_upgrade() or not parser.should_keep_alive(),
            parser.get_http_version() == "1.0",
        )
        self._body = []
        if parser.should_upgrade():
            # The parser leaves its body, if there is one, to the new protocol.
            self._upgrading = request
        else:
            self._take(request)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The request body is over the limit of {self._host.limits.max_body} bytes.")
