"""JSON-RPC messages of MCP as plain dicts: names, codes, and what every message must be.

Nothing is modelled beyond what the gateway needs to know, so that fields and schemas it does not know survive.
https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from __future__ import annotations

from typing import Any

import msgspec

Message = dict[str, Any]

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The stateless revision, and those with sessions, the newest first."""
ASSUMED = "2025-03-26"
"""Of a request of a session that names none."""

META = "io.modelcontextprotocol/"
META_VERSION = META + "protocolVersion"
META_CAPABILITIES = META + "clientCapabilities"
META_CLIENT = META + "clientInfo"
META_SERVER = META + "serverInfo"
META_LEVEL = META + "logLevel"
META_SUBSCRIPTION = META + "subscriptionId"
TRACE = ("traceparent", "tracestate", "baggage")

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
RESOURCE_NOT_FOUND = -32002
"""Of revisions before 2026-07-28, which answer `INVALID_PARAMS`."""
GATEWAY_ERROR = 1000
"""The gateway's own: outside what JSON-RPC and the specification reserve. Refusals carry their code in `data`."""

STATUSES = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""HTTP statuses of errors in the stateless revision; others are told with 200."""

NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose `Mcp-Name` header repeats a parameter."""
LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""Methods that list, and the member the list is in."""
CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}
"""Notifications of changes, by what has changed."""
UPDATED = "notifications/resources/updated"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of RFC 5424, the least urgent first."""

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class McpError(Exception):
    """A JSON-RPC error, as it is told or was told by a server. `status` overrides the HTTP status."""

    def __init__(self, code: int, message: str, data: Any = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status

    def object(self) -> Message:
        """The `error` member."""
        told: Message = {"code": self.code, "message": self.message}
        if self.data is not None:
            told["data"] = self.data
        return told


class Unavailable(McpError):
    """A server can't be reached, or does not answer as MCP servers do."""

    def __init__(self, message: str) -> None:
        super().__init__(GATEWAY_ERROR, message, {"code": "mcp_server_unavailable"})


def decode(data: bytes) -> Any:
    """A JSON value. Raises `McpError`."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise McpError(PARSE_ERROR, "Parse error: the body is not JSON.") from None


def check(message: Any) -> Message:
    """One JSON-RPC message. Raises `McpError` for what is none."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise McpError(INVALID_REQUEST, 'A message is a JSON object with "jsonrpc": "2.0".')
    method = message.get("method")
    if method is not None:
        if not isinstance(method, str):
            raise McpError(INVALID_REQUEST, "method must be a string.")
        if "id" in message and not is_id(message["id"]):
            raise McpError(INVALID_REQUEST, "id must be a string or a whole number.")
        if not isinstance(message.get("params", {}), dict):
            raise McpError(INVALID_PARAMS, "params must be an object.")
    elif not is_id(message.get("id")) or ("result" in message) == ("error" in message):
        raise McpError(INVALID_REQUEST, "A message has a method, or an id with a result or an error.")
    elif not isinstance(message.get("result", message.get("error")), dict):
        raise McpError(INVALID_REQUEST, "result and error must be objects.")
    return message


def is_id(value: Any) -> bool:
    """Whether a value may be the id of a request."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def request(ident: Any, method: str, params: Message | None) -> Message:
    """A request."""
    made: Message = {"jsonrpc": "2.0", "id": ident, "method": method}
    if params is not None:
        made["params"] = params
    return made


def notification(method: str, params: Message | None = None) -> Message:
    """A notification."""
    made: Message = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        made["params"] = params
    return made


def answer(ident: Any, result: Message) -> Message:
    """The answer to a request."""
    return {"jsonrpc": "2.0", "id": ident, "result": result}


def refusal(ident: Any, error: McpError) -> Message:
    """The answer to a request that failed."""
    return {"jsonrpc": "2.0", "id": ident, "error": error.object()}


def outcome(message: Message) -> Message:
    """The result a response carries. Raises `McpError` with the error it carries."""
    if "result" in message:
        result = message["result"]
        if not isinstance(result, dict):
            raise Unavailable("The server answered with a result that is not an object.")
        return result
    error = message.get("error")
    if not isinstance(error, dict):
        raise Unavailable("The server answered with neither a result nor an error.")
    code = error.get("code")
    raise McpError(code if isinstance(code, int) else INTERNAL_ERROR, str(error.get("message", "")), error.get("data"))


def meta_of(params: Message | None) -> Message:
    """`params._meta`, empty without one."""
    meta = params.get("_meta") if params else None
    return meta if isinstance(meta, dict) else {}
