"""What must be true of a request before its method is looked at: where it comes from, and its envelope.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from __future__ import annotations

from urllib.parse import urlsplit

from routeiq.core.exchange import Header
from routeiq.core.mcp import Mcp
from routeiq.mcp import wire
from routeiq.mcp.headers import check_header
from routeiq.mcp.wire import HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, McpError, Message, meta_of

_ONCE = (b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id", b"origin")
_PARAM = b"mcp-param-"


def check_origin(mcp: Mcp, headers: list[Header], fields: dict[bytes, bytes]) -> None:
    """Raise `McpError` (403) for a request that a web page elsewhere has made a browser send: DNS rebinding.

    https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
    """
    host = fields.get(b"host", b"").decode("latin-1").strip().lower()
    name = _name(host)
    if mcp.hosts and name not in mcp.hosts:
        raise McpError(INVALID_REQUEST, "This Host is not served: see routeiq.mcp.allowed_hosts.", status=403)
    origin = fields.get(b"origin")
    if origin is None:
        return
    if sum(header == b"origin" for header, _ in headers) > 1:
        raise McpError(INVALID_REQUEST, "A request has one Origin.", status=403)
    text = origin.decode("latin-1").strip().lower()
    if text.rstrip("/") in mcp.origins:
        return
    try:
        parts = urlsplit(text)
        foreign = parts.scheme not in ("http", "https") or (
            parts.netloc != host and (not mcp.hosts or (parts.hostname or "") not in mcp.hosts)
        )
    except ValueError:
        foreign = True
    if foreign:
        raise McpError(INVALID_REQUEST, "This Origin is not served: see routeiq.mcp.allowed_origins.", status=403)


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_modern(message: Message, fields: dict[bytes, bytes]) -> bool:
    """Whether a request is of the stateless revision, or of one that is to come."""
    if wire.META_VERSION in meta_of(message.get("params")):
        return True
    version = fields.get(b"mcp-protocol-version", b"").strip().decode("latin-1")
    return bool(version) and version not in wire.LEGACY and b"mcp-session-id" not in fields


def check_modern(message: Message, headers: list[Header], fields: dict[bytes, bytes]) -> None:
    """Raise `McpError` for a request whose envelope is not whole, or whose headers and body differ."""
    method = message["method"]
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    missing = [name for name in (wire.META_VERSION, wire.META_CAPABILITIES) if name not in meta]
    if missing:
        raise McpError(INVALID_PARAMS, f"params._meta needs {' and '.join(missing)}.")
    if not isinstance(meta[wire.META_CAPABILITIES], dict):
        raise McpError(INVALID_PARAMS, f"{wire.META_CAPABILITIES} must be an object.")
    if len(headers) != len(fields):
        names = [name for name, _ in headers if name in _ONCE or name.startswith(_PARAM)]
        if len(names) != len(set(names)):
            raise McpError(HEADER_MISMATCH, "Header mismatch: a header is there twice.")
    version = meta[wire.META_VERSION]
    check_header(fields, "MCP-Protocol-Version", version)
    check_header(fields, "Mcp-Method", method)
    name = wire.NAMED.get(method)
    if name is not None and params is not None and params.get(name) is not None:
        check_header(fields, "Mcp-Name", params[name])
    if version != wire.MODERN:
        raise McpError(
            wire.UNSUPPORTED_VERSION,
            "Unsupported protocol version",
            {"supported": [wire.MODERN], "requested": version},
        )


def check_legacy(fields: dict[bytes, bytes]) -> None:
    """Raise `McpError` for a revision nobody knows."""
    version = fields.get(b"mcp-protocol-version")
    if version is not None and version.strip().decode("latin-1") not in wire.LEGACY:
        raise McpError(INVALID_REQUEST, f"Unsupported protocol version: {version[:40].decode('latin-1')}", status=400)
