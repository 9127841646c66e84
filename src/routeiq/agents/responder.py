"""The answer to one request: whole, or as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from routeiq.core.errors import GatewayError
from routeiq.pipeline.answer import error_head, reason

if TYPE_CHECKING:
    from routeiq.process.http import ClientConnection

JSON = b"application/json"
EVENTS = b"text/event-stream"
MAX_BEHIND = 4 * 1024 * 1024
"""Bytes a client that does not read may let pile up before its connection is closed."""


class Responder:
    """One request's way back. When the client goes away the task that works for it is cancelled, unless `stays`."""

    __slots__ = ("_behind", "_connection", "_gone", "_slow", "began", "over", "stays", "task")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._slow = False
        self._behind = 0
        self._gone: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.began = False
        self.over = False
        """Whether nothing more can be sent."""
        self.stays = False
        connection.serve_as(self)

    def respond(self, status: int, body: bytes, kind: bytes = JSON, headers: bytes = b"") -> None:
        """A whole answer. `headers` are lines, each ended by CRLF."""
        if self.over:
            return
        self.over = True
        content = b"Content-Type: %b\r\n" % kind if body else b""
        head = b"HTTP/1.1 %d %b\r\n%b%b" % (status, reason(status), content, headers)
        self._connection.respond(self, head, body)

    def refuse(self, error: GatewayError, headers: bytes = b"") -> None:
        """An error in OpenAI's shape."""
        if self.over:
            return
        self.over = True
        self._connection.respond(self, error_head(None, error) + headers, error.body())

    def begin(self, status: int = 200, kind: bytes = EVENTS, headers: bytes = b"") -> None:
        """The head of a stream; it leaves with the first bytes of it."""
        if self.over or self.began:
            return
        self.began = True
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n%b" % (
            status,
            reason(status),
            kind,
            headers,
        )
        self._connection.begin(self, head)

    def write(self, data: bytes) -> None:
        """A piece of a stream."""
        if self.over:
            return
        if self._slow:
            self._behind += len(data)
            if self._behind > MAX_BEHIND:
                self.abort()
                return
        self._connection.write(self, data)

    def end(self, data: bytes = b"") -> None:
        """The end of a stream, `data` its last piece."""
        if self.over:
            return
        self.over = True
        self._connection.end(self, data)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def abort(self) -> None:
        """The irregular end of a stream."""
        if self.over:
            return
        self.over = True
        self._connection.abort(self)
        self._stop()

    async def gone(self) -> None:
        """Until the client goes away, or the stream is ended by somebody else."""
        if not self.over:
            self._gone = asyncio.get_running_loop().create_future()
            await self._gone

    def client_gone(self) -> None:
        """The client closed its connection."""
        self.over = True
        self._stop()

    def client_slow(self) -> None:
        """The client reads slower than it is sent to."""
        self._slow = True

    def client_ready(self) -> None:
        """It has caught up."""
        self._slow = False
        self._behind = 0

    def _stop(self) -> None:
        if self.task is not None and not self.stays:
            self.task.cancel()
