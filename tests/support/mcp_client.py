"""MCP over a gateway's HTTP, message by message, so that a test sees what is on the wire."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from typing import Any, Protocol

Message = dict[str, Any]

ADMIN = "sk-riq-test-admin-0123456789"
AGENT = "sk-riq-test-agent-0123456789"
OTHER = "sk-riq-test-other-0123456789"
META = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Reached(Protocol):
    """A gateway, or the process with MCP alone."""

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection to it."""


class Answer:
    """One HTTP answer, read message by message."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.connection = connection
        self.response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def events(self) -> Iterator[dict[str, str]]:
        """Fields of each event."""
        fields: dict[str, str] = {}
        while line := self.response.readline():
            text = line.decode().rstrip("\r\n")
            if not text:
                if fields:
                    yield fields
                fields = {}
            elif not text.startswith(":"):
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")

    def messages(self) -> Iterator[Message]:
        """Every message there is."""
        if not self.streamed:
            body = self.response.read()
            if body:
                yield json.loads(body)
            return
        for event in self.events():
            if event.get("data"):
                yield json.loads(event["data"])

    def close(self) -> None:
        self.connection.close()


class McpClient:
    """A client with a key. `path` is a place of the gateway."""

    def __init__(self, gateway: Reached, key: str | None, path: str = "/mcp", **capabilities: Any) -> None:
        self._connect = gateway.connection
        self.key = key
        self.path = path
        self.capabilities = capabilities
        self.session: str | None = None
        self.version = "2025-11-25"
        self._ids = itertools.count(1)

    def http(
        self, method: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 15.0
    ) -> Answer:
        """One HTTP request."""
        fields = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self.key is not None:
            fields["Authorization"] = f"Bearer {self.key}"
        fields |= headers or {}
        connection = self._connect(timeout)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, self.path, data, fields)
        return Answer(connection, connection.getresponse())

    # the stateless revision

    def envelope(self, method: str, params: Message | None = None, **meta: Any) -> tuple[Message, dict[str, str]]:
        """A request and its headers."""
        told = {META + "protocolVersion": MODERN, META + "clientCapabilities": self.capabilities}
        params = {**(params or {}), "_meta": {**told, **meta}}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if method in NAMED and NAMED[method] in params:
            headers["Mcp-Name"] = params[NAMED[method]]
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}, headers

    def post(self, method: str, params: Message | None = None, headers: dict[str, str] | None = None) -> Answer:
        """One request; its answer as it comes."""
        body, fields = self.envelope(method, params)
        return self.http("POST", body, fields | (headers or {}))

    def ask(self, method: str, params: Message | None = None, headers: dict[str, str] | None = None) -> Message:
        """The response to one request."""
        answer = self.post(method, params, headers)
        found = list(answer.messages())
        answer.close()
        return found[-1]

    def call(self, tool: str, **arguments: Any) -> Message:
        """The result of a tool."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert "result" in answer, answer
        found: Message = answer["result"]
        return found

    def names(self, kind: str = "tools") -> list[str]:
        """The names of a whole list."""
        out: list[str] = []
        params: Message = {}
        while True:
            result = self.ask(f"{kind}/list", params)["result"]
            out += [one.get("uri") or one["name"] for one in result[kind]]
            if "nextCursor" not in result:
                return out
            params = {"cursor": result["nextCursor"]}

    # revisions with sessions

    def initialize(self, version: str = "2025-11-25", **capabilities: Any) -> Message:
        """Begin a session."""
        params = {
            "protocolVersion": version,
            "capabilities": capabilities or self.capabilities,
            "clientInfo": {"name": "tests", "version": "1"},
        }
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": "initialize", "params": params}
        answer = self.http("POST", body)
        message = next(answer.messages())
        assert "result" in message, message
        self.session = answer.headers["mcp-session-id"]
        self.version = message["result"]["protocolVersion"]
        assert self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        found: Message = message["result"]
        return found

    @property
    def fields(self) -> dict[str, str]:
        assert self.session is not None
        return {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version}

    def send(self, message: Message, **headers: str) -> Answer:
        """One message in the session."""
        return self.http("POST", message, self.fields | headers)

    def request(self, method: str, params: Message | None = None, ident: Any = None) -> Answer:
        """One request in the session; its answer as it comes."""
        body = {"jsonrpc": "2.0", "id": ident or next(self._ids), "method": method}
        return self.send(body if params is None else {**body, "params": params})

    def result(self, method: str, params: Message | None = None) -> Message:
        """The response to one request in the session."""
        answer = self.request(method, params)
        found = list(answer.messages())
        answer.close()
        return found[-1]


def text_of(result: Message) -> str:
    """The text of a tool's result."""
    found: str = result["content"][0]["text"]
    return found
