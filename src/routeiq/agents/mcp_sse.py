"""HTTP+SSE of 2024-11-05 to clients: answers come over one stream of events, requests by POST.

https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse

    GET /mcp/sse                      event: endpoint, then messages
    POST /mcp/messages?sessionId=…    202
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from urllib.parse import parse_qs

from routeiq.agents.responder import Responder
from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.events import KEEP_ALIVE, event
from routeiq.mcp.session import Session
from routeiq.mcp.sessions import Sessions
from routeiq.mcp.turn import SessionTurn
from routeiq.mcp.view import Place
from routeiq.mcp.wire import GATEWAY_ERROR, INVALID_REQUEST, McpError, Message, encode
from routeiq.process.heads import Request

MOST = 5_000
"""Streams at once."""


class _Out:
    """`mcp.streams.Out` onto the one stream."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    @property
    def over(self) -> bool:
        """Whether the client has gone."""
        return self._responder.over

    def begin(self, status: int = 200, *, headers: bytes = b"") -> None:
        """It has begun."""

    def write(self, data: bytes) -> None:
        """Events."""
        self._responder.write(data)

    def end(self, data: bytes = b"") -> None:
        """It goes on."""

    def respond(self, status: int, body: bytes, *, headers: bytes = b"") -> None:
        """A response is an event."""
        if body:
            self._responder.write(event(body))


class _Connection:
    def __init__(self, caller: Caller, place: Place, responder: Responder) -> None:
        self.caller = caller
        self.place = place
        self.out = _Out(responder)
        self.session: Session | None = None
        self.tasks: set[asyncio.Task[None]] = set()


class SseEndpoint:
    """All such streams."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._open: dict[str, _Connection] = {}

    async def listen(self, responder: Responder, caller: Caller, place: Place) -> None:
        """GET: the stream. Raises `McpError`."""
        if len(self._open) >= MOST:
            raise McpError(GATEWAY_ERROR, "There are too many streams.", {"code": "too_many_sessions"}, status=503)
        ident = secrets.token_urlsafe(24)
        connection = self._open[ident] = _Connection(caller, place, responder)
        responder.begin()
        responder.write(b"event: endpoint\ndata: /mcp/messages?sessionId=%b\n\n" % ident.encode())
        try:
            await responder.gone()
        finally:
            del self._open[ident]
            for task in list(connection.tasks):
                task.cancel()
            if connection.session is not None:
                await asyncio.shield(asyncio.ensure_future(self._sessions.end(connection.session)))

    async def post(self, request: Request, responder: Responder, caller: Caller, message: Message) -> None:
        """POST: a message of the client. Raises `McpError`."""
        ident = parse_qs(request.query.decode("latin-1")).get("sessionId", [""])[0]
        connection = self._open.get(ident)
        if connection is None or connection.caller.key.id != caller.key.id:
            raise McpError(GATEWAY_ERROR, "Session not found", {"code": "session_not_found"}, status=404)
        session = connection.session
        if "method" not in message:
            if session is not None:
                session.answered(message)
        elif "id" not in message:
            if session is not None:
                self._sessions.notified(session, message)
        else:
            task = asyncio.create_task(self._work(connection, request.fields, message))
            connection.tasks.add(task)
            task.add_done_callback(connection.tasks.discard)
        responder.respond(202, b"Accepted", b"text/plain")

    def keep_alive(self) -> None:
        """Say on every stream that it is still there."""
        for connection in self._open.values():
            connection.out.write(KEEP_ALIVE)

    async def _work(self, connection: _Connection, fields: dict[bytes, bytes], message: Message) -> None:
        method, params, ident = message["method"], message.get("params") or {}, message["id"]
        try:
            if method == "initialize":
                session, result = await self._sessions.initialize(connection.caller, connection.place, fields, params)
                connection.session = session
                session.general().attach(connection.out, b"")
                connection.out.write(event(encode(wire.answer(ident, result))))
                return
            if connection.session is None:
                raise McpError(INVALID_REQUEST, "Begin with initialize.")
            turn = SessionTurn(connection.caller, connection.session, fields, params, connection.out)
            task = asyncio.current_task()
            assert task is not None
            connection.session.calls[ident] = task
            try:
                turn.finish(wire.answer(ident, await self._sessions.answer(turn, method, params)))
            finally:
                with contextlib.suppress(KeyError):
                    del connection.session.calls[ident]
        except McpError as error:
            connection.out.write(event(encode(wire.refusal(ident, error))))
