"""What one caller sees at one place: lists over all servers it may use there, each entry under its shown name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from routeiq.core.mcp import ALWAYS, CONDITIONAL, Mcp
from routeiq.mcp import wire
from routeiq.mcp.catalog import Named, Tool
from routeiq.mcp.upstream.server import Access, Upstream
from routeiq.mcp.wire import INVALID_PARAMS, McpError, Message


class Place(msgspec.Struct, frozen=True):
    """Where a client asks: everything it may use, or some servers by name."""

    path: str = "/mcp"
    names: tuple[str, ...] | None = None
    """Of servers, or of access groups; `None` is all."""
    toolset: str = ""
    """The name of one, in place of servers."""
    single: bool = False
    """Whether it is the place of one server, whose names stand as they are."""


class Shown(msgspec.Struct, eq=False):
    """A server in a view."""

    upstream: Upstream
    access: Access
    tools: frozenset[str] | None
    """The names of its tools that are granted; `None` is all."""
    prefix: str


class View:
    """Built once and not changed; another is built when a list has changed."""

    def __init__(self, shown: Iterable[Shown], page: int) -> None:
        self.servers = list(shown)
        self.catalogs = [one.access.catalog for one in self.servers]
        self.tools: dict[str, Tool] = {}
        self.prompts: dict[str, Named] = {}
        self.resources: dict[str, Named] = {}
        self.templates: list[tuple[re.Pattern[str], Named]] = []
        self.by_server = {one.upstream.server.id: one for one in self.servers}
        self.refused: list[str] = []
        """Names that were left out, because another server's entry has them."""
        self.index: Any = None
        """Of its tools, once somebody searches them: `mcp.search.Index`."""
        self._page = page
        self._lists: dict[str, list[Message]] = {method: [] for method in wire.LISTS}
        for one in self.servers:
            self._add(one)
        self.capabilities = self._capabilities()
        texts = [one.access.catalog.instructions for one in self.servers if one.access.catalog is not None]
        self.instructions = "\n\n".join(text for text in texts if text)
        ttls = [found.ttl for found in self.catalogs if found is not None]
        self.ttl = min((ttl for ttl in ttls if ttl is not None), default=0)

    @property
    def current(self) -> bool:
        """Whether every list is still the one it was built from."""
        return all(one.access.catalog is found for one, found in zip(self.servers, self.catalogs, strict=True))

    def entries(self, method: str) -> list[Message]:
        """A whole list."""
        return self._lists[method]

    def page(self, method: str, cursor: Any) -> Message:
        """One page of a list. Raises `McpError` for a cursor that is none of this view's."""
        entries = self._lists[method]
        start = 0
        if cursor is not None:
            start = int(cursor) if isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() else -1
            if not 0 < start <= len(entries) or len(cursor) > 9:
                raise McpError(INVALID_PARAMS, "Invalid cursor.")
        result: Message = {wire.LISTS[method]: entries[start : start + self._page]}
        if start + self._page < len(entries):
            result["nextCursor"] = str(start + self._page)
        return result

    def resource(self, uri: str) -> Shown | None:
        """The server a URI is read from."""
        found = self.resources.get(uri)
        if found is None:
            found = next((named for pattern, named in self.templates if pattern.fullmatch(uri)), None)
        if found is not None:
            return self.by_server[found.server.id]
        having = [one for one in self.servers if one.access.catalog and "resources" in one.access.catalog.capabilities]
        # Servers link to resources that they list nowhere.
        return having[0] if len(having) == 1 else None

    def _add(self, one: Shown) -> None:
        found = one.access.catalog
        if found is None:
            return
        prefix = one.prefix
        for tool in found.tools.values():
            name = prefix + tool.title
            if one.tools is not None and one.tools.isdisjoint((tool.name, name)):
                continue
            if self._take(self.tools, name, tool):
                self._lists["tools/list"].append({**tool.raw, "name": name})
        for prompt in found.prompts.values():
            name = prefix + prompt.name
            if self._take(self.prompts, name, prompt):
                self._lists["prompts/list"].append({**prompt.raw, "name": name})
        for resource in found.resources.values():
            if self._take(self.resources, resource.name, resource):
                self._lists["resources/list"].append(resource.raw)
        for compiled, template in found.templates:
            self.templates.append((compiled, template))
            self._lists["resources/templates/list"].append(template.raw)

    def _take(self, names: dict[str, Any], name: str, entry: Any) -> bool:
        if name in names:
            self.refused.append(name)
            return False
        names[name] = entry
        return True

    def _capabilities(self) -> Message:
        """What any of the servers can do, and what the gateway does for all."""
        out: Message = {}
        for found in self.catalogs:
            told = found.capabilities if found is not None else {}
            for kind in wire.CHANGED:
                if kind in told:
                    out.setdefault(kind, {"listChanged": True})
            resources = told.get("resources")
            if isinstance(resources, dict) and resources.get("subscribe"):
                out["resources"]["subscribe"] = True
            for kind in ("logging", "completions"):
                if kind in told:
                    out.setdefault(kind, {})
        return out


def prefix_of(mcp: Mcp, upstream: Upstream, place: Place, count: int) -> str:
    """What stands in front of a server's names where `count` servers are shown."""
    if place.single or not (mcp.prefix == ALWAYS or (mcp.prefix == CONDITIONAL and count > 1)):
        return ""
    return upstream.server.prefix + mcp.separator
