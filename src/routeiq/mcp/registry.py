"""All servers, and the views on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from routeiq.core.keys import Key
from routeiq.core.mcp import Mcp, McpServer
from routeiq.mcp.grants import Grants, grants_of, within, words
from routeiq.mcp.oauth.client import OAuthClient
from routeiq.mcp.upstream.channel import Headers
from routeiq.mcp.upstream.server import Open, Review, Upstream
from routeiq.mcp.view import Place, Shown, View, prefix_of

FIRST_SECONDS = 10.0
"""How long a caller waits for the lists of a server that has not told them yet."""
MOST_VIEWS = 2000

log = logging.getLogger("routeiq.mcp")

Oauth = Callable[[McpServer], OAuthClient | None]
"""Makes the client of a server that wants tokens."""
Watched = Callable[[Upstream, set[str]], None]


class Registry:
    """The servers of the configuration. `watched` is told whose lists have changed, and how."""

    def __init__(self, mcp: Mcp, open_channel: Open, watched: Watched, review: Review, oauth: Oauth) -> None:
        self.mcp = mcp
        self.upstreams: dict[str, Upstream] = {}
        self._open = open_channel
        self._watched = watched
        self._review = review
        self._oauth = oauth
        self._views: dict[tuple[object, ...], View] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.adopt(mcp)

    def adopt(self, mcp: Mcp) -> None:
        """Take another configuration; servers that did not change keep their connections."""
        self.mcp = mcp
        before, self.upstreams = self.upstreams, {}
        for server in mcp.servers:
            known = before.pop(server.id, None)
            if known is not None and known.server == server:
                known.catalog_seconds = mcp.catalog_seconds
                self.upstreams[server.id] = known
            else:
                if known is not None:
                    before[server.id] = known
                self.upstreams[server.id] = Upstream(
                    server, self._open, self._watched, self._review, self._oauth(server), mcp.catalog_seconds
                )
        self._views.clear()
        for gone in before.values():
            task = asyncio.ensure_future(gone.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def grants(self, key: Key, *, everything: bool) -> Grants:
        """What a key may use."""
        return grants_of(key, self.mcp, everything=everything)

    def place(self, words_asked: tuple[str, ...], path: str) -> Place | None:
        """The place of these servers, access groups or toolset; `None` where one of them is nothing."""
        if len(words_asked) == 1 and words_asked[0] in self.mcp.toolsets:
            return Place(path, toolset=words_asked[0])
        if len(words_asked) == 1 and any(words_asked[0] in words(server) for server in self.mcp.servers):
            return Place(path, words_asked, single=True)
        for word in words_asked:
            if not any(word in words(server) or word in server.access_groups for server in self.mcp.servers):
                return None
        return Place(path, words_asked)

    async def view(self, grants: Grants, place: Place, fields: Mapping[bytes, bytes], caller: str, now: float) -> View:
        """What is seen with these grants. Lists that are not there yet are waited for, dead servers left out."""
        shown = self._shown(grants, place, dict(fields), caller)
        if any(not one.access.fresh(now) for one in shown):
            missing = [one.access.read() for one in shown if not one.access.fresh(now)]
            await asyncio.wait([asyncio.ensure_future(one) for one in missing], timeout=FIRST_SECONDS)
        key = (place, *((one.upstream.server.id, one.tools, id(one.access)) for one in shown))
        view = self._views.get(key)
        if view is None or not view.current:
            if len(self._views) >= MOST_VIEWS:
                self._views.clear()
            view = self._views[key] = View(shown, self.mcp.page)
            for name in view.refused:
                log.warning("MCP: more than one server offers %s; the first of them is shown", name)
        return view

    def _shown(self, grants: Grants, place: Place, fields: dict[bytes, bytes], caller: str) -> list[Shown]:
        found = []
        for ident, tools in grants:
            upstream = self.upstreams.get(ident)
            if place.toolset:
                tools = within(tools, self.mcp.toolsets[place.toolset].get(ident, ()))
            if upstream is None or not self.is_at(upstream, place):
                continue
            headers: Headers = upstream.forwarded(fields)
            found.append(Shown(upstream, upstream.access(headers, caller), tools, ""))
        for one in found:
            one.prefix = prefix_of(self.mcp, one.upstream, place, len(found))
        return found

    def is_at(self, upstream: Upstream, place: Place) -> bool:
        """Whether a server is shown at a place."""
        if place.toolset:
            return upstream.server.id in self.mcp.toolsets.get(place.toolset, {})
        if place.names is None:
            return True
        server = upstream.server
        return not {*words(server), *server.access_groups}.isdisjoint(place.names)

    async def close(self) -> None:
        """Let go of all servers."""
        for upstream in self.upstreams.values():
            await upstream.close()
