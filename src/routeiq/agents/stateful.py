"""Requests of revisions with sessions over HTTP.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
"""

from __future__ import annotations

import asyncio
from typing import Any

from routeiq.agents.envelope import check_legacy
from routeiq.agents.responder import Responder
from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.session import Session
from routeiq.mcp.sessions import Sessions
from routeiq.mcp.turn import SessionTurn
from routeiq.mcp.view import Place
from routeiq.mcp.wire import INVALID_REQUEST, McpError, Message, encode
from routeiq.process.heads import Request

SESSION = b"mcp-session-id"
KEEP_ALIVE_SECONDS = 15.0


class Stateful:
    """All requests in sessions of one gateway."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    async def post(
        self, request: Request, responder: Responder, caller: Caller, place: Place, message: Message
    ) -> None:
        """One message of a client."""
        ident = message.get("id")
        try:
            if message.get("method") == "initialize" and SESSION not in request.fields:
                session, result = await self.sessions.initialize(
                    caller, place, request.fields, message.get("params") or {}
                )
                answer = encode(wire.answer(ident, result))
                responder.respond(200, answer, headers=_header(session))
                return
            session = self._session(request, caller, place)
            check_legacy(request.fields)
            if "method" not in message:
                session.answered(message)
                responder.respond(202, b"")
            elif "id" not in message:
                self.sessions.notified(session, message)
                responder.respond(202, b"")
            else:
                await self._request(request, responder, session, message)
        except McpError as error:
            status = error.status or (400 if error.code == INVALID_REQUEST else 200)
            responder.respond(status, encode(wire.refusal(ident, error)))

    async def batch(
        self, request: Request, responder: Responder, caller: Caller, place: Place, found: list[Any]
    ) -> None:
        """Several messages at once, as 2025-03-26 has them. Raises `McpError`."""
        session = self._session(request, caller, place)
        if session.version != "2025-03-26" or not found:
            raise McpError(INVALID_REQUEST, "Messages are sent one by one in this revision.", status=400)
        messages = [wire.check(one) for one in found]
        collected = _Collected()
        for message in messages:
            if "method" not in message:
                session.answered(message)
            elif "id" not in message:
                self.sessions.notified(session, message)
            else:
                turn = SessionTurn(caller, session, request.fields, message.get("params") or {}, collected)
                await self._work(turn, message)
        if collected.answers:
            responder.respond(200, b"[" + b",".join(collected.answers) + b"]", headers=_header(session))
        else:
            responder.respond(202, b"")

    async def get(self, request: Request, responder: Responder, caller: Caller, place: Place) -> None:
        """The stream for what belongs to no request, or one that was lost. Raises `McpError`."""
        session = self._session(request, caller, place)
        check_legacy(request.fields)
        if b"text/event-stream" not in request.fields.get(b"accept", b"").lower():
            raise McpError(INVALID_REQUEST, "Accept must have text/event-stream.", status=406)
        last = request.fields.get(b"last-event-id")
        if last is None:
            stream, after = session.general(), 0
        else:
            found = session.find_stream(last.decode("latin-1").strip())
            if found is None:
                raise McpError(INVALID_REQUEST, "Last-Event-ID is of no stream of this session.", status=400)
            stream, after = found
        stream.attach(responder, _header(session), after)
        await responder.gone()

    async def delete(self, request: Request, responder: Responder, caller: Caller, place: Place) -> None:
        """The end of a session. Raises `McpError`."""
        session = self._session(request, caller, place)
        await self.sessions.end(session)
        responder.respond(204, b"")

    def _session(self, request: Request, caller: Caller, place: Place) -> Session:
        ident = request.fields.get(SESSION)
        if ident is None:
            raise McpError(INVALID_REQUEST, "Mcp-Session-Id is missing: begin with initialize.", status=400)
        session = self.sessions.find(ident.decode("latin-1").strip(), caller, place)
        if session is None:
            raise McpError(wire.GATEWAY_ERROR, "Session not found", {"code": "session_not_found"}, status=404)
        return session

    async def _request(self, request: Request, responder: Responder, session: Session, message: Message) -> None:
        responder.stays = True  # going away is not cancelling: the client may come back for the stream
        turn = SessionTurn(session.caller, session, request.fields, message.get("params") or {}, responder)
        task = asyncio.current_task()
        assert task is not None
        ident = message["id"]
        if ident in session.calls:
            raise McpError(INVALID_REQUEST, "A request with this id is under way.", status=400)
        session.calls[ident] = task
        timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, turn.stream)
        try:
            await self._work(turn, message)
        except asyncio.CancelledError:
            turn.drop()
            raise
        finally:
            timer.cancel()
            del session.calls[ident]

    async def _work(self, turn: SessionTurn, message: Message) -> None:
        try:
            result = await self.sessions.answer(turn, message["method"], message.get("params") or {})
        except McpError as error:
            turn.finish(wire.refusal(message["id"], error))
        else:
            turn.finish(wire.answer(message["id"], result))


class _Collected:
    """Answers of a batch."""

    over = False

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def begin(self, status: int = 200, *, headers: bytes = b"") -> None:
        """There is no stream."""

    def write(self, data: bytes) -> None:
        """What comes before an answer is lost."""

    def end(self, data: bytes = b"") -> None:
        """There is no stream."""

    def respond(self, status: int, body: bytes, *, headers: bytes = b"") -> None:
        """One answer."""
        self.answers.append(body)


def _header(session: Session) -> bytes:
    return b"Mcp-Session-Id: %b\r\n" % session.id.encode()
