"""Which servers a path and its headers stand for."""

from __future__ import annotations

from urllib.parse import unquote

from routeiq.core.errors import UnknownPath
from routeiq.mcp.registry import Registry
from routeiq.mcp.view import Place

EVERYTHING = Place()


def place_of(registry: Registry, path: bytes, fields: dict[bytes, bytes]) -> Place:
    """The place of a path in the table of `mcp_face`. Raises `UnknownPath`."""
    if path == b"/mcp" or path == b"/mcp/":
        names = _words(fields.get(b"x-mcp-servers", b"").decode("latin-1"))
        names += _words(fields.get(b"x-mcp-access-groups", b"").decode("latin-1"))
        return Place(names=names) if names else EVERYTHING
    part = path.removeprefix(b"/mcp/") if path.startswith(b"/mcp/") else path[1:].removesuffix(b"/mcp")
    part = part.removeprefix(b"toolset/")
    text = unquote(part.rstrip(b"/").decode("latin-1"))
    place = registry.place(_words(text), f"/mcp/{text}")
    if place is None:
        raise UnknownPath(f"There is no MCP server, access group or toolset {text[:200]!r} here.")
    return place


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
