"""Revisions with sessions: what is asked on the way, streams that are lost, who may have part in one."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from support.gateway import Gateway
from support.mcp_client import AGENT, OTHER, McpClient, text_of

EVERYTHING = "/mcp/everything"


@pytest.fixture
def client(mcp_gateway: Gateway) -> McpClient:
    found = McpClient(mcp_gateway, AGENT, EVERYTHING, elicitation={}, sampling={}, roots={})
    found.initialize()
    return found


def test_revisions_are_agreed_on(mcp_gateway: Gateway) -> None:
    for asked, given in (("2025-03-26", "2025-03-26"), ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")):
        result = McpClient(mcp_gateway, AGENT, EVERYTHING).initialize(asked)
        assert result["protocolVersion"] == given
        assert result["serverInfo"]["name"] == "routeiq"
        assert result["instructions"] == "Try everything."
        assert {"tools", "prompts", "resources", "logging", "completions"} <= set(result["capabilities"])


def test_a_server_asks_the_client_on_the_stream_of_its_call(client: McpClient) -> None:
    answer = client.request("tools/call", {"name": "test_elicitation", "arguments": {"message": "Who?"}})
    messages = answer.messages()
    asked = next(messages)
    assert asked["method"] == "elicitation/create"
    assert asked["params"]["message"] == "Who?"
    told = {"action": "accept", "content": {"username": "ada", "email": "a@b"}}
    assert client.send({"jsonrpc": "2.0", "id": asked["id"], "result": told}).status == 202
    assert "ada" in text_of(next(messages)["result"])


def test_a_client_that_can_not_be_asked_is_not(mcp_gateway: Gateway) -> None:
    client = McpClient(mcp_gateway, AGENT, EVERYTHING)
    client.initialize()
    result = client.result("tools/call", {"name": "test_sampling", "arguments": {"prompt": "p"}})["result"]
    assert result["isError"] is True


def test_logs_and_progress_come_on_the_stream(client: McpClient) -> None:
    answer = client.request("tools/call", {"name": "test_tool_with_progress", "_meta": {"progressToken": "mine"}})
    messages = list(answer.messages())
    assert [message["params"]["progress"] for message in messages[:-1]] == [0, 50, 100]
    assert {message["params"]["progressToken"] for message in messages[:-1]} == {"mine"}
    logged = list(client.request("tools/call", {"name": "test_tool_with_logging"}).messages())
    assert [message["method"] for message in logged[:-1]] == ["notifications/message"] * 3


def test_cancelling_reaches_the_server(client: McpClient) -> None:
    begun = time.monotonic()
    done: list[Any] = []

    def call() -> None:
        done.append(client.request("tools/call", {"name": "test_slow"}, ident="slow").status)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.5)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}})
    thread.join(10)
    assert done == [202]
    assert time.monotonic() - begun < 8


def test_changes_are_told(client: McpClient) -> None:
    listening = client.http("GET", headers=client.fields)
    messages = listening.messages()
    client.result("tools/call", {"name": "test_trigger_prompt_change"})
    assert next(messages)["method"] == "notifications/prompts/list_changed"
    client.result("resources/subscribe", {"uri": "test://watched-resource"})
    time.sleep(0.3)
    client.result("tools/call", {"name": "test_update_resource"})
    assert next(messages) == {
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": {"uri": "test://watched-resource"},
    }
    client.result("resources/unsubscribe", {"uri": "test://watched-resource"})
    listening.close()


def test_a_stream_that_was_lost_is_taken_up_again(client: McpClient) -> None:
    answer = client.request("tools/call", {"name": "test_tool_with_progress", "_meta": {"progressToken": 1}})
    events = answer.events()
    first = next(events)
    assert first["data"] == ""
    second = next(events)
    answer.close()
    again = client.http("GET", headers=client.fields | {"Last-Event-ID": second["id"]})
    rest = list(again.messages())
    assert [message.get("params", {}).get("progress") for message in rest] == [50, 100, None]
    assert rest[-1]["result"]["content"][0]["text"] == "1"


def test_sessions_are_their_owners_alone(mcp_gateway: Gateway, client: McpClient) -> None:
    assert client.session is not None
    assert len(client.session) >= 32
    other = McpClient(mcp_gateway, OTHER, EVERYTHING)
    other.session = client.session
    for answer in (other.request("tools/list"), other.http("GET", headers=other.fields)):
        assert answer.status == 404
    assert other.http("DELETE", headers=other.fields).status == 404
    elsewhere = McpClient(mcp_gateway, AGENT, "/mcp")
    elsewhere.session = client.session
    assert elsewhere.request("tools/list").status == 404
    assert client.request("tools/list").status == 200


def test_sessions_end(client: McpClient) -> None:
    assert client.http("DELETE", headers=client.fields).status == 204
    answer = client.request("tools/list", ident="after")
    assert (answer.status, next(answer.messages())["id"]) == (404, "after")
    client.session = None
    missing = client.http("POST", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert missing.status == 400


def test_answers_nobody_waits_for_are_nothing(client: McpClient) -> None:
    assert client.send({"jsonrpc": "2.0", "id": "s999", "result": {}}).status == 202
    assert client.result("ping")["result"] == {}


def test_batches_are_of_one_revision(mcp_gateway: Gateway, client: McpClient) -> None:
    batch = [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in (1, 2)]
    assert client.http("POST", batch, client.fields).status == 400
    old = McpClient(mcp_gateway, AGENT, EVERYTHING)
    old.initialize("2025-03-26")
    answer = old.http("POST", [*batch, {"jsonrpc": "2.0", "method": "notifications/x"}], old.fields)
    assert answer.status == 200
    assert [one["id"] for one in next(answer.messages())] == [1, 2]  # type: ignore[index]


def test_many_calls_at_once_in_one_session(client: McpClient) -> None:
    found: list[str] = []

    def call(word: str) -> None:
        found.append(text_of(client.result("tools/call", {"name": "echo", "arguments": {"text": word}})["result"]))

    threads = [threading.Thread(target=call, args=(str(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(20)]
