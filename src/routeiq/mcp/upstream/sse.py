"""HTTP+SSE of 2024-11-05: messages come over one stream of events, and go by POST to where that says.

https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from routeiq.core.exchange import Header
from routeiq.core.mcp import McpServer
from routeiq.mcp.events import Event, EventReader
from routeiq.mcp.upstream.channel import Answered, Unreachable
from routeiq.mcp.upstream.duplex import Duplex
from routeiq.mcp.upstream.http import Exchange
from routeiq.mcp.wire import McpError, Message, Unavailable, decode, encode
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin
from routeiq.transport.sse import FrameTooLarge

ENDPOINT_SECONDS = 10.0
"""How long it may take until the server has said where messages go."""


def channel(server: McpServer, origin: Origin, limit: int) -> Duplex:
    """A stream that begins with the first message. `limit`: bytes of one message."""
    connection = _Connection(server, origin, limit)
    connection.duplex = Duplex(connection.write, server.timeout, connection.end)
    return connection.duplex


class _Connection:
    def __init__(self, server: McpServer, origin: Origin, limit: int) -> None:
        self.duplex: Duplex
        self._server = server
        self._origin = origin
        self._limit = limit
        self._stream: _Stream | None = None
        self._target: asyncio.Future[str] | None = None
        self._head = f"Host: {server.host_header}\r\n"
        self._head += "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())

    async def write(self, message: Message) -> None:
        """POST a message."""
        target = await self._open()
        body = encode(message)
        head = f"POST {target} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        post = Exchange((head.encode("latin-1"), body), lambda _: None, None, self._limit)
        post.size = len(body)
        post.idle_seconds = self._server.timeout
        self._origin.send(post)
        post.watch()
        try:
            await post.answer
        finally:
            post.stop()

    async def end(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.cancel()

    async def _open(self) -> str:
        if self._target is None:
            self._target = asyncio.get_running_loop().create_future()
            get = f"GET {self._server.target} HTTP/1.1\r\n{self._head}Accept: text/event-stream\r\n\r\n"
            self._stream = _Stream(get.encode("latin-1"), self._limit, self._take, self._fail)
            self._origin.send(self._stream)
        try:
            async with asyncio.timeout(ENDPOINT_SECONDS):
                return await asyncio.shield(self._target)
        except TimeoutError:
            raise Unavailable("The server did not say where messages go.") from None

    def _take(self, event: Event) -> None:
        if event.name == "endpoint":
            self._endpoint(event.data.decode("utf-8", "replace").strip())
        elif event.name == "message" and event.data:
            try:
                self.duplex.take(decode(event.data))
            except McpError:
                self._fail(Unavailable("The server sent what is not a message."))

    def _endpoint(self, text: str) -> None:
        """Where messages go: at the same server, or nowhere."""
        server = self._server
        base = f"{server.scheme}://{server.host_header}"
        parts = urlsplit(urljoin(base + server.target, text))
        if f"{parts.scheme}://{parts.netloc}" != base or any(c <= " " or c > "~" for c in text):
            self._fail(Unavailable("The server wants messages sent elsewhere."))
        elif self._target is not None and not self._target.done():
            self._target.set_result(parts.path + (f"?{parts.query}" if parts.query else ""))

    def _fail(self, error: Unavailable) -> None:
        if self._target is not None and not self._target.done():
            self._target.set_exception(error)
            self._target.exception()  # nobody may be waiting
        self.duplex.fail(error)


class _Stream(Call):
    """The GET."""

    __slots__ = ("_fail", "_reader", "_status", "_take")

    def __init__(
        self, head: bytes, limit: int, take: Callable[[Event], None], fail: Callable[[Unavailable], None]
    ) -> None:
        super().__init__((head,))
        self._reader = EventReader(limit)
        self._take = take
        self._fail = fail
        self._status = 0

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if status != 200 or not kind.lower().startswith(b"text/event-stream"):
            self._fail(Answered(status))
            self.cancel()

    def on_data(self, data: bytes) -> None:
        try:
            for event in self._reader.feed(data):
                self._take(event)
        except FrameTooLarge:
            self._fail(Unavailable("A message of the server is too long."))
            self.cancel()

    def on_done(self) -> None:
        self._fail(Unavailable("The server has closed its stream."))

    def on_failure(self, failure: UpstreamBroken) -> None:
        self._fail(Unreachable(f"The server can't be reached: {failure}"))
