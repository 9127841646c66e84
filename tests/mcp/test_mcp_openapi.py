"""HTTP APIs as servers, from their OpenAPI documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from routeiq.config import openapi
from support.mcp_agents import AgentsProcess
from support.mcp_client import McpClient

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getItem",
                "summary": "Gives an item.",
                "parameters": [
                    {"$ref": "#/components/parameters/verbose"},
                    {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                ],
            },
            "put": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
                }
            },
        },
        "/fails": {"delete": {"operationId": "fail now"}},
    },
    "components": {
        "parameters": {"verbose": {"name": "verbose", "in": "query", "schema": {"type": "boolean"}}},
        "schemas": {
            "Item": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "parent": {"$ref": "#/components/schemas/Item"}},
            }
        },
    },
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The settings of an API, and what it was asked."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
            status = 418 if "fails" in self.path else 200
            data = json.dumps({"path": self.path}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_DELETE = do_GET  # noqa: N815 - the standard library's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path_factory.mktemp("api") / "api.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT))
    settings = {"spec_path": str(file), "url": f"http://127.0.0.1:{server.server_port}/v1?version=2"}
    settings |= {"auth_type": "bearer_token", "auth_value": "secret"}
    yield settings, seen
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def api(served: tuple[dict[str, Any], list[dict[str, Any]]]) -> Iterator[tuple[AgentsProcess, list[dict[str, Any]]]]:
    settings, seen = served
    with AgentsProcess({"mcp_servers": {"api": settings}, "routeiq": {"mcp": {"tool_calls": True}}}) as agents:
        yield agents, seen


def test_operations_are_tools(api: tuple[AgentsProcess, list[dict[str, Any]]]) -> None:
    tools = {tool["name"]: tool for tool in McpClient(api[0], None, "/mcp/api").ask("tools/list")["result"]["tools"]}
    assert set(tools) == {"getItem", "put_items_id", "fail_now"}
    schema = tools["getItem"]["inputSchema"]
    assert set(schema["properties"]) == {"id", "verbose", "X-Tenant", "tag"}
    assert schema["required"] == ["id"]
    assert tools["getItem"]["annotations"]["readOnlyHint"] is True
    assert tools["fail_now"]["annotations"]["destructiveHint"] is True
    assert tools["put_items_id"]["inputSchema"]["properties"]["body"]["properties"]["name"] == {"type": "string"}


def test_calls_are_requests(api: tuple[AgentsProcess, list[dict[str, Any]]]) -> None:
    agents, seen = api
    client = McpClient(agents, None, "/mcp/api")
    result = client.call("getItem", id="a/b c", verbose=True, tag=["x", "y&z"], **{"X-Tenant": "acme"})
    assert result["structuredContent"]["path"] == "/v1/items/a%2Fb%20c?version=2&verbose=true&tag=x&tag=y%26z"
    assert seen[-1]["headers"]["x-tenant"] == "acme"
    assert seen[-1]["headers"]["authorization"] == "Bearer secret"
    assert not any(name.startswith("mcp-") for name in seen[-1]["headers"])
    client.call("put_items_id", id="7", body={"name": "ü"})
    assert (seen[-1]["method"], json.loads(seen[-1]["body"])) == ("PUT", {"name": "ü"})
    failed = client.call("fail_now")
    assert failed["isError"] is True
    assert "418" in failed["content"][0]["text"]


def test_what_may_destroy_waits_for_a_yes(served: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    settings, seen = served
    own = {"tool_calls": True, "ask_destructive": True}
    with AgentsProcess({"mcp_servers": {"api": settings}, "routeiq": {"mcp": own}}) as agents:
        client = McpClient(agents, None, "/mcp/api", elicitation={})
        assert client.call("getItem", id="1")["structuredContent"]
        before = len(seen)
        call = {"name": "fail_now", "arguments": {}}
        for action, calls in (("decline", 0), ("cancel", 0), ("accept", 1)):
            first = client.ask("tools/call", call)["result"]
            assert first["resultType"] == "input_required"
            ((name, wanted),) = first["inputRequests"].items()
            assert "fail_now" in wanted["params"]["message"]
            answers = {"requestState": first["requestState"], "inputResponses": {name: {"action": action}}}
            last = client.ask("tools/call", {**call, **answers})
            assert ("result" in last) == bool(calls)
            assert len(seen) == before + calls
        mute = McpClient(agents, None, "/mcp/api").ask("tools/call", call)
        assert mute["error"]["code"] == -32021
        assert len(seen) == before + 1


@pytest.mark.parametrize("arguments", [{"id": ".."}, {"id": ""}, {}, {"id": "x", "X-Tenant": "a\r\nHost: evil"}])
def test_arguments_stay_where_they_belong(api: tuple[AgentsProcess, list[Any]], arguments: dict[str, Any]) -> None:
    before = len(api[1])
    answer = McpClient(api[0], None, "/mcp/api").ask("tools/call", {"name": "getItem", "arguments": arguments})
    assert answer["error"]["code"] == -32602
    assert len(api[1]) == before


@pytest.mark.parametrize("text", ["", "[]", "swagger: '2.0'", "openapi: 3.0.0: x", "\x00"])
def test_what_is_no_document_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="is "):
        openapi.read(str(file))
    with pytest.raises(ValueError, match="can't be read"):
        openapi.read(str(tmp_path / "none.yaml"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("#/paths"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["get", "post", "parameters", "name", "in", "schema", "$ref", "requestBody", "content", "/a", "paths"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["paths", "components", "servers"]), json_values))
def test_documents_of_any_shape_do_no_harm(document: dict[str, Any]) -> None:
    names = [one.name for one in openapi.operations(document)]
    assert len(names) == len(set(names))
    openapi.base_of(document)
