"""Models and assistants as agents: the tasks the gateway makes for them, and what becomes of those that fail."""

from __future__ import annotations

import time

import pytest

from support.a2a_client import ALICE, BOB, A2aClient, Json, said, said_old
from support.a2a_script import Script
from support.gateway import Gateway

KINDS = ("model", "graph")


def text_of(task: Json) -> str:
    return "".join(part["text"] for part in task["artifacts"][0]["parts"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_a_task_in_both_versions(a2a_gateway: Gateway, kind: str) -> None:
    new, old = A2aClient(a2a_gateway, ALICE, kind), A2aClient(a2a_gateway, ALICE, kind, "0.3")
    task = new.ask("SendMessage", said("hello"))["task"]
    assert (task["status"]["state"], text_of(task)) == ("TASK_STATE_COMPLETED", "there are 1")
    assert new.ask("GetTask", {"id": task["id"]}) == task
    told = [one["result"] for one in old.stream("message/stream", said_old("hello"))]
    assert [one["kind"] for one in told] == ["task", "status-update", *["artifact-update"] * 3, "status-update"]
    assert [one["artifact"]["parts"] for one in told[2:5]] == [
        [{"kind": "text", "text": word}] for word in ("there ", "are ", "1")
    ]
    assert told[-1]["final"] is True
    _, card = new.call("GET", f"{new.path}/.well-known/agent-card.json")
    assert card["capabilities"]["streaming"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_is_told_again(a2a_gateway: Gateway, a2a_script: Script, kind: str) -> None:
    client = A2aClient(a2a_gateway, ALICE, kind)
    context = client.ask("SendMessage", said("first"))["task"]["contextId"]
    again = client.ask("SendMessage", said("second", contextId=context))["task"]
    assert text_of(again) == "there are 3"
    seen = a2a_script.seen[-1]
    messages = seen["messages"] if kind == "model" else seen["input"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert [message["content"] for message in messages] == ["first", "there are 1", "second"]
    if kind == "model":
        assert (seen["model"], seen["authorization"]) == ("gpt-4o", "Bearer sk-of-the-model")
    else:
        assert seen["assistant_id"] == "helper"
    stranger = A2aClient(a2a_gateway, ALICE, kind).ask("SendMessage", said("third", contextId="other"))["task"]
    assert text_of(stranger) == "there are 1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["status", "error", "cut", "filter", "mute"])
def test_what_the_provider_fails_at_is_a_failed_task(a2a_gateway: Gateway, kind: str, how: str) -> None:
    if (kind, how) == ("graph", "filter"):
        how = "error"
    client = A2aClient(a2a_gateway, ALICE, kind)
    task = client.ask("SendMessage", said(how))["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert task["status"]["message"]["parts"][0]["text"]
    assert client.ask("GetTask", {"id": task["id"]})["status"] == task["status"]
    last = list(client.stream("SendStreamingMessage", said(how)))[-1]["result"]["statusUpdate"]
    assert last["status"]["state"] == "TASK_STATE_FAILED"


def test_a_task_goes_on_without_its_client(a2a_gateway: Gateway, a2a_script: Script) -> None:
    client = A2aClient(a2a_gateway, ALICE, "model")
    later = {"configuration": {"returnImmediately": True}}
    first, second = (client.ask("SendMessage", {**said("wait"), **later})["task"]["id"] for _ in range(2))
    stream = client.stream("SubscribeToTask", {"id": first})
    assert next(stream)["result"]["task"]["id"] == first
    assert client.ask("CancelTask", {"id": second})["status"]["state"] == "TASK_STATE_CANCELED"
    assert client.refused("CancelTask", {"id": second}) == -32002
    a2a_script.go.set()
    assert list(stream)[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert client.refused("SubscribeToTask", {"id": first}) == -32004
    third = client.ask("SendMessage", {**said("hello"), **later})["task"]["id"]
    for _ in range(50):
        if client.ask("GetTask", {"id": third})["status"]["state"] == "TASK_STATE_COMPLETED":
            break
        time.sleep(0.05)
    assert [one["id"] for one in client.ask("ListTasks", {"status": "TASK_STATE_CANCELED"})["tasks"]] == [second]


def test_what_such_an_agent_can_not_do(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "model")
    task = client.ask("SendMessage", said("hello"))["task"]["id"]
    assert client.refused("SendMessage", said("more", taskId=task)) == -32004
    hook = {"taskId": task, "url": "https://1.1.1.1/hook"}
    assert client.refused("CreateTaskPushNotificationConfig", hook) == -32003
    message = {**said("")["message"], "parts": [{"url": "https://files.example/1"}]}
    assert client.refused("SendMessage", {"message": message}) == -32005
    assert A2aClient(a2a_gateway, BOB, "model").call("GET", f"{client.path}/tasks/{task}")[0] == 404
