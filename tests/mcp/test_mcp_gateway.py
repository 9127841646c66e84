"""What clients see of servers: names, grants, lists, refusals, the account of it."""

from __future__ import annotations

import time

import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, META, MODERN, OTHER, McpClient, text_of
from support.mcp_server import McpServer


def test_names_have_their_servers_in_front(agent: McpClient) -> None:
    names = agent.names()
    assert "all-echo" in names
    assert names[-1] == "second-echo"
    assert all(name.startswith(("all-", "second-")) for name in names)
    assert text_of(agent.call("all-echo", text="hi")) == "hi"
    assert agent.names("prompts")[0] == "all-test_simple_prompt"


def test_uris_stay_as_they_are(agent: McpClient) -> None:
    assert "test://static-text" in agent.names("resources")
    read = agent.ask("resources/read", {"uri": "test://template/7/data"})["result"]
    assert '"id": "7"' in read["contents"][0]["text"]
    assert read["cacheScope"] == "private"


@pytest.mark.parametrize("path", ["/mcp/everything", "/everything/mcp", "/mcp/all"])
def test_one_servers_names_stand_as_they_are(mcp_gateway: Gateway, path: str) -> None:
    client = McpClient(mcp_gateway, AGENT, path)
    assert "echo" in client.names()
    assert text_of(client.call("echo", text="plain")) == "plain"


def test_places_of_several_servers_and_groups(mcp_gateway: Gateway) -> None:
    assert McpClient(mcp_gateway, AGENT, "/mcp/office").names() == ["second-echo"]
    assert McpClient(mcp_gateway, AGENT, "/mcp/second,dead").names() == ["second-echo"]
    answer = McpClient(mcp_gateway, AGENT, "/mcp/nothing").post("tools/list")
    assert answer.status == 404
    narrowed = McpClient(mcp_gateway, AGENT).ask("tools/list", headers={"x-mcp-servers": "second"})
    assert [tool["name"] for tool in narrowed["result"]["tools"]] == ["second-echo"]


def test_what_is_not_granted_is_not_there(mcp_gateway: Gateway) -> None:
    other = McpClient(mcp_gateway, OTHER)
    assert other.names() == ["all-echo"]
    assert text_of(other.call("all-echo", text="mine")) == "mine"
    forbidden = other.ask("tools/call", {"name": "all-test_simple_text"})["error"]
    unknown = other.ask("tools/call", {"name": "all-no_such_tool"})["error"]
    assert forbidden["code"] == unknown["code"] == -32602
    assert forbidden["message"].replace("test_simple_text", "X") == unknown["message"].replace("no_such_tool", "X")
    assert McpClient(mcp_gateway, "sk-riq-test-nobody-0123456789").names() == []
    assert len(McpClient(mcp_gateway, ADMIN).names()) > 20


def test_keys_are_asked_for(mcp_gateway: Gateway) -> None:
    for key in (None, "sk-riq-test-unknown-0123456789"):
        answer = McpClient(mcp_gateway, key).post("tools/list")
        message = next(answer.messages())
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert message["error"]["data"]["type"] == "auth_error"


def test_tools_are_shown_as_configured(agent: McpClient) -> None:
    tools = {tool["name"]: tool for tool in agent.ask("tools/list")["result"]["tools"]}
    assert tools["second-echo"]["description"] == "Another description."
    assert "second-test_simple_text" not in tools
    schema = tools["all-json_schema_2020_12_tool"]["inputSchema"]
    assert schema["$defs"]["address"]["$anchor"] == "addressDef"
    refused = agent.ask("tools/call", {"name": "second-echo", "arguments": {"text": "a", "more": 1}})
    assert refused["error"]["data"]["code"] == "argument_not_allowed"


def test_servers_get_their_own_names_and_only_the_headers_they_may(agent: McpClient, everything: McpServer) -> None:
    agent.ask(
        "tools/call", {"name": "all-echo", "arguments": {"text": "headers"}}, {"X-Passed": "on", "X-Secret": "no"}
    )
    seen = everything.seen()[-1]
    assert seen["body"]["params"]["name"] == "echo"
    assert seen["headers"]["mcp-name"] == "echo"
    assert seen["headers"]["x-static"] == "yes"
    assert seen["headers"]["x-passed"] == "on"
    assert "x-secret" not in seen["headers"]
    assert "authorization" not in seen["headers"]


def test_servers_take_so_many_calls(agent: McpClient) -> None:
    for _ in range(6):
        answer = agent.ask("tools/call", {"name": "second-echo", "arguments": {"text": "a"}})
    assert answer["error"]["data"]["code"] == "rate_limit_exceeded"


def test_every_use_is_in_the_ledger(agent: McpClient, mcp_gateway: Gateway) -> None:
    before = len([row for row in mcp_gateway.events() if row["endpoint"] == "mcp"])
    agent.call("all-echo", text="billed")
    agent.ask("tools/call", {"name": "all-no_such_tool"})
    agent.ask("resources/read", {"uri": "test://static-text"})
    rows = [row for row in mcp_gateway.wait_events(before + 3) if row["endpoint"] == "mcp"][-3:]
    assert [row["model"] for row in rows] == ["all-echo", "all-no_such_tool", "test://static-text"]
    assert [row["status"] for row in rows] == [200, 404, 200]
    assert (rows[0]["deployment"], rows[0]["upstream_model"], rows[0]["cost"]) == ("everything", "echo", 250_000_000)
    assert rows[2]["cost"] == 0
    assert {row["key_name"] for row in rows} == {"agent"}
    assert "agrees with itself" in mcp_gateway.cli("ledger", "verify")


def test_other_hosts_and_origins_are_refused(agent: McpClient) -> None:
    body, fields = agent.envelope("tools/list")
    assert agent.http("POST", body, fields | {"Host": "evil.example"}).status == 403
    for origin in ("http://evil.example", "null", "http://localhost.evil.example", "file://"):
        assert agent.http("POST", body, fields | {"Origin": origin}).status == 403, origin
    for origin in ("http://localhost:1234", "http://127.0.0.1"):
        assert agent.http("POST", body, fields | {"Origin": origin}).status == 200, origin


def test_headers_must_say_what_the_body_says(agent: McpClient) -> None:
    body, fields = agent.envelope("tools/call", {"name": "all-echo", "arguments": {"text": "x"}})
    wrong = [{"Mcp-Name": "all-other"}, {"Mcp-Method": "tools/list"}, {"MCP-Protocol-Version": "2025-11-25"}]
    for change in wrong:
        answer = agent.http("POST", body, fields | change)
        assert (answer.status, next(answer.messages())["error"]["code"]) == (400, -32020)
    region = {"name": "all-test_x_mcp_header", "arguments": {"region": "eu"}}
    assert agent.ask("tools/call", region)["error"]["code"] == -32020
    assert agent.ask("tools/call", region, {"Mcp-Param-Region": "us"})["error"]["code"] == -32020
    assert "eu" in text_of(agent.ask("tools/call", region, {"Mcp-Param-Region": "eu"})["result"])


def test_other_revisions_and_methods_are_refused(agent: McpClient) -> None:
    body, fields = agent.envelope("tools/list")
    body["params"]["_meta"][META + "protocolVersion"] = "2099-01-01"
    answer = agent.http("POST", body, fields | {"MCP-Protocol-Version": "2099-01-01"})
    error = next(answer.messages())["error"]
    assert (answer.status, error["code"], error["data"]["supported"]) == (400, -32022, [MODERN])
    for method in ("ping", "initialize", "logging/setLevel", "no/such"):
        answer = agent.post(method)
        assert (answer.status, next(answer.messages())["error"]["code"]) == (404, -32601)
    assert agent.http("GET").status == 405
    assert agent.http("POST", b"{").status == 400
    assert agent.http("POST", b"[]").status == 400


def test_cursors_are_checked(agent: McpClient) -> None:
    for cursor in ("x", "-1", "99999", "0"):
        assert agent.ask("tools/list", {"cursor": cursor})["error"]["code"] == -32602


def test_uses_are_counted_by_server(mcp_gateway: Gateway, agent: McpClient) -> None:
    def count(outcome: str) -> float:
        labels = f'endpoint="mcp",target="everything",outcome="{outcome}"'
        return mcp_gateway.metrics().get(f"routeiq_uses_total{{{labels}}}", 0)

    ok, refused = count("ok"), count("bad_request")
    agent.call("all-echo", text="counted")
    agent.ask("tools/call", {"name": "all-echo", "arguments": 7})
    end = time.monotonic() + 10
    while count("ok") <= ok or count("bad_request") <= refused:
        assert time.monotonic() < end, (ok, refused, count("ok"), count("bad_request"))
        time.sleep(0.1)
    buckets = 'routeiq_use_duration_seconds_count{endpoint="mcp",target="everything"}'
    assert mcp_gateway.metrics()[buckets] >= 2
