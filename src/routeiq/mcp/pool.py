"""Sessions with servers on behalf of clients that have none: one for each caller, kept while it is used."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable

import msgspec

from routeiq.mcp.turn import ModernTurn
from routeiq.mcp.upstream.link import Itself, LegacyLink
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.wire import UPDATED, Message

MOST = 5_000
_sorted = msgspec.json.Encoder(order="sorted").encode


class Pooled:
    """One session."""

    def __init__(self, task: asyncio.Task[LegacyLink], asker: Speaker) -> None:
        self.task = task
        self.asker = asker
        self.used = time.monotonic()


class Speaker(Itself):
    """Who a pooled session is begun for: it has no client to ask outside of a request."""

    def __init__(self, turn: ModernTurn, upstream: Upstream) -> None:
        super().__init__(turn.headers)
        self.capabilities = turn.capabilities
        self.client = turn.client
        self.listeners: dict[str, set[Callable[[], None]]] = {}
        """Who wants to know that a resource has changed, by its URI."""
        self._upstream = upstream

    def tell(self, message: Message) -> None:
        """Changes: of lists, and of resources."""
        self._upstream.heard(message)
        if message.get("method") == UPDATED:
            for listener in list(self.listeners.get((message.get("params") or {}).get("uri", ""), ())):
                listener()


class SessionPool:
    """By caller, server, and what the client is capable of."""

    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self._known: dict[tuple[str, str, bytes], Pooled] = {}

    async def link(self, turn: ModernTurn, upstream: Upstream) -> LegacyLink:
        """The session for a request. Raises `McpError`."""
        return await asyncio.shield(self.pooled(turn, upstream).task)

    def pooled(self, turn: ModernTurn, upstream: Upstream) -> Pooled:
        """The same, with who it is for."""
        key = self._key(turn, upstream)
        found = self._known.get(key)
        if found is None or (found.task.done() and (found.task.cancelled() or found.task.exception() is not None)):
            asker = Speaker(turn, upstream)
            found = self._known[key] = Pooled(asyncio.create_task(upstream.session(asker, follow=True)), asker)
            while len(self._known) > MOST:
                self._end(self._known.pop(next(iter(self._known))))
        found.used = time.monotonic()
        return found

    def drop(self, turn: ModernTurn, upstream: Upstream) -> None:
        """The session is of no use any more."""
        found = self._known.pop(self._key(turn, upstream), None)
        if found is not None:
            self._end(found)

    def tidy(self, now: float) -> None:
        """Let go of what nobody uses."""
        for key, found in list(self._known.items()):
            if now - found.used > self.idle_seconds:
                self._end(self._known.pop(key))

    def close(self) -> None:
        """Let go of all."""
        while self._known:
            self._end(self._known.popitem()[1])

    def _key(self, turn: ModernTurn, upstream: Upstream) -> tuple[str, str, bytes]:
        told = _sorted([turn.capabilities, turn.client, dict(turn.headers), id(upstream)])
        return turn.caller.key.id, upstream.server.id, hashlib.sha256(told).digest()

    def _end(self, pooled: Pooled) -> None:
        task = pooled.task
        task.cancel()
        if task.done() and not task.cancelled() and task.exception() is None:
            asyncio.ensure_future(task.result().close())  # noqa: RUF006 - it has nothing to tell
