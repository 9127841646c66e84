"""HTTP APIs as MCP servers: each operation of an OpenAPI document is a tool, and a call to it is one request."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from routeiq.core.mcp import McpServer, Operation
from routeiq.mcp import wire
from routeiq.mcp.fetch import fetch
from routeiq.mcp.upstream.channel import Answered, Headers, Receive
from routeiq.mcp.wire import INVALID_PARAMS, METHOD_NOT_FOUND, McpError, Message, encode
from routeiq.transport.pool import Origin


class OpenApiChannel:
    """`Channel` that answers by itself, in the stateless revision."""

    def __init__(self, server: McpServer, origin: Origin, limit: int) -> None:
        """`limit`: bytes of one answer."""
        self.receive: Receive = lambda _: None
        self._server = server
        self._origin = origin
        self._limit = limit
        self._operations = {one.name: one for one in server.operations}

    async def request(self, message: Message, headers: Headers, receive: Receive, patient: bool = False) -> Message:
        """Answer one message."""
        method, params = message["method"], message.get("params") or {}
        try:
            if method == "server/discover":
                result: Message = {"supportedVersions": [wire.MODERN], "capabilities": {"tools": {}}}
            elif method == "tools/list":
                result = {"tools": [_shown(one) for one in self._server.operations]}
            elif method == "tools/call" and params.get("name") in self._operations:
                arguments = params.get("arguments") or {}
                result = await self._call(self._operations[params["name"]], arguments, headers)
            else:
                raise McpError(METHOD_NOT_FOUND, f"Method not found: {method}")
        except McpError as error:
            if isinstance(error, wire.Unavailable):
                raise
            return wire.refusal(message["id"], error)
        return wire.answer(message["id"], {"resultType": "complete", **result})

    async def send(self, message: Message, headers: Headers) -> None:
        """Nothing is told an API."""

    def agreed(self, version: str) -> None:
        """There is no session."""

    def restart(self) -> None:
        """There is no session."""

    def follow(self) -> None:
        """Nothing comes by itself."""

    async def close(self) -> None:
        """Nothing is open."""

    async def _call(self, operation: Operation, arguments: Message, headers: Headers) -> Message:
        server = self._server
        fields = {**server.headers, **{name: value for name, value in headers.items() if not _is_mcp(name)}}
        for name in operation.headers:
            if name in arguments:
                fields[name] = _text(arguments[name])
        lines = [f"{operation.method} {self._target(operation, arguments)} HTTP/1.1", f"Host: {server.host_header}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines.append("Accept: application/json, */*;q=0.5")
        body = b""
        if operation.body and "body" in arguments:
            body = encode(arguments["body"])
            lines.append("Content-Type: application/json")
        if operation.method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        status, kind, data = await fetch(
            self._origin, (head, body), seconds=server.timeout, limit=self._limit, who="The API"
        )
        if status in (401, 403):
            raise Answered(status)
        return _result(status, kind, data)

    def _target(self, operation: Operation, arguments: Message) -> str:
        path = operation.path
        for name in operation.in_path:
            value = _text(arguments.get(name, ""))
            if value in ("", ".", ".."):
                raise McpError(INVALID_PARAMS, f"{name} can't be a part of a path.")
            path = path.replace("{" + name + "}", quote(value, safe=""))
        query = {name: arguments[name] for name in operation.query if arguments.get(name) is not None}
        base, _, own = self._server.target.partition("?")
        parts = [own, urlencode({name: _query(value) for name, value in query.items()}, doseq=True)]
        joined = "&".join(part for part in parts if part)
        return base.rstrip("/") + quote(path, safe="/%:@!$&'()*+,;=-._~") + (f"?{joined}" if joined else "")


def _shown(operation: Operation) -> Message:
    return {
        "name": operation.name,
        "description": operation.description,
        "inputSchema": msgspec.json.decode(operation.schema),
        "annotations": {
            "readOnlyHint": operation.method == "GET",
            "destructiveHint": operation.method == "DELETE",
            "idempotentHint": operation.method in ("GET", "PUT", "DELETE"),
        },
    }


def _result(status: int, kind: str, data: bytes) -> Message:
    text = data.decode("utf-8", "replace")
    result: Message = {"content": [{"type": "text", "text": text if status < 400 else f"HTTP {status}: {text}"}]}
    if status >= 300:
        result["isError"] = True
    elif "json" in kind:
        try:
            found = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return result
        if isinstance(found, dict):
            result["structuredContent"] = found
    return result


def _text(value: Any) -> str:
    """An argument where only text can stand."""
    text = value if isinstance(value, str) else encode(value).decode()
    if any(c < " " or c == "\x7f" for c in text):
        raise McpError(INVALID_PARAMS, "An argument holds characters that can't be sent.")
    return text


def _query(value: Any) -> Any:
    return [_text(one) for one in value] if isinstance(value, list) else _text(value)


def _is_mcp(name: str) -> bool:
    return name.lower().startswith("mcp-")
