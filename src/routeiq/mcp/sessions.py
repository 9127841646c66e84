"""The sessions there are, and requests in them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.session import MOST_SUBSCRIPTIONS, Session
from routeiq.mcp.subscriptions import subscribe, unsubscribe
from routeiq.mcp.turn import SessionTurn, Turn
from routeiq.mcp.upstream.link import GATEWAY
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.view import Place
from routeiq.mcp.wire import GATEWAY_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, McpError, Message

KEEP_ALIVE_SECONDS = 15.0


class Sessions:
    """By id. `changed` tells them what servers' lists have changed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: dict[str, Session] = {}
        self._kept_alive = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        gateway.watchers.add(self)

    def find(self, ident: str, caller: Caller, place: Place) -> Session | None:
        """A session of this caller's at this place; nobody is told of anybody else's."""
        found = self._known.get(ident)
        if found is None or found.caller.key.id != caller.key.id or found.place != place:
            return None
        found.caller = caller
        found.used = self._gateway.services.now()
        return found

    async def initialize(
        self, caller: Caller, place: Place, fields: dict[bytes, bytes], params: Message
    ) -> tuple[Session, Message]:
        """Begin a session: `initialize`, and its result. Raises `McpError`."""
        mcp = self._gateway.mcp
        if len(self._known) >= mcp.max_sessions:
            raise McpError(GATEWAY_ERROR, "There are too many sessions.", {"code": "too_many_sessions"}, status=503)
        asked, capabilities = params.get("protocolVersion"), params.get("capabilities")
        client = params.get("clientInfo")
        if not isinstance(asked, str) or not isinstance(capabilities, dict):
            raise McpError(INVALID_PARAMS, "params must have a protocolVersion and capabilities.")
        version = asked if asked in wire.LEGACY else wire.LEGACY[0]
        session = Session(caller, place, version, capabilities, client if isinstance(client, dict) else None)
        session.used = self._gateway.services.now()
        view = await self._gateway.view(Turn(caller, place, fields, params))
        self._known[session.id] = session
        result: Message = {"protocolVersion": version, "capabilities": view.capabilities, "serverInfo": GATEWAY}
        if view.instructions:
            result["instructions"] = view.instructions
        return session, result

    async def answer(self, turn: SessionTurn, method: str, params: Message) -> Message:
        """The result of a request in a session. Raises `McpError`."""
        gateway, session = self._gateway, turn.session
        if method == "tools/call":
            result = await gateway.call(turn, params)
        elif method in wire.LISTS:
            return await gateway.list(turn, method, params)
        elif method == "resources/read":
            result = await gateway.resource(turn, params)
        elif method == "prompts/get":
            result = await gateway.prompt(turn, params)
        elif method == "completion/complete":
            result = await gateway.complete(turn, params)
        elif method == "ping":
            return {}
        elif method == "logging/setLevel":
            if params.get("level") not in wire.LEVELS:
                raise McpError(INVALID_PARAMS, f"params.level must be one of {', '.join(wire.LEVELS)}.")
            session.level = params["level"]
            return {}
        elif method == "resources/subscribe":
            await self._subscribe(turn, params)
            return {}
        elif method == "resources/unsubscribe":
            await unsubscribe(gateway, turn, _uri(params))
            return {}
        else:
            raise McpError(METHOD_NOT_FOUND, f"Method not found: {method[:100]}")
        for name in ("resultType", "ttlMs", "cacheScope"):
            result.pop(name, None)  # of another revision
        return result

    def notified(self, session: Session, message: Message) -> None:
        """A client's notification."""
        params = message.get("params") or {}
        if message["method"] == "notifications/cancelled":
            call = session.calls.get(params.get("requestId"))
            if call is not None:
                call.cancel()

    async def _subscribe(self, turn: SessionTurn, params: Message) -> None:
        session, uri = turn.session, _uri(params)
        if uri in session.subscriptions:
            return
        if len(session.subscriptions) >= MOST_SUBSCRIPTIONS:
            raise McpError(GATEWAY_ERROR, "Too many subscriptions.", {"code": "too_many_subscriptions"})

        def updated() -> None:
            session.tell(wire.notification(wire.UPDATED, {"uri": uri}))

        session.subscriptions[uri] = await subscribe(self._gateway, turn, uri, updated)

    def changed(self, upstream: Upstream | None, kinds: set[str]) -> None:
        """A server's lists have changed; all may have where it is `None`."""
        gateway = self._gateway
        for session in self._known.values():
            if upstream is not None:
                grants = gateway.registry.grants(session.caller.key, everything=gateway.open)
                if not any(ident == upstream.server.id for ident, _ in grants):
                    continue
                if not gateway.registry.is_at(upstream, session.place):
                    continue
            for kind in sorted(kinds):
                session.tell(wire.notification(wire.CHANGED[kind]))

    async def end(self, session: Session) -> None:
        """The client is done with it."""
        self._known.pop(session.id, None)
        with contextlib.suppress(McpError):
            await session.close()

    def shown(self) -> list[Message]:
        """What an admin sees of them; not their ids, which are as good as keys."""
        now = self._gateway.services.now()
        return [
            {
                "key_name": session.caller.name,
                "path": session.place.path,
                "protocol_version": session.version,
                "client": session.client.get("name"),
                "idle_seconds": round(now - session.used, 1),
                "requests": len(session.calls),
            }
            for session in self._known.values()
        ]

    def tidy(self, now: float) -> None:
        """Let go of sessions nobody uses, and keep streams alive."""
        for session in [one for one in self._known.values() if self._idle(one, now)]:
            task = asyncio.create_task(self.end(session))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if now - self._kept_alive >= KEEP_ALIVE_SECONDS:
            self._kept_alive = now
            for session in self._known.values():
                session.keep_alive()

    async def close(self) -> None:
        """End all of them."""
        for session in list(self._known.values()):
            await self.end(session)

    def __len__(self) -> int:
        return len(self._known)

    def _idle(self, session: Session, now: float) -> bool:
        return now - session.used > self._gateway.mcp.session_seconds and not session.calls and not session.listening


def _uri(params: Message) -> str:
    uri: Any = params.get("uri")
    if not isinstance(uri, str):
        raise McpError(INVALID_PARAMS, "params.uri must be a string.")
    return uri
