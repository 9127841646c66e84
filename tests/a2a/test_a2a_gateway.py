"""What clients of either version see of agents of either: cards, grants, messages, tasks."""

from __future__ import annotations

from contextlib import closing

import pytest

from support.a2a_agent import Agent
from support.a2a_client import ALICE, BOB, NOBODY, A2aClient, said, said_old
from support.gateway import Gateway

KINDS = ("both", "new", "old", "rest", "old-rest")


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_begins_a_task(a2a_gateway: Gateway, kind: str) -> None:
    new, old = A2aClient(a2a_gateway, ALICE, kind), A2aClient(a2a_gateway, ALICE, kind, "0.3")
    task = new.ask("SendMessage", said("do it"))["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert "".join(part["text"] for part in task["artifacts"][0]["parts"]) == "one two three"
    assert task["history"][0]["messageId"] == "m-1"
    again = new.ask("GetTask", {"id": task["id"]})
    assert (again["id"], again["artifacts"]) == (task["id"], task["artifacts"])
    told = old.ask("message/send", said_old("do it"))
    assert (told["kind"], told["status"]["state"]) == ("task", "completed")
    assert told["history"][0] | {"contextId": "", "taskId": ""} == {
        "kind": "message", "messageId": "m-1", "role": "user", "parts": [{"kind": "text", "text": "do it"}],
        "contextId": "", "taskId": "",
    }  # fmt: skip
    assert old.ask("tasks/get", {"id": told["id"]})["artifacts"] == told["artifacts"]
    assert old.ask("tasks/get", {"id": task["id"]})["status"]["state"] == "completed"


@pytest.mark.parametrize("kind", KINDS)
def test_streams_tell_of_a_task_from_its_beginning_to_its_end(a2a_gateway: Gateway, kind: str) -> None:
    new, old = A2aClient(a2a_gateway, ALICE, kind), A2aClient(a2a_gateway, ALICE, kind, "0.3")
    results = [message["result"] for message in new.stream("SendStreamingMessage", said("do it"))]
    assert "task" in results[0]
    assert results[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    chunks = [one["artifactUpdate"] for one in results if "artifactUpdate" in one]
    assert [chunk["artifact"]["parts"][0]["text"] for chunk in chunks] == ["one ", "two ", "three"]
    told = [message["result"] for message in old.stream("message/stream", said_old("do it"))]
    assert told[0]["kind"] == "task"
    assert (told[-1]["kind"], told[-1]["final"], told[-1]["status"]["state"]) == ("status-update", True, "completed")
    assert sum(one["kind"] == "artifact-update" for one in told) == 3


def test_only_what_is_granted_is_there(a2a_gateway: Gateway) -> None:
    everything = ["both", "new", "old", "rest", "old-rest", "limited", "script", "model", "graph", "dead"]
    for key, names in ((ALICE, everything), (BOB, ["both", "new", "limited"])):
        status, found = A2aClient(a2a_gateway, key, "").call("GET", "/v1/agents")
        assert (status, [one["agent_name"] for one in found]) == (200, names)
    for key, name in ((BOB, "old"), (BOB, "nothing"), (ALICE, "off"), (NOBODY, "both")):
        client = A2aClient(a2a_gateway, key, name)
        status, message = client.call("POST", client.path, {"jsonrpc": "2.0", "id": 1, "method": "SendMessage"})
        assert status == 404
        assert message["error"]["message"] == f"There is no agent '{name}' here."
    assert A2aClient(a2a_gateway, None, "both").call("GET", "/a2a/agents")[0] == 401


def test_cards_have_the_gateways_addresses(a2a_gateway: Gateway, a2a_agents: dict[str, Agent]) -> None:
    client = A2aClient(a2a_gateway, BOB, "both")
    base = f"http://127.0.0.1:{a2a_gateway.port}/a2a"
    for path in ("/.well-known/agent-card.json", "/.well-known/agent.json"):
        status, card = client.call("GET", client.path + path)
        assert (status, card["name"], card["url"]) == (200, "Doer", f"{base}/both")
        assert {one["url"] for one in card["supportedInterfaces"]} == {f"{base}/both"}
        assert str(a2a_agents["both"].port) not in str(card)
        status, card = client.call("GET", path)
        assert (card["url"], [skill["id"] for skill in card["skills"]]) == (base, ["both", "new", "limited"])
    assert A2aClient(a2a_gateway, None, "").call("GET", "/.well-known/agent-card.json")[1]["skills"] == []
    assert client.ask("GetExtendedAgentCard")["url"] == f"{base}/both"
    assert A2aClient(a2a_gateway, BOB, "").ask("SendMessage", {**said("message"), "tenant": "new"})["message"]


def test_agents_that_do_not_answer_are_told_apart(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "")
    listed = [one["agent_name"] for one in client.call("GET", "/v1/agents")[1]]
    alive = [one["agent_name"] for one in client.call("GET", "/v1/agents?health_check=true")[1]]
    assert [name for name in listed if name not in alive] == ["dead"]
    assert client.call("GET", "/v1/agents/both?health_check=true")[0] == 200
    status, refused = client.call("GET", "/v1/agents/dead?health_check=true")
    assert (status, refused["error"]["code"]) == (503, "agent_unavailable")


def test_cards_are_cached_by_clients(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, BOB, "both")
    path = f"{client.path}/.well-known/agent-card.json"
    response, connection = client.http("GET", path)
    with closing(connection):
        response.read()
    assert "max-age=" in response.headers["Cache-Control"]
    assert response.headers["Last-Modified"].endswith("GMT")
    again, connection = client.http("GET", path, headers={"If-None-Match": response.headers["ETag"]})
    with closing(connection):
        assert (again.status, again.read()) == (304, b"")


def test_a_part_of_the_history_is_not_taken_for_all_of_it(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "both")
    later = {"configuration": {"returnImmediately": True}}
    task = client.ask("SendMessage", {**said("slow 0.2"), **later})["task"]["id"]
    while client.ask("GetTask", {"id": task, "historyLength": 0})["status"]["state"] != "TASK_STATE_COMPLETED":
        pass
    [listed] = [one for one in client.ask("ListTasks")["tasks"] if one["id"] == task]
    assert listed["history"][0]["messageId"] == "m-1"
