"""Streamable HTTP: each request a POST, answered with JSON or with events.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports, and 2025-11-25 for sessions, streams that
are asked for with GET, and events that are gone on with after a break.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from routeiq.core.exchange import Header
from routeiq.core.mcp import McpServer
from routeiq.mcp.events import EventReader
from routeiq.mcp.upstream.channel import Answered, Headers, Receive, SessionGone, Unreachable
from routeiq.mcp.wire import McpError, Message, Unavailable, decode, encode
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin
from routeiq.transport.sse import FrameTooLarge

CLOSE_SECONDS = 2.0
RESUME_SECONDS = 1.0
"""Before a broken stream is asked for again, unless the server says when."""
RESUMES = 20
"""Times one stream is gone on with."""
FOLLOW_MOST = 30.0
"""Seconds, the longest pause between two tries to follow a session."""
SESSION = "Mcp-Session-Id"

log = logging.getLogger("routeiq.mcp")


def _dropped(_: Message) -> None:
    """Before a link takes messages."""


class HttpChannel:
    """`Channel` over the pool."""

    def __init__(self, server: McpServer, origin: Origin, limit: int) -> None:
        """`limit`: bytes of one message."""
        self.receive: Receive = _dropped
        self.session = ""
        """What the server named the session; sent with everything from then on."""
        self.headers: dict[str, str] = {}
        self._server = server
        self._origin = origin
        self._limit = limit
        self._follower: asyncio.Task[None] | None = None
        common = f"Host: {server.host_header}\r\n"
        common += "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
        self._post = (
            f"POST {server.target} HTTP/1.1\r\n{common}Content-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\n"
        )
        self._get = f"GET {server.target} HTTP/1.1\r\n{common}Accept: text/event-stream\r\n"
        self._delete = f"DELETE {server.target} HTTP/1.1\r\n{common}"

    async def request(self, message: Message, headers: Headers, receive: Receive, patient: bool = False) -> Message:
        """POST a request, and go on with its stream where that breaks. Raises `Unavailable`."""
        post = self._exchange(self._post, headers, encode(message), receive, message["id"], patient=patient)
        for _ in range(RESUMES):
            response = await self._wait(post)
            if response is not None:
                self.session = post.session or self.session
                return response
            if not post.last_id:
                break
            await asyncio.sleep(post.retry)
            post = self._exchange(
                self._get, {**headers, "Last-Event-ID": post.last_id}, b"", receive, message["id"], post, patient
            )
        raise Unavailable("The server ended its answer before it was complete.")

    async def send(self, message: Message, headers: Headers) -> None:
        """POST what is not answered."""
        post = self._exchange(self._post, headers, encode(message), self.receive, None)
        await self._wait(post)

    def agreed(self, version: str) -> None:
        """Sent with everything from now on."""
        self.headers["MCP-Protocol-Version"] = version

    def restart(self) -> None:
        """Forget the session."""
        self.session = ""
        self.headers.clear()

    def follow(self) -> None:
        """Keep a stream open for what belongs to no request."""
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """DELETE the session."""
        if self._follower is not None:
            self._follower.cancel()
        if self.session:
            delete = self._exchange(self._delete, {}, b"", self.receive, None)
            with contextlib.suppress(McpError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._wait(delete)

    async def _follow(self) -> None:
        pause, last_id = RESUME_SECONDS, ""
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            get = self._exchange(self._get, headers, b"", self.receive, None, patient=True)
            try:
                await self._wait(get)
                pause = get.retry
            except SessionGone:
                return
            except Answered as error:
                if error.http_status in (400, 404, 405, 501):
                    return  # it has no such stream
                pause = min(pause * 2, FOLLOW_MOST)
            except Unavailable:
                pause = min(pause * 2, FOLLOW_MOST)
            last_id = get.last_id or last_id
            await asyncio.sleep(pause)

    def _exchange(
        self,
        head: str,
        headers: Headers,
        body: bytes,
        receive: Receive,
        ident: object,
        before: Exchange | None = None,
        patient: bool = False,
    ) -> Exchange:
        lines = [head]
        if self.session:
            lines.append(f"{SESSION}: {self.session}\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items() if name not in self.headers]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n" if body or head is self._delete else "\r\n")
        made = Exchange(("".join(lines).encode("latin-1", "replace"), body), receive, ident, self._limit)
        made.had_session = bool(self.session)
        made.size = len(body)
        if before is not None:
            made.last_id, made.retry = before.last_id, before.retry
        made.idle_seconds = 0.0 if patient else self._server.timeout
        self._origin.send(made)
        return made

    async def _wait(self, exchange: Exchange) -> Message | None:
        exchange.watch()
        try:
            return await exchange.answer
        finally:
            exchange.stop()


class Exchange(Call):
    """One HTTP request: `answer` becomes the response to `ident`, or `None` when the body ends without one."""

    __slots__ = (
        "_chunks",
        "_events",
        "_ident",
        "_limit",
        "_loop",
        "_receive",
        "_seen",
        "_size",
        "_status",
        "_timer",
        "answer",
        "challenge",
        "had_session",
        "idle_seconds",
        "last_id",
        "retry",
        "session",
    )

    def __init__(self, payload: tuple[bytes, ...], receive: Receive, ident: object, limit: int) -> None:
        super().__init__(payload)
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Message | None] = self._loop.create_future()
        self.session = ""
        self.last_id = ""
        self.retry = RESUME_SECONDS
        self.challenge = ""
        self.had_session = False
        self.idle_seconds = 0.0
        """Longest silence; 0 is any."""
        self._receive = receive
        self._ident = ident
        self._limit = limit
        self._status = 0
        self._events: EventReader | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._seen = False
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Give up after a silence."""
        if self.idle_seconds and not self.answer.done():
            self._timer = self._loop.call_later(self.idle_seconds, self._look)

    def stop(self) -> None:
        """Nobody waits any more: what is under way is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.answer.done() or self.answer.cancelled() or self.answer.exception() is not None:
            self.cancel()
        elif self._events is not None and self.carrier is not None:
            self._loop.call_later(CLOSE_SECONDS, self.cancel)  # the server ends its stream by itself, as a rule

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status
        self._seen = True
        for name, value in headers:
            if name == b"content-type":
                if status < 300 and value.lower().startswith(b"text/event-stream"):
                    self._events = EventReader(self._limit)
            elif name == b"mcp-session-id":
                self.session = value.decode("latin-1")
            elif name == b"www-authenticate":
                self.challenge = value.decode("latin-1")

    def on_data(self, data: bytes) -> None:
        self._seen = True
        if self._events is None:
            self._size += len(data)
            if self._size > self._limit:
                self._fail(Unavailable(f"The server's answer is longer than {self._limit} bytes."))
                self.cancel()
            else:
                self._chunks.append(data)
            return
        try:
            events = self._events.feed(data)
        except FrameTooLarge:
            self._fail(Unavailable(f"A message of the server is longer than {self._limit} bytes."))
            self.cancel()
            return
        for event in events:
            if event.retry is not None:
                self.retry = min(event.retry / 1000, FOLLOW_MOST)
            if event.id:
                self.last_id = event.id
            if event.data and event.name == "message":
                self._take(event.data)

    def on_done(self) -> None:
        if self.answer.done():
            return
        if self._events is not None:
            self.answer.set_result(None)
            return
        if self.challenge and self._status in (401, 403):
            self._fail(Answered(self._status, self.challenge))  # whatever its body says
            return
        body = b"".join(self._chunks)
        if body and self._ident is not None and not 300 <= self._status < 400:
            self._take(body)
            if self.answer.done():
                return
        if self._status == 404 and self.had_session:
            self._fail(SessionGone("The server does not know its session any more."))
        elif self._status >= 300:
            self._fail(Answered(self._status, self.challenge))
        elif self._ident is not None and body:
            self._fail(Unavailable("The server's answer is not a JSON-RPC message."))
        else:
            self.answer.set_result(None)

    def on_failure(self, failure: UpstreamBroken) -> None:
        if self._events is not None and self.last_id and not self.answer.done():
            self.answer.set_result(None)  # it can be gone on with
        else:
            self._fail(Unreachable(f"The server can't be reached: {failure}"))

    def _take(self, data: bytes) -> None:
        """One message."""
        try:
            message = decode(data)
        except McpError:
            if self._events is not None:
                self._fail(Unavailable("The server sent what is not JSON."))
            return
        if not isinstance(message, dict):
            return
        if "method" in message:
            self._receive(message)
        elif self._ident is not None and (
            "error" in message if self._status >= 400 else message.get("id") == self._ident
        ):
            if self._status == 404 and self.had_session:
                self._fail(SessionGone("The server does not know its session any more."))
            elif not self.answer.done():
                self.answer.set_result(message)

    def _fail(self, error: McpError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _look(self) -> None:
        if self._seen:
            self._seen = False
            self._timer = self._loop.call_later(self.idle_seconds, self._look)
        else:
            self._fail(Unavailable(f"The server has said nothing for {self.idle_seconds:g} s."))
            self.cancel()
