"""Sessions of clients that speak a revision with sessions.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any

from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.streams import Stream
from routeiq.mcp.upstream.channel import Headers
from routeiq.mcp.upstream.link import GATEWAY, LegacyLink
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.view import Place
from routeiq.mcp.wire import McpError, Message

ASK_SECONDS = 600.0
"""How long a server's question waits for the client's user."""
KEPT_STREAMS = 50
"""Streams of one session that are kept for a client that comes back."""
MOST_SUBSCRIPTIONS = 1000


class Session:
    """One client's: nobody with another key has any part in it."""

    def __init__(
        self, caller: Caller, place: Place, version: str, capabilities: Message, client: Message | None
    ) -> None:
        self.id = secrets.token_urlsafe(24)
        self.caller = caller
        self.place = place
        self.version = version
        self.capabilities = capabilities
        self.client = client or GATEWAY
        self.level: str | None = "debug"
        """Servers log what they like until the client says otherwise."""
        self.used = 0.0
        """When it was used last, monotonic seconds."""
        self.calls: dict[Any, asyncio.Task[None]] = {}
        """Requests under way, by the client's id."""
        self.subscriptions: dict[str, Callable[[], None]] = {}
        """What ends the subscription to a resource, by its URI."""
        self.closed = False
        self._links: dict[str, asyncio.Task[LegacyLink]] = {}
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._names = itertools.count(1)
        self._streams: dict[str, Stream] = {}
        self._general: Stream | None = None

    # streams

    def stream(self) -> Stream:
        """A stream for a request."""
        made = Stream(str(next(self._names)), self.version >= "2025-11-25")
        while len(self._streams) >= KEPT_STREAMS:
            gone = next((name for name, one in self._streams.items() if one.done), None)
            if gone is None:
                break
            del self._streams[gone]
        self._streams[made.name] = made
        return made

    def general(self) -> Stream:
        """The stream for what belongs to no request."""
        if self._general is None:
            self._general = Stream("0", self.version >= "2025-11-25")
            self._streams["0"] = self._general
        return self._general

    @property
    def listening(self) -> bool:
        """Whether the client takes what belongs to no request."""
        return self._general is not None and self._general.attached

    def find_stream(self, event_id: str) -> tuple[Stream, int] | None:
        """The stream an event was of, and its number."""
        name, dash, number = event_id.rpartition("-")
        found = self._streams.get(name)
        if found is None or not dash or not number.isascii() or not number.isdigit() or len(number) > 9:
            return None
        return found, int(number)

    def tell(self, message: Message) -> None:
        """What belongs to no request; lost where the client does not ask for such."""
        if self._general is not None:
            self._general.send(message)

    def keep_alive(self) -> None:
        """Say on every open stream that it is still there."""
        for stream in self._streams.values():
            stream.keep_alive()

    # what servers ask

    async def ask(self, method: str, params: Message | None, stream: Stream | None) -> Message:
        """A server's request to the client, on the stream of the request it is about. Raises `McpError`."""
        to = stream or self._general
        if to is None:
            raise McpError(wire.INTERNAL_ERROR, "The client can't be asked: it has no stream open.")
        ident = f"s{next(self._names)}"
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[ident] = answer
        to.send(wire.request(ident, method, params))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return wire.outcome(await answer)
        except TimeoutError:
            raise McpError(wire.INTERNAL_ERROR, "The client did not answer in time.") from None
        finally:
            del self._asked[ident]

    def answered(self, message: Message) -> None:
        """The client's answer to one of these; one nobody waits for is nothing."""
        waiting = self._asked.get(message["id"])
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    # links

    async def link(self, upstream: Upstream, headers: Headers) -> LegacyLink:
        """This session's own with a server."""
        task = self._links.get(upstream.server.id)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(upstream.session(SessionAsker(self, upstream, headers), follow=True))
            self._links[upstream.server.id] = task
        return await asyncio.shield(task)

    async def drop(self, upstream: Upstream) -> None:
        """Its link is of no use any more."""
        task = self._links.pop(upstream.server.id, None)
        if task is not None and task.done() and not task.cancelled() and task.exception() is None:
            await task.result().close()

    async def close(self) -> None:
        """End it, and what it has begun."""
        self.closed = True
        for call in list(self.calls.values()):
            call.cancel()
        for end in self.subscriptions.values():
            end()
        for stream in self._streams.values():
            stream.finish()
        for task in self._links.values():
            task.cancel()
            if task.done() and not task.cancelled() and task.exception() is None:
                await task.result().close()


class SessionAsker:
    """`Asker` for what a server says or asks outside of any request."""

    def __init__(self, session: Session, upstream: Upstream, headers: Headers) -> None:
        self.headers = headers
        self.client: Message | None = session.client
        self.capabilities = allowed(upstream, session.capabilities)
        self.level: str | None = "debug"
        self.trace: Headers = {}
        self._session = session
        self._upstream = upstream

    def tell(self, message: Message) -> None:
        """Told on the session's own stream; changes of lists are the gateway's to tell."""
        if message.get("method") in wire.CHANGED.values():
            self._upstream.heard(message)
        elif message.get("method") == wire.UPDATED:
            params = message.get("params") or {}
            if params.get("uri") in self._session.subscriptions:
                self._session.tell(message)
        else:
            self._session.tell(message)

    async def ask(self, method: str, params: Message | None) -> Message:
        """Asked on the session's own stream."""
        check_capability(method, self.capabilities)
        return await self._session.ask(method, params, None)


CAPABILITIES = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""What a client must be capable of to be asked."""


def allowed(upstream: Upstream, capabilities: Message) -> Message:
    """Of a client's capabilities those a server is told of."""
    server = upstream.server
    if server.sampling and server.elicitation:
        return capabilities
    hidden = {name for name, may in (("sampling", server.sampling), ("elicitation", server.elicitation)) if not may}
    return {name: value for name, value in capabilities.items() if name not in hidden}


def check_capability(method: str, capabilities: Message) -> None:
    """Raise `McpError` where a client may not be asked for this."""
    needed = CAPABILITIES.get(method)
    if needed is None:
        if method != "ping":
            raise McpError(wire.METHOD_NOT_FOUND, f"Clients don't take {method[:100]}.")
    elif needed not in capabilities:
        raise McpError(
            wire.MISSING_CAPABILITY,
            f"The client does not declare the capability {needed}.",
            {"requiredCapabilities": {needed: {}}},
        )
