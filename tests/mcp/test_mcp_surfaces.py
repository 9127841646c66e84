"""The other ways in: LiteLLM's REST, the registry, and HTTP+SSE of 2024-11-05."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import psutil
import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, OTHER, McpClient

NOBODY = "sk-riq-test-nobody-0123456789"


def get(gateway: Gateway, path: str, key: str = AGENT, body: Any = None) -> tuple[int, Any]:
    status, _, answer = gateway.call(path, body, key=key)
    return status, json.loads(answer)


def test_tools_are_listed_and_called_by_rest(mcp_gateway: Gateway) -> None:
    status, found = get(mcp_gateway, "/mcp-rest/tools/list")
    assert status == 200
    echo = next(tool for tool in found["tools"] if tool["name"] == "echo")
    assert echo["mcp_info"]["server_name"] == "everything"
    assert "dead" in found["message"]
    ident = echo["mcp_info"]["server_id"]
    assert {
        tool["mcp_info"]["server_id"]
        for tool in get(mcp_gateway, f"/mcp-rest/tools/list?server_id={ident}")[1]["tools"]
    } == {ident}
    called = {"server_id": ident, "name": "echo", "arguments": {"text": "rest"}}
    status, result = get(mcp_gateway, "/mcp-rest/tools/call", body=called)
    assert (status, result["content"][0]["text"]) == (200, "rest")
    status, result = get(mcp_gateway, "/mcp-rest/tools/call", body={**called, "name": "no_such_tool"})
    assert (status, result["error"]["code"]) == (404, "tool_not_found")
    assert get(mcp_gateway, "/mcp-rest/tools/call", body={"name": 1})[0] == 400
    assert get(mcp_gateway, "/mcp-rest/tools/call", OTHER, {**called, "name": "test_simple_text"})[0] == 404


def test_servers_are_shown_to_those_who_may_use_them(mcp_gateway: Gateway) -> None:
    names = [server["server_name"] for server in get(mcp_gateway, "/v1/mcp/server")[1]]
    assert names == ["everything", "second", "dead"]
    assert get(mcp_gateway, "/v1/mcp/server", NOBODY) == (200, [])
    found = get(mcp_gateway, "/v1/mcp/server/everything")[1]
    assert "url" not in found
    assert "X-Static" not in json.dumps(found)
    assert get(mcp_gateway, "/v1/mcp/server/everything", ADMIN)[1]["url"].endswith("/mcp")
    assert get(mcp_gateway, "/v1/mcp/server/second", OTHER)[0] == 404
    assert get(mcp_gateway, "/v1/mcp/server/no_such_server")[0] == 404
    assert get(mcp_gateway, "/v1/mcp/access_groups")[1] == {"access_groups": ["office"]}
    registry = get(mcp_gateway, "/v1/mcp/registry.json")[1]["servers"]
    assert registry[0]["server"]["remotes"][0]["url"] == f"{mcp_gateway.url}/everything/mcp"
    assert mcp_gateway.call("/v1/mcp/server", key=None)[0] == 401


def test_health_is_asked_for(mcp_gateway: Gateway) -> None:
    found = {one["server_name"]: one for one in get(mcp_gateway, "/v1/mcp/server/health")[1]}
    assert found["everything"]["status"] == "healthy"
    assert found["dead"]["status"] == "unhealthy"
    assert "can't be reached" in found["dead"]["health_check_error"]


def test_our_own_words(mcp_gateway: Gateway) -> None:
    assert "all-echo" in get(mcp_gateway, "/llmrouter/mcp/tools")[1]["tools"]
    listed = get(mcp_gateway, "/llmrouter/mcp/tools/list")[1]
    assert listed["count"] == len(listed["tools"])
    assert get(mcp_gateway, "/llmrouter/mcp/tools/all-echo")[1]["input_schema"]["required"] == ["text"]
    assert "test://static-text" in get(mcp_gateway, "/llmrouter/mcp/resources")[1]["resources"]
    body = {"tool_name": "all-echo", "arguments": {"text": "own"}}
    status, answer = get(mcp_gateway, "/llmrouter/mcp/tools/call", body=body)
    assert (status, answer["status"], answer["result"]["content"][0]["text"]) == (200, "success", "own")
    assert mcp_gateway.call("/mcp-rest/tools/call")[0] == 405
    assert get(mcp_gateway, "/v1/llmrouter/mcp/server/everything/health")[1]["status"] == "healthy"


def test_sessions_are_the_admins_to_see_and_end(mcp_gateway: Gateway) -> None:
    client = McpClient(mcp_gateway, AGENT)
    client.initialize()
    assert get(mcp_gateway, "/v1/mcp/sessions")[0] == 403
    found = get(mcp_gateway, "/v1/mcp/sessions", ADMIN)[1]
    assert client.session not in json.dumps(found)
    assert {"key_name": "agent", "client": "tests"}.items() <= found["sessions"][-1].items()
    assert mcp_gateway.call("/v1/mcp/sessions", key=ADMIN, method="DELETE")[0] == 200
    assert client.request("tools/list").status == 404


def test_clients_of_2024(mcp_gateway: Gateway) -> None:
    stream = McpClient(mcp_gateway, AGENT, "/mcp/sse").http("GET")
    events = stream.events()
    first = next(events)
    assert first["event"] == "endpoint"
    post = McpClient(mcp_gateway, AGENT, first["data"])

    def ask(ident: int, method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        assert post.http("POST", body).status == 202
        return json.loads(next(event for event in events if event.get("data"))["data"])

    result = ask(
        1, "initialize", protocolVersion="2024-11-05", capabilities={}, clientInfo={"name": "x", "version": "1"}
    )
    assert result["result"]["protocolVersion"] == "2024-11-05"
    called = ask(2, "tools/call", name="all-echo", arguments={"text": "old"})
    assert (called["id"], called["result"]["content"][0]["text"]) == (2, "old")
    assert ask(3, "no/such")["error"]["code"] == -32601
    stranger = McpClient(mcp_gateway, OTHER, first["data"])
    assert stranger.http("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"}).status == 404
    stream.close()


def test_tools_are_not_called_until_somebody_says_so(everything: Any) -> None:
    config = {"mcp_servers": {"everything": {"url": everything.url}}}
    with Gateway(config, key=ADMIN) as running:
        client = McpClient(running, ADMIN)
        assert "everything-echo" in client.names()
        refused = client.ask("tools/call", {"name": "everything-echo", "arguments": {"text": "x"}})["error"]
        assert refused["data"]["code"] == "tool_invocation_disabled"
        body = {"tool_name": "everything-echo", "arguments": {"text": "x"}}
        assert get(running, "/llmrouter/mcp/tools/call", ADMIN, body)[0] == 501
        row = running.wait_events(2)[-1]
        assert (row["status"], row["error"], row["deployment"]) == (403, "forbidden", "everything")
        assert "tools are listed and can't be called" in running.logs()


@pytest.mark.parametrize("flag", ["false", "true"])
def test_the_gateway_is_there_or_not(flag: str) -> None:
    with Gateway({"mcp_servers": {}}, key=ADMIN, env={"MCP_GATEWAY_ENABLED": flag}) as running:
        roles = [word for process in running.processes() for word in process.cmdline()]
        assert ("routeiq.agents" in roles) == (flag == "true")
        while (status := McpClient(running, ADMIN).post("tools/list").status) == 503:
            time.sleep(0.05)  # the control plane, which knows no such path, is being started
        assert status == (200 if flag == "true" else 404)


def test_the_process_is_started_again(everything: Any) -> None:
    config = {"mcp_servers": {"everything": {"url": everything.url}}, "routeiq": {"mcp": {"tool_calls": True}}}
    with Gateway(config, key=ADMIN) as running:
        client = McpClient(running, ADMIN)
        client.call("everything-echo", text="before")
        process = next(one for one in running.processes() if "routeiq.agents" in one.cmdline())
        process.kill()
        psutil.wait_procs([process], 5)
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(client.post("tools/list").status)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 5
        client.call("everything-echo", text="after")
        assert [row["model"] for row in running.wait_events(2)] == ["everything-echo"] * 2
