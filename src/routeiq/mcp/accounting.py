"""What the gateway itself does not do, and how a use of a server ended."""

from __future__ import annotations

from routeiq.core.errors import GatewayError
from routeiq.mcp.wire import GATEWAY_ERROR, McpError

ENDPOINT = "mcp"
"""`Event.endpoint` and `Event.provider` of what is asked of MCP servers."""
CANCELLED = 499
"""The status of what its client has cancelled."""


def refused(error: GatewayError) -> McpError:
    """A refusal of the gateway as JSON-RPC."""
    data: dict[str, object] = {"code": error.code or error.kind, "type": error.type}
    if error.retry_after is not None:
        data["retry_after"] = error.retry_after
    made = Refused(GATEWAY_ERROR, error.message, data)
    made.kind, made.event_status = error.kind, error.status
    return made


class Refused(McpError):
    """What the gateway itself does not do. `kind` and `event_status` are what its Event says."""

    kind = "forbidden"
    event_status = 403
