"""What one server offers, as it was listed last, and what of that is shown under which name."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from routeiq.core.mcp import McpServer
from routeiq.mcp import wire
from routeiq.mcp.headers import Params, annotated
from routeiq.mcp.upstream.link import Asker, Link
from routeiq.mcp.wire import McpError, Message, Unavailable

PAGES = 1000
ENTRIES = 20_000
"""Of one list of a server; what is beyond is left out."""
_VARIABLE = re.compile(r"\{([+#./;?&]?)[^{}]*\}")


class Tool(msgspec.Struct, eq=False):
    """A tool. `raw` is as the server tells of it."""

    server: McpServer
    name: str
    """The server's own."""
    title: str
    """As it is shown, without its server's prefix."""
    raw: Message
    params: Params
    """Arguments that headers repeat."""
    takes: frozenset[str] | None
    """Arguments it may be given; `None` is any."""

    @property
    def cost(self) -> int:
        """Nano-dollars a call."""
        return self.server.costs.get(self.name, self.server.cost)


class Named(msgspec.Struct, eq=False):
    """A prompt, a resource, or a template of resources, by its name or URI."""

    server: McpServer
    name: str
    raw: Message


class Catalog(msgspec.Struct, eq=False):
    """All of one server."""

    capabilities: Message
    instructions: str = ""
    tools: dict[str, Tool] = {}
    prompts: dict[str, Named] = {}
    resources: dict[str, Named] = {}
    templates: list[tuple[re.Pattern[str], Named]] = []
    ttl: int | None = None
    """Milliseconds its lists are good for, by its own word."""

    def differs(self, other: Catalog) -> set[str]:
        """Kinds of lists that differ: `tools`, `prompts`, `resources`."""
        out = set()
        if [tool.raw for tool in self.tools.values()] != [tool.raw for tool in other.tools.values()]:
            out.add("tools")
        if [one.raw for one in self.prompts.values()] != [one.raw for one in other.prompts.values()]:
            out.add("prompts")
        if [one.raw for one in self.resources.values()] != [one.raw for one in other.resources.values()] or [
            one.raw for _, one in self.templates
        ] != [one.raw for _, one in other.templates]:
            out.add("resources")
        return out


async def read(server: McpServer, link: Link, asker: Asker) -> Catalog:
    """Every list of a server. Raises `McpError` when it can't be asked."""
    capabilities = link.info.get("capabilities")
    capabilities = capabilities if isinstance(capabilities, dict) else {}
    instructions = link.info.get("instructions")
    found = Catalog(
        capabilities=capabilities,
        instructions=server.instructions or (instructions if isinstance(instructions, str) else ""),
    )
    reader = _Reader(link, asker)
    if "tools" in capabilities:
        for raw in await reader.all("tools/list"):
            tool = _tool(server, raw, link.modern)
            if tool is not None:
                found.tools.setdefault(tool.title, tool)
    if "prompts" in capabilities:
        for raw in await reader.all("prompts/list"):
            if isinstance(raw.get("name"), str):
                found.prompts.setdefault(raw["name"], Named(server, raw["name"], raw))
    if "resources" in capabilities:
        for raw in await reader.all("resources/list"):
            if isinstance(raw.get("uri"), str):
                found.resources.setdefault(raw["uri"], Named(server, raw["uri"], raw))
        try:
            templates = await reader.all("resources/templates/list")
        except Unavailable:
            raise
        except McpError:
            templates = []  # servers with resources need not have templates
        for raw in templates:
            template = raw.get("uriTemplate")
            if isinstance(template, str):
                found.templates.append((pattern(template), Named(server, template, raw)))
    found.ttl = reader.ttl
    return found


class _Reader:
    def __init__(self, link: Link, asker: Asker) -> None:
        self._link = link
        self._asker = asker
        self.ttl: int | None = None

    async def all(self, method: str) -> list[Message]:
        """All pages of a list."""
        out: list[Message] = []
        cursor: Any = None
        seen = set()
        for _ in range(PAGES):
            result = await self._link.request(method, {} if cursor is None else {"cursor": cursor}, self._asker)
            entries = result.get(wire.LISTS[method])
            if isinstance(entries, list):
                out += [entry for entry in entries if isinstance(entry, dict)]
            ttl = result.get("ttlMs")
            if isinstance(ttl, int) and ttl >= 0:
                self.ttl = ttl if self.ttl is None else min(ttl, self.ttl)
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or cursor in seen or len(out) >= ENTRIES:
                break
            seen.add(cursor)
        return out[:ENTRIES]


def _tool(server: McpServer, raw: Message, modern: bool) -> Tool | None:
    """What is shown of a tool; `None` for one that is not."""
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        return None
    if name in server.denied or (server.allowed is not None and name not in server.allowed):
        return None
    try:
        params = annotated(raw.get("inputSchema"))
    except ValueError:
        if modern:
            return None  # clients must not use such a tool
        params = {}
    description = server.descriptions.get(name)
    if description is not None:
        raw = {**raw, "description": description}
    takes = server.params.get(name)
    return Tool(
        server, name, server.titles.get(name, name), raw, params, frozenset(takes) if takes is not None else None
    )


def pattern(template: str) -> re.Pattern[str]:
    """What a URI template (RFC 6570) may become; a variable is taken for anything but a slash, or for anything."""
    out = ""
    end = 0
    for found in _VARIABLE.finditer(template):
        out += re.escape(template[end : found.start()])
        out += ".*" if found[1] in ("+", "#", "/", "?", "&", ";") else "[^/]*"
        end = found.end()
    return re.compile(out + re.escape(template[end:]), re.DOTALL)
