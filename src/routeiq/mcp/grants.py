"""Who may use which servers and tools: nobody, unless somebody says so.

https://docs.litellm.ai/docs/mcp_control
"""

from __future__ import annotations

from collections.abc import Iterable

from routeiq.core.keys import Key, ObjectPermission
from routeiq.core.mcp import Mcp, McpServer

Tools = frozenset[str] | None
"""Names of tools, or `None` for all."""
Grants = tuple[tuple[str, Tools], ...]
"""(server's id, tools), in the order of the configuration."""

ALL = "all-proxy-mcpservers"
OF_TEAM = "all-team-mcpservers"


def grants_of(key: Key, mcp: Mcp, *, everything: bool) -> Grants:
    """What a key may use. `everything`: the gateway asks for no key.

    An admin may use every server, everybody those that are open to all keys. Of the others a key may use what all of
    its owners that say anything of MCP allow: the key, its team, its organization.
    """
    if everything or key.admin:
        return tuple((server.id, None) for server in mcp.servers)
    said = [one for one in key.permissions if _says(one)]
    out: list[tuple[str, Tools]] = []
    for server in mcp.servers:
        tools: Tools = None
        granted = server.open or bool(said)
        for one in said:
            named, allowed = _allowed(one, server, mcp)
            granted &= named or server.open
            tools = both(tools, allowed) if named else tools
        if granted:
            out.append((server.id, tools))
    return tuple(out)


def both(one: Tools, other: Tools) -> Tools:
    """What two say may be used."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def within(tools: Tools, names: Iterable[str]) -> Tools:
    """Of these tools those that are named; all of them where none is."""
    found = frozenset(names)
    return both(tools, found) if found else tools


def words(server: McpServer) -> tuple[str, ...]:
    """What a server is called by."""
    return tuple(dict.fromkeys((server.id, server.name, server.prefix)))


def _says(permission: ObjectPermission) -> bool:
    return bool(
        permission.mcp_servers
        or permission.mcp_access_groups
        or permission.mcp_tool_permissions
        or permission.mcp_toolsets
    )


def _allowed(permission: ObjectPermission, server: McpServer, mcp: Mcp) -> tuple[bool, Tools]:
    """Whether one owner allows a server, and which of its tools."""
    named = permission.mcp_servers
    called = words(server)
    by_tool = [permission.mcp_tool_permissions[word] for word in called if word in permission.mcp_tool_permissions]
    whole = (
        ALL in named
        or (permission.kind == "key" and OF_TEAM in named)
        or not set(called).isdisjoint(named)
        or not set(server.access_groups).isdisjoint(permission.mcp_access_groups)
    )
    if by_tool:
        return True, frozenset(name for names in by_tool for name in names)
    if whole:
        return True, None
    sets = [mcp.toolsets[name] for name in permission.mcp_toolsets if name in mcp.toolsets]
    parts = [one[server.id] for one in sets if server.id in one]
    if not parts:
        return False, None
    if not all(parts):
        return True, None  # one of the sets has all of its tools
    return True, frozenset(name for names in parts for name in names)
