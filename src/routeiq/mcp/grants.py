"""Who may use which servers and tools: nobody, unless somebody says so.

https://docs.litellm.ai/docs/mcp_control
"""

from __future__ import annotations

from routeiq.core.keys import Key, ObjectPermission
from routeiq.core.mcp import McpServer

Grants = tuple[tuple[str, frozenset[str] | None], ...]
"""(server's id, the names of its tools or `None` for all), in the order of the configuration."""

ALL = "all-proxy-mcpservers"
OF_TEAM = "all-team-mcpservers"


def grants_of(key: Key, servers: tuple[McpServer, ...], *, everything: bool) -> Grants:
    """What a key may use. `everything`: the gateway asks for no key.

    An admin may use every server, everybody those that are open to all keys. Of the others a key may use what all of
    its owners that say anything of MCP allow: the key, its team, its organization.
    """
    if everything or key.admin:
        return tuple((server.id, None) for server in servers)
    said = [one for one in key.permissions if _says(one)]
    out: list[tuple[str, frozenset[str] | None]] = []
    for server in servers:
        if not (server.open or (said and all(_names(one, server) for one in said))):
            continue
        tools: frozenset[str] | None = None
        for one in said:
            allowed = _tools(one, server)
            if allowed is not None:
                tools = allowed if tools is None else tools & allowed
        out.append((server.id, tools))
    return tuple(out)


def _says(permission: ObjectPermission) -> bool:
    return bool(permission.mcp_servers or permission.mcp_access_groups or permission.mcp_tool_permissions)


def _names(permission: ObjectPermission, server: McpServer) -> bool:
    named = permission.mcp_servers
    return (
        ALL in named
        or (permission.kind == "key" and OF_TEAM in named)
        or any(word in named or word in permission.mcp_tool_permissions for word in words(server))
        or not set(server.access_groups).isdisjoint(permission.mcp_access_groups)
    )


def _tools(permission: ObjectPermission, server: McpServer) -> frozenset[str] | None:
    """The tools of a server that may be used, where it says."""
    found = [permission.mcp_tool_permissions[word] for word in words(server) if word in permission.mcp_tool_permissions]
    return frozenset(name for names in found for name in names) if found else None


def words(server: McpServer) -> tuple[str, ...]:
    """What a server is called by."""
    return tuple(dict.fromkeys((server.id, server.name, server.prefix)))
