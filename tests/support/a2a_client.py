"""A2A over a gateway's HTTP, request by request, so that a test sees what is on the wire."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil

from support.gateway import Gateway

Json = dict[str, Any]

ADMIN = "sk-riq-test-admin-0123456789"
ALICE = "sk-riq-test-alice-0123456789"
BOB = "sk-riq-test-bob-0123456789"
NOBODY = "sk-riq-test-nobody-0123456789"


class A2aClient:
    """A caller of one agent."""

    def __init__(self, gateway: Gateway, key: str | None, agent: str, version: str | None = "1.0") -> None:
        self._port = gateway.port
        self._key = key
        self._ids = itertools.count(1)
        self.path = f"/a2a/{agent}"
        self.version = version
        self.headers: dict[str, str] = {}
        """Sent with everything."""

    def http(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        """One HTTP request, its answer to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        fields = {**self.headers, **({"Content-Type": "application/json"} if body is not None else {})}
        if self._key is not None:
            fields["Authorization"] = f"Bearer {self._key}"
        if self.version is not None:
            fields["A2A-Version"] = self.version
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, {**fields, **(headers or {})})
        return connection.getresponse(), connection

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of one HTTP request."""
        response, connection = self.http(method, path, body, headers)
        with closing(connection):
            data = response.read()
        return response.status, json.loads(data) if data else None

    def rpc(self, method: str, params: Json | None = None, headers: dict[str, str] | None = None) -> Json:
        """The JSON-RPC response to one request."""
        ident = next(self._ids)
        body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params or {}}
        _, message = self.call("POST", self.path, body, headers)
        assert message["id"] == ident
        return dict(message)

    def ask(self, method: str, params: Json | None = None) -> Any:
        """Its result."""
        message = self.rpc(method, params)
        assert "error" not in message, message
        return message["result"]

    def rpc_or_nothing(self, method: str) -> Json | None:
        """The same while the process may be starting."""
        try:
            status, message = self.call("POST", self.path, {"jsonrpc": "2.0", "id": 0, "method": method})
        except OSError:
            return None
        return message if status == 200 else None

    def refused(self, method: str, params: Json | None = None) -> int:
        """The code of its error."""
        return int(self.rpc(method, params)["error"]["code"])

    def stream(self, method: str, params: Json) -> Iterator[Json]:
        """The JSON-RPC responses of a stream."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        yield from self.events("POST", self.path, body)

    def events(self, method: str, path: str, body: Any = None) -> Iterator[Json]:
        """What is in the events of a stream."""
        response, connection = self.http(method, path, body)
        with closing(connection):
            if not response.headers["Content-Type"].startswith("text/event-stream"):
                yield json.loads(response.read())
                return
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


def said(text: str, **members: Any) -> Json:
    """Parameters of a message, in 1.0."""
    return {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **members}}


def said_old(text: str, **members: Any) -> Json:
    """The same in 0.3."""
    part = {"kind": "text", "text": text}
    return {"message": {"kind": "message", "messageId": "m-1", "role": "user", "parts": [part], **members}}


def rows_of(gateway: Gateway, request_id: str, count: int) -> list[Json]:
    """So many rows of the ledger with this request id, in their order."""
    for _ in range(200):
        found = [row for row in gateway.events() if row["request_id"] == request_id]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{len(found)} of {count} rows in the ledger")


def wait_for_control(gateway: Gateway) -> None:
    """Until the control plane, which starts last and keeps tasks, answers."""
    while b'"db":"connected"' not in gateway.get("/health/readiness")[2]:
        time.sleep(0.05)


def process_of(gateway: Gateway) -> psutil.Process:
    """The process with A2A."""
    assert gateway.process is not None
    children = psutil.Process(gateway.process.pid).children(recursive=True)
    return next(child for child in children if "routeiq.agents" in child.cmdline())
