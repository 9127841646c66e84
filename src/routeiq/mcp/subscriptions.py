"""Who wants to know what: changes of lists, and of single resources.

https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/subscriptions
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from routeiq.mcp import wire
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.turn import ModernTurn, SessionTurn, Turn
from routeiq.mcp.upstream.channel import Headers
from routeiq.mcp.upstream.link import GATEWAY, Itself, ModernLink
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.wire import INVALID_PARAMS, McpError, Message

AGAIN_SECONDS = 2.0
"""Between two tries to hear of a resource."""
MOST_RESOURCES = 1000
"""One client may subscribe to."""

Notify = Callable[[], None]


class _Listener(Itself):
    """Hears of one resource."""

    def __init__(self, headers: Headers, uri: str, notify: Notify) -> None:
        super().__init__(headers)
        self._uri = uri
        self._notify = notify

    def tell(self, message: Message) -> None:
        """It has changed."""
        if message.get("method") == wire.UPDATED and (message.get("params") or {}).get("uri") == self._uri:
            self._notify()


async def subscribe(gateway: Gateway, turn: Turn, uri: str, notify: Notify) -> Callable[[], None]:
    """Hear of a resource; gives what ends it. Raises `McpError` where no server has it."""
    upstream = (await gateway.of_resource(turn, uri)).upstream
    turn.aim(upstream)
    link = await gateway.link(turn, upstream)
    if isinstance(link, ModernLink):
        task = asyncio.create_task(_hear(link, _Listener(turn.headers, uri, notify), uri))
        return lambda: _cancel(task)
    if isinstance(turn, SessionTurn):
        await link.request("resources/subscribe", {"uri": uri}, turn)
        return lambda: None
    assert isinstance(turn, ModernTurn)
    pooled = gateway.pool.pooled(turn, upstream)
    listeners = pooled.asker.listeners.setdefault(uri, set())
    if not listeners:
        await link.request("resources/subscribe", {"uri": uri}, turn)
    listeners.add(notify)
    return lambda: listeners.discard(notify)


async def unsubscribe(gateway: Gateway, turn: SessionTurn, uri: str) -> None:
    """Hear of it no more."""
    end = turn.session.subscriptions.pop(uri, None)
    if end is None:
        return
    end()
    upstream = (await gateway.of_resource(turn, uri)).upstream
    turn.aim(upstream)
    link = await gateway.link(turn, upstream)
    if not link.modern:
        await link.request("resources/unsubscribe", {"uri": uri}, turn)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _hear(link: ModernLink, listener: _Listener, uri: str) -> None:
    while True:
        try:
            wanted = {"notifications": {"resourceSubscriptions": [uri]}}
            await link.request("subscriptions/listen", wanted, listener, patient=True)
        except McpError:
            pass
        await asyncio.sleep(AGAIN_SECONDS)


class Listen:
    """One `subscriptions/listen` of a client: a stream that only has what was opted in to."""

    def __init__(self, gateway: Gateway, turn: ModernTurn, ident: Any, params: Message, out: Callable[[Message], None]):
        wanted = params.get("notifications")
        if not isinstance(wanted, dict):
            raise McpError(INVALID_PARAMS, "params.notifications must be an object.")
        uris = wanted.get("resourceSubscriptions") or []
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris) or len(uris) > MOST_RESOURCES:
            raise McpError(INVALID_PARAMS, "resourceSubscriptions must be a list of URIs.")
        self._gateway = gateway
        self._turn = turn
        self._ident = ident
        self._out = out
        self._uris: list[str] = uris
        self._wanted = {kind for kind in wire.CHANGED if wanted.get(f"{kind}ListChanged") is True}
        self._ends: list[Callable[[], None]] = []

    async def begin(self) -> None:
        """Acknowledge what will be told; nothing comes before that."""
        view = await self._gateway.view(self._turn)
        self._wanted &= set(view.capabilities)
        agreed: Message = {f"{kind}ListChanged": True for kind in wire.CHANGED if kind in self._wanted}
        heard = []
        for uri in dict.fromkeys(self._uris):
            try:
                self._ends.append(await subscribe(self._gateway, self._turn, uri, lambda uri=uri: self._updated(uri)))  # type: ignore[misc]
            except McpError:
                continue
            heard.append(uri)
        if heard:
            agreed["resourceSubscriptions"] = heard
        self._tell("notifications/subscriptions/acknowledged", {"notifications": agreed})
        self._gateway.watchers.add(self)

    def changed(self, upstream: Upstream | None, kinds: set[str]) -> None:
        """A server's lists have changed."""
        if upstream is None or sees(self._gateway, self._turn, upstream):
            for kind in sorted(kinds & self._wanted):
                self._tell(wire.CHANGED[kind], {})

    def result(self) -> Message:
        """The graceful end."""
        return {"resultType": "complete", "_meta": self._meta() | {wire.META_SERVER: GATEWAY}}

    def end(self) -> None:
        """Hear of nothing any more."""
        self._gateway.watchers.discard(self)
        for end in self._ends:
            end()

    def _updated(self, uri: str) -> None:
        self._tell(wire.UPDATED, {"uri": uri})

    def _tell(self, method: str, params: Message) -> None:
        self._out(wire.notification(method, {**params, "_meta": self._meta()}))

    def _meta(self) -> Message:
        return {wire.META_SUBSCRIPTION: self._ident}


def sees(gateway: Gateway, turn: Turn, upstream: Upstream) -> bool:
    """Whether a server is one of those a turn's caller sees at its place."""
    grants = gateway.registry.grants(turn.caller.key, everything=gateway.open)
    return any(ident == upstream.server.id for ident, _ in grants) and gateway.registry.is_at(upstream, turn.place)
