"""Servers that want tokens: the gateway's own, and its users'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.mcp.oauth import metadata
from routeiq.transport.guard import is_public
from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, OTHER, McpClient, text_of


class Guarded:
    """An MCP server and its authorization server in one. Tokens are `TOKEN-<number>`, and end when a test says so."""

    def __init__(self) -> None:
        self.count = 0
        self.dead: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self.elsewhere: str | None = None
        guarded = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status: int, body: Any, **headers: str) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                if "oauth-protected-resource" in self.path:
                    servers = [guarded.elsewhere or guarded.base]
                    self.answer(200, {"resource": guarded.base + "/mcp", "authorization_servers": servers})
                elif "oauth-authorization-server" in self.path:
                    self.answer(200, guarded.metadata())
                else:
                    self.answer(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/token":
                    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                    guarded.asked.append(form)
                    guarded.count += 1
                    token = f"TOKEN-{guarded.count}"
                    given = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
                    refresh = {"refresh_token": "R"} if form["grant_type"] != "client_credentials" else {}
                    self.answer(200, given | refresh)
                    return
                if self.path == "/register":
                    self.answer(201, {"client_id": "registered"})
                    return
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                if not token.startswith("TOKEN-") or token in guarded.dead:
                    told = (
                        f'Bearer resource_metadata="{guarded.base}/.well-known/oauth-protected-resource", scope="use"'
                    )
                    self.answer(401, {}, WWW_Authenticate=told)
                    return
                message = json.loads(body)
                tools = [{"name": "whoami", "inputSchema": {"type": "object"}}]
                results = {
                    "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
                    "tools/list": {"tools": tools},
                    "tools/call": {"content": [{"type": "text", "text": token}]},
                }
                self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]})

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.base,
            "authorization_endpoint": self.base + "/authorize",
            "token_endpoint": self.base + "/token",
            "registration_endpoint": self.base + "/register",
            "code_challenge_methods_supported": ["S256"],
        }


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    found = Guarded()
    yield found
    found.server.shutdown()
    found.server.server_close()


def config(guarded: Guarded, **server: Any) -> dict[str, Any]:
    keys = [
        {"name": name, "key": key, "object_permission": {"mcp_servers": ["guarded"]}}
        for name, key in (("agent", AGENT), ("other", OTHER))
    ]
    servers = {"guarded": {"url": guarded.base + "/mcp", "auth_type": "oauth2", **server}}
    return {"mcp_servers": servers, "routeiq": {"mcp": {"tool_calls": True}, "keys": keys}}


def test_a_token_of_the_gateways_own(guarded: Guarded) -> None:
    own = {"oauth2_flow": "client_credentials", "client_id": "me", "client_secret": "my-own-secret"}
    with Gateway(config(guarded, **own), key=ADMIN) as running:
        agent, other = (McpClient(running, key, "/mcp/guarded") for key in (AGENT, OTHER))
        assert text_of(agent.call("whoami")) == text_of(other.call("whoami")) == "TOKEN-1"
        assert guarded.asked[0]["scope"] == "use"
        assert guarded.asked[0]["resource"] == guarded.base + "/mcp"
        guarded.dead.add("TOKEN-1")
        assert text_of(agent.call("whoami")) == "TOKEN-2"
        assert "my-own-secret" not in running.logs() + running.call("/v1/mcp/server", key=ADMIN)[2].decode()


def begin(running: Gateway, key: str) -> tuple[str, dict[str, str], str]:
    """A user's authorization up to the authorization server: its state, what was asked, and the cookie."""
    status, _, body = running.call("/v1/mcp/server/oauth/guarded/authorize", key=key)
    assert status == 200, body
    url = json.loads(body)["authorization_url"]
    state = parse_qs(urlsplit(url).query)["state"][0]
    page = running.call(f"/v1/mcp/oauth/consent?state={state}", key=None)
    assert page[0] == 200
    assert page[1]["x-frame-options"] == "DENY"
    at = McpClient(running, None, "/v1/mcp/oauth/consent")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    agreed = at.http("POST", urlencode({"state": state}).encode(), form)
    assert agreed.status == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(agreed.headers["location"]).query).items()}
    return state, asked, agreed.headers["set-cookie"].partition(";")[0]


def test_a_token_for_each_user(guarded: Guarded) -> None:
    with Gateway(config(guarded), key=ADMIN) as running:
        agent, other = (McpClient(running, key, "/mcp/guarded") for key in (AGENT, OTHER))
        assert agent.names() == []
        state, asked, cookie = begin(running, AGENT)
        assert (asked["client_id"], asked["code_challenge_method"], asked["scope"]) == ("registered", "S256", "use")
        callback = f"/v1/mcp/oauth/callback?state={state}&code=abc"
        assert running.call(callback, key=None)[0] == 400  # another browser
        assert running.call(callback.replace(state, "guess"), key=None, headers={"Cookie": cookie})[0] == 404
        assert running.call(callback, key=None, headers={"Cookie": cookie})[0] == 200
        assert running.call(callback, key=None, headers={"Cookie": cookie})[0] == 404  # it serves once
        assert guarded.asked[0]["code_verifier"]
        assert agent.names() == ["whoami"]
        assert text_of(agent.call("whoami")) == "TOKEN-1"
        assert other.names() == []
        guarded.dead.add("TOKEN-1")
        assert text_of(agent.call("whoami")) == "TOKEN-2"
        assert guarded.asked[-1]["grant_type"] == "refresh_token"
        running.stop()
        sealed = (running.state_dir / "mcp-tokens.sealed").read_bytes()
        assert b"TOKEN" not in sealed
        running.start()
        assert text_of(agent.call("whoami")) == "TOKEN-2"
        guarded.dead.add("TOKEN-2")
        guarded.dead |= {f"TOKEN-{number}" for number in range(3, 9)}
        needed = agent.ask("tools/call", {"name": "whoami"})["error"]
        assert needed["code"] == -32042
        assert "/v1/mcp/oauth/consent?state=" in needed["data"]["elicitations"][0]["url"]


def test_answers_of_another_authorization_server_are_refused(guarded: Guarded) -> None:
    with Gateway(config(guarded), key=ADMIN) as running:
        state, _, cookie = begin(running, AGENT)
        callback = f"/v1/mcp/oauth/callback?state={state}&code=abc&iss=https://evil.example"
        status, _, body = running.call(callback, key=None, headers={"Cookie": cookie})
        assert (status, json.loads(body)["error"]["code"]) == (502, "mcp_error")
        assert guarded.asked == []


@pytest.mark.parametrize("issuer", ["http://169.254.169.254", "https://localhost:1", "https://[::1]:1", "file:///etc"])
def test_a_server_does_not_lead_the_gateway_into_the_network(guarded: Guarded, issuer: str) -> None:
    guarded.elsewhere = issuer
    with Gateway(config(guarded), key=ADMIN) as running:
        McpClient(running, AGENT, "/mcp/guarded").names()
        status, _, body = running.call("/v1/mcp/server/oauth/guarded/authorize", key=AGENT)
        assert status == 502
        told = json.loads(body)["error"]["message"]
        assert "HTTPS" in told or "open network" in told or "not one" in told


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.31.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("192.0.0.8", False), ("::1", False), ("::", False),
        ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("2002:808:808::", True), ("::7f00:1", False), ("fe80::1%eth0", False), ("fec0::1", False), ("fd00::1", False),
        ("ff02::1", False), ("2001:0:4136:e378:8000:63bf:80ff:fffe", False), ("localhost", False), ("", False),
    ],
)  # fmt: skip
def test_addresses_of_the_open_network(address: str, public: bool) -> None:
    assert is_public(address) is public


@given(st.text(max_size=200))
def test_challenges_of_any_shape_are_read(text: str) -> None:
    assert isinstance(metadata.challenge(text), dict)


@pytest.mark.parametrize(
    "resource", ["https://evil.example/mcp", "https://a.example/mcp2", "https://a.example/mcp/x", 5]
)
def test_metadata_about_another_resource_is_refused(resource: Any) -> None:
    metadata.check_resource("https://a.example/mcp", {"resource": "https://a.example/"})
    with pytest.raises(metadata.Untrusted):
        metadata.check_resource("https://a.example/mcp", {"resource": resource})


def test_tokens_are_renewed_once_for_all_who_wait(guarded: Guarded) -> None:
    own = {"oauth2_flow": "client_credentials", "client_id": "me", "client_secret": "my-own-secret"}
    with Gateway(config(guarded, **own), key=ADMIN) as running:
        client = McpClient(running, AGENT, "/mcp/guarded")
        client.call("whoami")
        guarded.dead.add("TOKEN-1")
        found: list[str] = []
        threads = [Thread(target=lambda: found.append(text_of(client.call("whoami")))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(found) == {"TOKEN-2"}
        assert len(guarded.asked) == 2
