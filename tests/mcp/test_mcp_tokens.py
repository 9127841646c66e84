"""The gateway as OAuth resource server: tokens of an authorization server in place of keys."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from support.gateway import Gateway
from support.managed import manage, wait_managed
from support.mcp_client import ADMIN, AGENT, McpClient, text_of
from support.mcp_server import McpServer

ISSUER = "https://login.example.com"
BASE = "https://gateway.example.com"


class Issuer:
    """Signs tokens, and shows its keys."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"})
        self.shown = [self.key]
        self.asked = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                body = json.dumps(KeySet(owner.shown).as_dict(private=False)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"

    def token(self, key: Any = None, alg: str = "ES256", **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": ISSUER, "aud": f"{BASE}/mcp", "sub": "ann", "org": {"team": "desk"}, "iat": now, "exp": now + 600,
            "scope": "mcp mcp:call", **claims,
        }  # fmt: skip
        key = key or self.key
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": key.kid or "one"}, kept, key, algorithms=[alg])


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def gateway(everything: McpServer, issuer: Issuer) -> Iterator[Gateway]:
    config: dict[str, Any] = {
        "mcp_servers": {"everything": {"url": everything.url}, "second": {"url": everything.url}},
        "routeiq": {
            "mcp": {
                "tool_calls": True, "public_url": BASE,
                "jwt": {
                    "issuer": ISSUER, "jwks_url": issuer.url, "team_id_jwt_field": "org.team", "scopes": ["mcp"],
                    "call_scopes": ["mcp:call"],
                },
            },
            "keys": [{"name": "agent", "key": AGENT, "object_permission": {"mcp_servers": ["everything"]}}],
        },
    }  # fmt: skip
    with Gateway(config, key=ADMIN) as running:
        wait_managed(running)
        manage(running, "/user/new", {"user_id": "ann", "auto_create_key": False})
        granted = {"mcp_servers": ["everything"]}
        manage(running, "/team/new", {"team_id": "desk", "object_permission": granted})
        member = {"team_id": "desk", "member": {"role": "user", "user_id": "ann"}}
        manage(running, "/team/member_add", member)
        manage(running, "/user/new", {"user_id": "bob", "auto_create_key": False})
        yield running


def test_a_token_is_as_good_as_a_key(gateway: Gateway, issuer: Issuer) -> None:
    before = len(gateway.events())
    client = McpClient(gateway, issuer.token())
    assert "everything-echo" in client.names()
    assert not any(name.startswith("second-") for name in client.names())
    assert text_of(client.call("everything-echo", text="hi")) == "hi"
    event = gateway.wait_events(before + 1)[-1]
    assert (event["user_id"], event["team_id"], event["key_name"]) == ("ann", "desk", "token")
    assert "everything-echo" in McpClient(gateway, AGENT).names()  # keys go on as ever
    session = McpClient(gateway, issuer.token())
    session.initialize()
    assert "everything-echo" in session.names()


def test_where_tokens_come_from_is_told(gateway: Gateway) -> None:
    for place in ("/mcp", "/mcp/everything", "/everything/mcp"):
        refused = McpClient(gateway, None, place).post("tools/list")
        assert refused.status == 401
        challenge = refused.headers["www-authenticate"]
        assert f'resource_metadata="{BASE}/.well-known/oauth-protected-resource{place}"' in challenge
        assert 'scope="mcp"' in challenge
        assert "error=" not in challenge
        status, _, body = gateway.call(f"/.well-known/oauth-protected-resource{place}", key=None)
        told = json.loads(body)
        assert status == 200
        assert told["resource"] == BASE + place
        assert told["authorization_servers"] == [ISSUER]
        assert told["scopes_supported"] == ["mcp", "mcp:call"]
    status, head, _ = gateway.call("/v1/mcp/server", key=None)
    assert status == 401
    assert "resource_metadata" in head["www-authenticate"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.com/mcp"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"nbf": int(time.time()) + 86_400},
    ],
)
def test_tokens_that_are_not_for_here(gateway: Gateway, issuer: Issuer, claims: dict[str, Any]) -> None:
    refused = McpClient(gateway, issuer.token(**claims)).post("tools/list")
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_only_the_issuers_signatures_count(gateway: Gateway, issuer: Issuer) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "one"})
    symmetric = OctKey.import_key(json.dumps(issuer.key.as_dict(private=False)), {"kid": "one"})
    longer = RSAKey.generate_key(2048, {"kid": "one"})
    good = issuer.token()
    head, payload, _ = good.split(".")
    none = "eyJhbGciOiJub25lIn0." + payload + "."
    for token in (
        issuer.token(stranger), issuer.token(symmetric, "HS256"), issuer.token(longer, "PS256"), none,
        f"{head}.{payload}.AAAA", good[:-4], "eyJ.a.b",
    ):  # fmt: skip
        assert McpClient(gateway, token).post("tools/list").status == 401
    asked = issuer.asked
    unknown = ECKey.generate_key("P-256", {"kid": "two"})
    for _ in range(5):
        assert McpClient(gateway, issuer.token(unknown)).post("tools/list").status == 401
    assert issuer.asked <= asked + 1  # nobody makes the gateway ask for keys over and over


def test_scopes_are_stepped_up(gateway: Gateway, issuer: Issuer) -> None:
    nothing = McpClient(gateway, issuer.token(scope="other")).post("tools/list")
    assert nothing.status == 403
    assert 'error="insufficient_scope"' in nothing.headers["www-authenticate"]
    reader = issuer.token(scope="mcp")
    assert "everything-echo" in McpClient(gateway, reader).names()
    refused = McpClient(gateway, reader).post("tools/call", {"name": "everything-echo", "arguments": {"text": "x"}})
    assert refused.status == 403
    assert 'scope="mcp mcp:call"' in refused.headers["www-authenticate"]
    body = {"tool_name": "everything-echo", "arguments": {"text": "x"}}
    assert gateway.call("/llmrouter/mcp/tools/call", body, key=reader)[0] == 403
    assert (
        gateway.call("/llmrouter/mcp/tools/call", body, key=issuer.token(scope=None, scp=["mcp", "mcp:call"]))[0] == 200
    )


def test_who_is_not_known_stays_out(gateway: Gateway, issuer: Issuer) -> None:
    for claims in ({"org": {"team": "nobodys"}}, {"sub": "bob"}, {"sub": "zoe", "org": None}):
        assert McpClient(gateway, issuer.token(**claims)).post("tools/list").status == 403, claims
    assert McpClient(gateway, issuer.token(sub="bob", org=None)).names() == []  # known, and granted nothing
    assert "everything-echo" in McpClient(gateway, issuer.token(sub=None)).names()  # the team itself
    manage(gateway, "/team/block", {"team_id": "desk"})
    try:
        end = time.monotonic() + 10  # the process with MCP is told of it a moment later
        while McpClient(gateway, issuer.token()).post("tools/list").status != 403:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        manage(gateway, "/team/unblock", {"team_id": "desk"})
    assert gateway.call("/v1/models", key=issuer.token())[0] == 401  # tokens are for MCP
