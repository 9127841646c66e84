"""One MCP server behind the gateway: which revision it speaks, what it offers, whether it is well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from routeiq.core.mcp import McpServer
from routeiq.mcp import catalog, wire
from routeiq.mcp.catalog import Catalog
from routeiq.mcp.oauth.client import AuthorizationNeeded, OAuthClient
from routeiq.mcp.upstream.channel import Answered, Channel, Headers, Unreachable
from routeiq.mcp.upstream.link import Asker, Itself, LegacyLink, Link, ModernLink
from routeiq.mcp.wire import McpError, Message

AGAIN_SECONDS = 5.0
"""How soon a server that could not be asked is asked again."""
WATCH_AGAIN = 1.0
WATCH_MOST = 60.0
"""Seconds between two tries to watch a server for changes: the first, and the longest."""
NEW_SECONDS = 1.0
"""How old a catalog is that is read again because somebody asks for what it does not have."""
MOST_ACCESSES = 1000
MINUTE = 60.0

T = TypeVar("T")
Open = Callable[[McpServer], Channel]
Review = Callable[[McpServer, Catalog], None]
"""Takes out of a catalog what may not be shown."""
Changed = Callable[["Upstream", set[str]], None]

log = logging.getLogger("routeiq.mcp")


class Access:
    """A server as those see it who send it the same headers: most servers have one for all."""

    def __init__(self, upstream: Upstream, headers: Headers, owner: str) -> None:
        self.headers = headers
        self.owner = owner
        """Whose token it takes, where the server wants one."""
        self.catalog: Catalog | None = None
        self.error = ""
        self.asked = 0.0
        """When its lists were read, or could not be; monotonic seconds."""
        self.link: Link | None = None
        self._upstream = upstream
        self._reading: asyncio.Task[None] | None = None
        self._stale = False
        """Whether the server has said that its lists are others now."""
        self._noticed = False
        """The same, since they were last begun to be read."""

    def fresh(self, now: float) -> bool:
        """Whether there is no reason to read the catalog again."""
        if self.catalog is None:
            return bool(self.error) and now - self.asked < AGAIN_SECONDS
        return not self._stale and now - self.asked < self._seconds()

    async def read(self, *, wait: bool = False) -> Catalog | None:
        """The catalog, read now where it has to be. One that is only old serves meanwhile, unless `wait`."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        if wait or self.catalog is None or self._stale:
            await asyncio.shield(self._reading)
        return self.catalog

    def forget(self) -> None:
        """Its lists have changed."""
        self._stale = self._noticed = True
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Let go."""
        if self._reading is not None:
            self._reading.cancel()
        if self.link is not None:
            await self.link.close()
            self.link = None

    def _seconds(self) -> float:
        upstream, found = self._upstream, self.catalog
        if found is not None and found.ttl is not None and not upstream.watching:
            return max(found.ttl / 1000, NEW_SECONDS)
        return upstream.catalog_seconds

    async def _catalog(self, headers: Headers) -> Catalog:
        if self.link is None:
            self.link = await self._upstream.connect(Watcher(self._upstream, headers))
        return await catalog.read(self._upstream.server, self.link, Itself(headers))

    async def _read(self) -> None:
        upstream = self._upstream
        try:
            while True:
                self._noticed = False
                async with asyncio.timeout(upstream.server.timeout):
                    found = await upstream.authorized(self.owner, self.headers, self._catalog)
                upstream.review(upstream.server, found)
                before, self.catalog, self.error = self.catalog, found, ""
                if before is not None and upstream.first(self) is self and (kinds := found.differs(before)):
                    upstream.changed(upstream, kinds)
                self._stale = self._noticed
                if not self._stale:
                    break
        except AuthorizationNeeded as error:
            self.error = error.message
        except (McpError, TimeoutError) as error:
            self.error = str(error) or "The server did not answer in time."
            log.warning("MCP server %s: its lists can't be read: %s", upstream.server.name, self.error)
            link, self.link = self.link, None
            if link is not None:
                await upstream.lost(link)
        except Exception:
            log.exception("MCP server %s: its lists can't be read", upstream.server.name)
            self.error = "The gateway failed to read its lists."
        finally:
            self.asked = time.monotonic()
            self._reading = None


class Watcher(Itself):
    """The gateway, which wants to know what changes."""

    def __init__(self, upstream: Upstream, headers: Headers) -> None:
        super().__init__(headers)
        self._upstream = upstream

    def tell(self, message: Message) -> None:
        """Lists have changed."""
        self._upstream.heard(message)


class Upstream:
    """State of one server."""

    def __init__(
        self,
        server: McpServer,
        open_channel: Open,
        changed: Changed,
        review: Review,
        oauth: OAuthClient | None,
        catalog_seconds: float,
    ) -> None:
        self.server = server
        self.changed = changed
        self.review = review
        self.oauth = oauth
        """Where the server wants tokens."""
        self.catalog_seconds = catalog_seconds
        self.watching = False
        self.modern: bool | None = None if server.version == "auto" else server.version == wire.MODERN
        self.sessions = self.modern is not True
        """Whether it may have sessions besides: found out by the first client that wants one."""
        self.slots = asyncio.Semaphore(server.parallel) if server.parallel is not None else None
        self._calls: deque[float] = deque()
        """When it was called in the last minute."""
        self._open = open_channel
        self._shared: ModernLink | None = None
        self._accesses: dict[tuple[str, tuple[tuple[str, str], ...]], Access] = {}
        self._watch: asyncio.Task[None] | None = None
        self._finding = asyncio.Lock()

    def access(self, headers: Headers, caller: str) -> Access:
        """The server for those who send these headers; where it wants tokens, for a caller (its key's id)."""
        owner = self.oauth.owner(caller) if self.oauth is not None else ""
        key = owner, tuple(sorted(headers.items())) if headers else ()
        found = self._accesses.get(key)
        if found is None:
            while len(self._accesses) >= MOST_ACCESSES:
                oldest = self._accesses.pop(next(iter(self._accesses)))
                asyncio.ensure_future(oldest.close())  # noqa: RUF006 - it has nothing to tell
            found = self._accesses[key] = Access(self, headers, owner)
        return found

    def first(self, among: Access) -> Access:
        """Of all who see the server, the one whose changes are told of."""
        return next((access for access in self._accesses.values() if access.catalog is not None), among)

    @property
    def health(self) -> tuple[str, str]:
        """`healthy`, `unhealthy` or `unknown`, and why."""
        found = next((access for access in self._accesses.values() if access.asked), None)
        if found is None:
            return "unknown", ""
        return ("unhealthy", found.error) if found.error else ("healthy", "")

    def take(self) -> bool:
        """One call of those it may be given in a minute; False when there are none left."""
        most = self.server.rpm
        if most is None:
            return True
        now = time.monotonic()
        while self._calls and now - self._calls[0] >= MINUTE:
            self._calls.popleft()
        if len(self._calls) >= most:
            return False
        self._calls.append(now)
        return True

    def forwarded(self, fields: dict[bytes, bytes]) -> Headers:
        """Of a client's headers those the server is sent."""
        if not self.server.forward:
            return {}
        found = ((name, fields.get(name.encode())) for name in self.server.forward)
        return {name: value.decode("latin-1") for name, value in found if value is not None}

    async def connect(self, asker: Asker) -> Link:
        """A link to the server, in the revision it speaks. Raises `McpError`."""
        async with self._finding:
            if self.modern is None:
                self.modern = await self._is_modern(asker)
        if self.modern:
            link = await self._modern(asker)
            self._start_watch(link, asker)
            return link
        session = await self.session(asker)
        if _listable(session.info):
            self.watching = True
            session.channel.follow()
        return session

    async def session(self, asker: Asker, *, follow: bool = False) -> LegacyLink:
        """A session of its own for who asks; `follow` takes what belongs to no request, too. Raises `McpError`."""
        version = self.server.version if self.server.version in wire.LEGACY else wire.LEGACY[0]
        link = LegacyLink(self._open(self.server), version)
        try:
            await link.connect(asker)
        except BaseException:
            await link.close()
            raise
        if follow:
            link.channel.follow()
        return link

    async def shared(self, access: Access) -> ModernLink | None:
        """The link all callers share; `None` when the server has sessions."""
        if self._shared is None and self.modern is not False:
            await access.read(wait=True)
        return self._shared

    async def authorized(self, owner: str, headers: Headers, work: Callable[[Headers], Awaitable[T]]) -> T:
        """What comes of `work`, which is given headers with a token where the server wants one. Raises `McpError`."""
        oauth = self.oauth
        if oauth is None:
            return await work(headers)
        renewed = False
        while True:
            token = await oauth.headers(owner)
            try:
                result = await work({**headers, **token})
            except Answered as error:
                if error.http_status not in (401, 403):
                    raise
                await oauth.refused(owner, error, token, renewed=renewed)
                renewed = error.http_status == 401
            else:
                oauth.succeeded(owner)
                return result

    async def lost(self, link: Link) -> None:
        """A link is of no use any more: the server may have become another."""
        if link is self._shared:
            self._shared = None
        if self.server.version == "auto":
            self.modern = None
        with contextlib.suppress(McpError, TimeoutError):
            await link.close()

    def heard(self, message: Message) -> None:
        """A notification: where it tells of changes, the lists are read again."""
        if message.get("method") in wire.CHANGED.values():
            for access in self._accesses.values():
                access.forget()

    def renew(self, owner: str) -> None:
        """Somebody has a token now: what they see is read again."""
        for access in self._accesses.values():
            if access.owner == owner:
                access.error, access.asked = "", 0.0
                access.forget()

    async def close(self) -> None:
        """Let go of everything."""
        if self._watch is not None:
            self._watch.cancel()
        for access in self._accesses.values():
            with contextlib.suppress(McpError, TimeoutError):
                await access.close()
        if self._shared is not None:
            await self._shared.close()

    async def _is_modern(self, asker: Asker) -> bool:
        """https://modelcontextprotocol.io/specification/2026-07-28/basic/lifecycle: ask, and see what comes."""
        try:
            await self._modern(asker)
        except Answered as error:
            if error.http_status in (401, 403) or error.http_status >= 500:
                raise
            return False
        except Unreachable:
            raise
        except McpError:
            return False
        return True

    async def _modern(self, asker: Asker) -> ModernLink:
        if self._shared is None:
            link = ModernLink(self._open(self.server))
            try:
                await link.connect(asker)
            except BaseException:
                await link.close()
                raise
            self._shared = link
        return self._shared

    def _start_watch(self, link: ModernLink, asker: Asker) -> None:
        if self._watch is None and _listable(link.info) and not asker.headers:
            self._watch = asyncio.create_task(self._follow(link, asker))

    async def _follow(self, link: ModernLink, asker: Asker) -> None:
        capabilities = link.info.get("capabilities") or {}
        wanted = {f"{kind}ListChanged": True for kind in wire.CHANGED if _listed(capabilities, kind)}
        pause = WATCH_AGAIN
        while True:
            before = time.monotonic()
            self.watching = True
            try:
                await link.request("subscriptions/listen", {"notifications": wanted}, asker, patient=True)
            except McpError as error:
                log.debug("MCP server %s can't be watched: %s", self.server.name, error)
            self.watching = False
            if time.monotonic() - before > WATCH_MOST:
                pause = WATCH_AGAIN
            await asyncio.sleep(pause)
            pause = min(pause * 2, WATCH_MOST)
            for access in self._accesses.values():
                access.forget()  # whatever changed meanwhile


def _listed(capabilities: Message, kind: str) -> bool:
    found: Any = capabilities.get(kind)
    return isinstance(found, dict) and found.get("listChanged") is True


def _listable(info: Message) -> bool:
    capabilities = info.get("capabilities") or {}
    return any(_listed(capabilities, kind) for kind in wire.CHANGED)
