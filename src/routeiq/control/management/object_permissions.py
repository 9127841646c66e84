"""Which MCP servers, tools and agents keys, teams and organizations may reach: in requests, records and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.core.keys import ObjectPermission

if TYPE_CHECKING:
    from routeiq.control.management.holder_bodies import ObjectPermissionFields

ALL_SERVERS = "all-proxy-mcpservers"
ALL_TEAM_SERVERS = "all-team-mcpservers"
"""LiteLLM's names: https://docs.litellm.ai/docs/mcp_control"""
_LISTS = ("mcp_servers", "mcp_access_groups", "mcp_toolsets", "agents", "agent_access_groups")


def changed(held: ObjectPermission | None, body: ObjectPermissionFields | None) -> ObjectPermission | None:
    """A permission with what a request says about it; null takes all of it away."""
    if body is None:
        return None
    new: dict[str, Any] = {name: tuple(dict.fromkeys(getattr(body, name) or ())) for name in _LISTS if body.has(name)}
    if body.has("mcp_tool_permissions"):
        tools = body.mcp_tool_permissions or {}
        new["mcp_tool_permissions"] = {server: tuple(dict.fromkeys(names)) for server, names in tools.items()}
    return msgspec.structs.replace(held or ObjectPermission(), **new)


def shown(held: ObjectPermission | None) -> dict[str, Any] | None:
    """The same as answers have it."""
    if held is None:
        return None
    return {
        **{name: list(getattr(held, name)) for name in _LISTS},
        "mcp_tool_permissions": {server: list(names) for server, names in held.mcp_tool_permissions.items()},
    }


def within(asked: ObjectPermission | None, held: ObjectPermission | None) -> bool:
    """Whether who has `held` may give `asked` away. Where nothing is held there is nothing to give."""
    if asked is None or asked == held:
        return True
    if held is None:
        return asked == ObjectPermission()
    servers = {name for name in asked.mcp_servers if name != ALL_TEAM_SERVERS}
    if ALL_SERVERS not in held.mcp_servers:
        known = {*held.mcp_servers, *held.mcp_tool_permissions}
        if not servers | set(asked.mcp_tool_permissions) <= known:
            return False
    for server, tools in held.mcp_tool_permissions.items():
        if not set(asked.mcp_tool_permissions.get(server, tools)) <= set(tools):
            return False
        if server not in asked.mcp_tool_permissions and (server in servers or ALL_SERVERS in servers):
            return False
    return all(set(getattr(asked, name)) <= set(getattr(held, name)) for name in _LISTS[1:])
