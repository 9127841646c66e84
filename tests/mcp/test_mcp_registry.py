"""MCP servers in the database: added, changed and removed while clients go on, and kept out of private networks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, McpClient, text_of
from support.mcp_server import McpServer

SECRET = "upstream-secret-0123456789"


@pytest.fixture(scope="module")
def registry(everything: McpServer) -> Iterator[Gateway]:
    config: dict[str, Any] = {
        "general_settings": {"store_model_in_db": True},
        "mcp_servers": {"filed": {"url": everything.url}},
        "routeiq": {
            "mcp": {"tool_calls": True, "stored_private_hosts": ["127.0.0.1"], "stdio_commands": ["python3"]},
            "keys": [{"name": "agent", "key": AGENT, "object_permission": {"mcp_servers": ["all-proxy-mcpservers"]}}],
        },
    }
    with Gateway(config, key=ADMIN, env={"LITELLM_SALT_KEY": "salt-0123456789"}) as running:
        while b'"db":"connected"' not in running.get("/health/readiness")[2]:
            time.sleep(0.05)
        yield running


def ask(gateway: Gateway, method: str, body: Any = None, ident: str = "", key: str = ADMIN) -> tuple[int, Any]:
    path = f"/v1/mcp/server{'/' + ident if ident else ''}"
    status, _, answer = gateway.call(path, body, key=key, method=method)
    return status, json.loads(answer) if answer else None


def test_a_server_is_there_from_its_first_to_its_last_moment(registry: Gateway, everything: McpServer) -> None:
    agent = McpClient(registry, AGENT)
    body = {
        "server_name": "stored", "url": everything.url, "auth_type": "bearer_token",
        "credentials": {"auth_value": SECRET}, "static_headers": {"X-Static": SECRET}, "allowed_tools": ["echo"],
        "mcp_access_groups": ["desk"], "description": "Kept.",
    }  # fmt: skip
    status, made = ask(registry, "POST", body)
    assert status == 201, made
    assert SECRET not in json.dumps(made)
    assert (made["server_name"], made["mcp_access_groups"], made["created_by"]) == ("stored", ["desk"], "master")
    assert "stored-echo" in agent.names()
    assert text_of(agent.call("stored-echo", text="kept")) == "kept"
    assert everything.seen()[-1]["headers"]["authorization"] == f"Bearer {SECRET}"
    shown = ask(registry, "GET", ident=made["server_id"], key=AGENT)[1]
    assert (shown["server_name"], shown["description"]) == ("stored", "Kept.")
    assert [one["server_name"] for one in ask(registry, "GET")[1]] == ["filed", "stored"]
    changed = {"server_id": made["server_id"], "alias": "kept", "allowed_tools": None}
    status, answer = ask(registry, "PUT", changed)
    assert (status, answer["alias"]) == (202, "kept")
    names = agent.names()
    assert "kept-echo" in names
    assert "kept-test_simple_text" in names
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in registry.state_dir.glob("*.db*"))
    assert ask(registry, "DELETE", ident=made["server_id"]) == (202, None)
    assert not any(name.startswith("kept-") for name in agent.names())
    assert ask(registry, "DELETE", ident=made["server_id"])[0] == 404


def test_only_admins_change_the_registry(registry: Gateway, everything: McpServer) -> None:
    for method, body, ident in (
        ("POST", {"server_name": "mine", "url": everything.url}, ""),
        ("PUT", {"server_id": "filed"}, ""),
        ("DELETE", None, "filed"),
    ):
        assert ask(registry, method, body, ident, key=AGENT)[0] == 403
        assert registry.call(f"/v1/mcp/server/{ident}".rstrip("/"), body, key=None, method=method)[0] == 401
    assert "configuration file" in ask(registry, "DELETE", ident="filed")[1]["error"]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"url": "http://localhost:1/mcp"}, "private network"),
        ({"url": "http://10.1.2.3/mcp"}, "private network"),
        ({"url": "http://169.254.169.254/mcp"}, "private network"),
        ({"url": "http://[::ffff:127.0.0.1]/mcp"}, "private network"),
        ({"url": "ws://localhost/mcp", "transport": "websocket"}, "private network"),
        ({"url": "ftp://example.com"}, "http"),
        ({"transport": "stdio", "command": "python3"}, "stdio is for servers of the configuration file"),
        ({"url": "https://example.com/mcp", "spec_path": "/etc/passwd"}, "not supported"),
        ({"url": "https://example.com/mcp", "static_headers": {"X": "os.environ/LITELLM_SALT_KEY"}}, "gateway's own"),
        ({"url": "https://example.com/mcp", "auth_type": "aws_sigv4"}, "not served yet"),
        ({"url": "https://example.com/mcp", "nonsense": 1}, "nonsense"),
        ({"server_name": "filed", "url": "https://example.com/mcp"}, "already"),
        ({"server_name": "a b", "url": "https://example.com/mcp"}, "letters"),
    ],
)
def test_what_is_refused(registry: Gateway, body: dict[str, Any], said: str) -> None:
    status, answer = ask(registry, "POST", {"server_name": "bad", **body})
    assert status in (400, 422), answer
    assert said in answer["error"]["message"]
    assert [one["server_name"] for one in ask(registry, "GET")[1]] == ["filed"]


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
def test_a_name_that_leads_into_a_private_network_is_not_followed(
    registry: Gateway, everything: McpServer, transport: str
) -> None:
    """`0x7f.1` looks like any name, and resolves to this machine: the address connected to is the one looked at."""
    port = everything.url.rpartition(":")[2].partition("/")[0]
    scheme = "ws" if transport == "websocket" else "http"
    path = "sse" if transport == "sse" else "mcp"
    body = {"server_name": "odd", "url": f"{scheme}://0x7f.1:{port}/{path}", "transport": transport}
    status, made = ask(registry, "POST", body)
    assert status == 201, made
    try:
        before = len(everything.seen())
        _, _, answer = registry.call(f"/v1/mcp/server/health?server_ids={made['server_id']}", key=ADMIN)
        found = json.loads(answer)[0]
        assert found["status"] == "unhealthy"
        assert "not on the open network" in found["health_check_error"]
        assert len(everything.seen()) == before
    finally:
        assert ask(registry, "DELETE", ident=made["server_id"])[0] == 202
