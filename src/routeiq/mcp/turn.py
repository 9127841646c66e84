"""One request of a client, as servers see who asks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.headers import trace_of
from routeiq.mcp.session import Session, allowed, check_capability
from routeiq.mcp.streams import Out, Stream
from routeiq.mcp.upstream.channel import Headers
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.view import Place
from routeiq.mcp.wire import McpError, Message, meta_of

BUFFERED = 100
"""Notifications kept for a client that is being asked something; the oldest go first."""


class Turn:
    """What both kinds of clients have in common; an `Asker` for the server it is aimed at."""

    modern = False
    checked = False
    """Whether its headers have to repeat what the tool says."""

    def __init__(self, caller: Caller, place: Place, fields: dict[bytes, bytes], params: Message) -> None:
        self.caller = caller
        self.place = place
        self.fields = fields
        self.capabilities: Message = {}
        self.client: Message | None = None
        self.level: str | None = None
        self.headers: Headers = {}
        self.approved = False
        """Whether somebody has said yes to what it calls."""
        self.cost = 0
        """Of the tools it has called, nano-dollars."""
        self.trace: Headers = trace_of(meta_of(params), fields)
        self._upstream: Upstream | None = None
        self._declared: Message = {}

    def aim(self, upstream: Upstream) -> None:
        """The server that is asked."""
        self._upstream = upstream
        self.headers = upstream.forwarded(self.fields)
        self.capabilities = allowed(upstream, self._declared)

    def tell(self, message: Message) -> None:
        """A notification on the way to the result; changes of lists are the gateway's to tell."""
        if message.get("method") in wire.CHANGED.values():
            if self._upstream is not None:
                self._upstream.heard(message)
            return
        self.pass_on(message)

    def pass_on(self, message: Message) -> None:
        """To the client."""
        raise NotImplementedError

    async def ask(self, method: str, params: Message | None) -> Message:
        """A server's request to the client."""
        raise NotImplementedError


class SessionTurn(Turn):
    """A request in a session: the answer becomes a stream when something comes before it."""

    def __init__(self, caller: Caller, session: Session, fields: dict[bytes, bytes], params: Message, out: Out) -> None:
        super().__init__(caller, session.place, fields, params)
        self.session = session
        self.client = session.client
        self.level = session.level
        self._declared = self.capabilities = session.capabilities
        self._out = out
        self._stream: Stream | None = None

    def pass_on(self, message: Message) -> None:
        self.stream().send(message)

    def stream(self) -> Stream:
        """The stream of this request, begun now if it was not."""
        if self._stream is None:
            self._stream = self.session.stream()
            self._stream.attach(self._out, b"Mcp-Session-Id: %b\r\n" % self.session.id.encode())
        return self._stream

    async def ask(self, method: str, params: Message | None) -> Message:
        check_capability(method, self.capabilities)
        return await self.session.ask(method, params, self.stream())

    def finish(self, message: Message) -> None:
        """The response."""
        if self._stream is None:
            self._out.respond(200, wire.encode(message), headers=b"Mcp-Session-Id: %b\r\n" % self.session.id.encode())
        else:
            self._stream.send(message)
            self._stream.finish()

    def drop(self) -> None:
        """It was cancelled: there is no response."""
        if self._stream is not None:
            self._stream.finish()
        else:
            self._out.respond(202, b"")


def _nothing() -> None:
    """Nobody is told."""


class ModernTurn(Turn):
    """A request that stands alone. What a server with sessions asks on the way is answered by another request."""

    modern = True
    checked = True

    def __init__(self, caller: Caller, place: Place, fields: dict[bytes, bytes], params: Message) -> None:
        super().__init__(caller, place, fields, params)
        meta = meta_of(params)
        self._declared = self.capabilities = meta[wire.META_CAPABILITIES]
        client, level = meta.get(wire.META_CLIENT), meta.get(wire.META_LEVEL)
        self.client = client if isinstance(client, dict) else None
        self.level = level if level in wire.LEVELS else None
        self.out: Callable[[Message], None] | None = None
        """Where notifications go; `None` between two requests."""
        self.wanted: dict[str, Message] = {}
        """What the client has to answer before it goes on: `inputRequests`."""
        self.on_asked: Callable[[], None] = _nothing
        """Called when there is something."""
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._names = itertools.count(1)
        self._kept: list[Message] = []

    def pass_on(self, message: Message) -> None:
        if message.get("method") == "notifications/message" and self.level is None:
            return
        if self.out is not None:
            self.out(message)
        elif len(self._kept) < BUFFERED:
            self._kept.append(message)

    def resume(self, out: Callable[[Message], None]) -> None:
        """Another request goes on with it."""
        self.out = out
        kept, self._kept = self._kept, []
        for message in kept:
            out(message)

    async def ask(self, method: str, params: Message | None) -> Message:
        check_capability(method, self.capabilities)
        name = f"{method.partition('/')[0]}-{next(self._names)}"
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[name] = answer
        self.wanted[name] = {"method": method, "params": params or {}}
        self.on_asked()
        try:
            return await answer
        finally:
            self._answers.pop(name, None)
            self.wanted.pop(name, None)

    def give(self, responses: Any) -> bool:
        """The client's answers; whether none is missing."""
        given = responses if isinstance(responses, dict) else {}
        for name, answer in list(self._answers.items()):
            value = given.get(name)
            if isinstance(value, dict) and not answer.done():
                answer.set_result(value)
                self.wanted.pop(name, None)
        return not self.wanted

    def fail(self, error: McpError) -> None:
        """There will be no answers."""
        for answer in list(self._answers.values()):
            if not answer.done():
                answer.set_exception(error)
