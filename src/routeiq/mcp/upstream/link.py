"""Links: a server spoken to in one revision, for those who ask.

Asker ──► link.request(method, params) ──► result
  ▲           │ what the server says, or asks, on the way
  └───────────┘
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any, Protocol

from routeiq import __version__
from routeiq.mcp import wire
from routeiq.mcp.headers import Params, repeated, wrap
from routeiq.mcp.upstream.channel import Channel, Headers, SessionGone
from routeiq.mcp.wire import McpError, Message, Unavailable, meta_of

GATEWAY: Message = {"name": "routeiq", "version": __version__}
"""What the gateway calls itself."""
ROUNDS = 20
"""Times a server may ask for more before it answers one request."""

log = logging.getLogger("routeiq.mcp")


class Asker(Protocol):
    """Who a server is asked for: a client's request, or the gateway itself."""

    capabilities: Message
    """What may be asked of it."""
    client: Message | None
    """What it calls itself."""
    level: str | None
    """From which level on it takes log messages; `None` takes none."""
    headers: Headers
    """Sent on its behalf."""
    trace: Headers
    """W3C trace context."""

    def tell(self, message: Message) -> None:
        """A notification on the way to the result."""

    async def ask(self, method: str, params: Message | None) -> Message:
        """A server's request to the client. Raises `McpError`."""


class Itself:
    """The gateway, where it asks for itself."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.capabilities: Message = {}
        self.client: Message | None = GATEWAY
        self.level: str | None = None
        self.trace: Headers = {}

    def tell(self, message: Message) -> None:
        """Nothing it waits for."""

    async def ask(self, method: str, params: Message | None) -> Message:
        """It can't be asked anything."""
        raise McpError(wire.METHOD_NOT_FOUND, f"The client does not take {method}.")


class Link(Protocol):
    """A server in one revision. `info` has `capabilities`, `serverInfo` and `instructions` where they were told."""

    modern: bool
    info: Message

    async def request(self, method: str, params: Message, asker: Asker, repeat: Params | None = None) -> Message:
        """The result of a request. `repeat`: arguments that headers repeat. Raises `McpError`."""

    async def close(self) -> None:
        """Let go of the server."""


class ModernLink:
    """2026-07-28: requests that stand alone, so that one link serves all callers."""

    modern = True

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.info: Message = {}
        self._ids = itertools.count(1)

    async def connect(self, asker: Asker) -> None:
        """Ask what the server is. Raises `McpError` when it does not speak this revision."""
        result = await self.request("server/discover", {}, asker)
        versions = result.get("supportedVersions")
        if not isinstance(versions, list) or wire.MODERN not in versions:
            raise McpError(wire.UNSUPPORTED_VERSION, "The server does not speak this revision.")
        server = meta_of(result).get(wire.META_SERVER)
        self.info = {
            "capabilities": result.get("capabilities") or {},
            "serverInfo": server if isinstance(server, dict) else result.get("serverInfo") or {},
            "instructions": result.get("instructions"),
            "ttlMs": result.get("ttlMs"),
        }

    async def request(
        self, method: str, params: Message, asker: Asker, repeat: Params | None = None, patient: bool = False
    ) -> Message:
        """One exchange: a result that asks for input is a result."""
        meta = {name: value for name, value in meta_of(params).items() if not name.startswith(wire.META)}
        meta[wire.META_VERSION] = wire.MODERN
        meta[wire.META_CAPABILITIES] = asker.capabilities
        if asker.client is not None:
            meta[wire.META_CLIENT] = asker.client
        if asker.level is not None:
            meta[wire.META_LEVEL] = asker.level
        meta.update(asker.trace)
        headers = {**asker.headers, "MCP-Protocol-Version": wire.MODERN, "Mcp-Method": method}
        name = wire.NAMED.get(method)
        if name is not None and isinstance(params.get(name), str):
            headers["Mcp-Name"] = wrap(params[name])
        if repeat:
            headers.update(repeated(repeat, params.get("arguments")))
        sent = {**params, "_meta": meta}
        try:
            return await self._once(method, sent, headers, asker, patient)
        except McpError as error:
            if not _again(error):
                raise
        return await self._once(method, sent, headers, asker, patient)

    async def _once(self, method: str, params: Message, headers: Headers, asker: Asker, patient: bool) -> Message:
        message = wire.request(next(self._ids), method, params)
        return wire.outcome(await self.channel.request(message, headers, asker.tell, patient))

    async def close(self) -> None:
        await self.channel.close()


def _again(error: McpError) -> bool:
    """Whether a server that refused this revision says that it speaks it."""
    data = error.data if isinstance(error.data, dict) else {}
    supported = data.get("supported")
    return error.code == wire.UNSUPPORTED_VERSION and isinstance(supported, list) and wire.MODERN in supported


async def answered(link: Link, method: str, params: Message, asker: Asker, repeat: Params | None = None) -> Message:
    """The result of a request, with what the server wants to know asked of the client on the way.

    For clients of revisions in which servers ask while they work.
    """
    result = await link.request(method, params, asker, repeat)
    for _ in range(ROUNDS):
        if result.get("resultType") != "input_required":
            return result
        wanted = result.get("inputRequests") or {}
        given = await asyncio.gather(*(_asked(asker, one) for one in wanted.values()))
        more: Message = {**params, "inputResponses": dict(zip(wanted, given, strict=True))}
        if "requestState" in result:
            more["requestState"] = result["requestState"]
        result = await link.request(method, more, asker, repeat)
    raise Unavailable(f"The server asked for input {ROUNDS} times and gave no answer.")


async def _asked(asker: Asker, wanted: Any) -> Message:
    if not isinstance(wanted, dict) or not isinstance(wanted.get("method"), str):
        raise Unavailable("The server asked for input without saying what.")
    return await asker.ask(wanted["method"], wanted.get("params"))


class LegacyLink:
    """A revision with sessions: one for each caller that may be asked back."""

    modern = False

    def __init__(self, channel: Channel, version: str = wire.LEGACY[0]) -> None:
        self.channel = channel
        self.info: Message = {}
        self.version = version
        """Asked for, then agreed on."""
        self._ids = itertools.count(1)
        self._asker: Asker = Itself({})
        self._asking: dict[int, Asker] = {}
        """Who waits for what, by the request's id."""
        self._connecting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._level: str | None = None

    async def connect(self, asker: Asker) -> None:
        """Begin a session, in which the server may ask what `asker` can be asked. Raises `McpError`."""
        self._asker = asker
        self.channel.receive = self._unasked
        params = {
            "protocolVersion": self.version,
            "capabilities": asker.capabilities,
            "clientInfo": asker.client or GATEWAY,
        }
        message = wire.request(next(self._ids), "initialize", params)
        result = wire.outcome(await self.channel.request(message, asker.headers, asker.tell))
        version = result.get("protocolVersion")
        if version not in wire.LEGACY:
            raise McpError(wire.UNSUPPORTED_VERSION, "The server speaks a revision that is not known here.")
        self.version = str(version)
        self.info = result
        self.channel.agreed(self.version)
        await self.channel.send(wire.notification("notifications/initialized"), asker.headers)

    async def request(self, method: str, params: Message, asker: Asker, repeat: Params | None = None) -> Message:
        """One request in the session; once more in a new one where the server has forgotten it."""
        wanted = asker.level
        if wanted is not None and wanted != self._level and "logging" in (self.info.get("capabilities") or {}):
            self._level = wanted
            await self._once("logging/setLevel", {"level": wanted}, asker)
        meta = {name: value for name, value in meta_of(params).items() if not name.startswith(wire.META)}
        meta.update(asker.trace)
        sent = {name: value for name, value in params.items() if name != "_meta"}
        if meta:
            sent["_meta"] = meta
        try:
            return await self._once(method, sent, asker)
        except SessionGone:
            await self._again()
            return await self._once(method, sent, asker)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.channel.close()

    async def _once(self, method: str, params: Message, asker: Asker) -> Message:
        ident = next(self._ids)
        message = wire.request(ident, method, params)
        self._asking[ident] = asker
        try:
            return wire.outcome(
                await self.channel.request(message, asker.headers, lambda came: self._take(came, asker))
            )
        except asyncio.CancelledError:
            self._start(self._cancel(ident, asker))
            raise
        finally:
            del self._asking[ident]

    async def _cancel(self, ident: int, asker: Asker) -> None:
        told = wire.notification("notifications/cancelled", {"requestId": ident, "reason": "The client cancelled."})
        await self.channel.send(told, asker.headers)

    async def _again(self) -> None:
        """A new session, one for all who notice that the old one is gone."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._reconnect())
        try:
            await asyncio.shield(self._connecting)
        finally:
            self._connecting = None

    async def _reconnect(self) -> None:
        self.channel.restart()
        await self.connect(self._asker)

    def _unasked(self, message: Message) -> None:
        """What comes outside of any answer. A question is taken to be about the newest request."""
        about = "id" in message or message.get("method") in ("notifications/message", "notifications/progress")
        asker = next(reversed(self._asking.values()), self._asker) if about else self._asker
        self._take(message, asker)

    def _take(self, message: Message, asker: Asker) -> None:
        """What the server says on its own."""
        if "id" in message:
            self._start(self._answer(message, asker))
        elif message.get("method") == "notifications/message" and asker.level is None:
            return
        else:
            asker.tell(message)

    async def _answer(self, message: Message, asker: Asker) -> None:
        """What the server asks."""
        try:
            if message["method"] == "ping":
                answer = wire.answer(message["id"], {})
            else:
                answer = wire.answer(message["id"], await asker.ask(message["method"], message.get("params")))
        except McpError as error:
            answer = wire.refusal(message["id"], error)
        await self.channel.send(answer, asker.headers)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Any) -> None:
        try:
            await work
        except McpError as error:
            log.debug("an MCP server could not be told something: %s", error)
