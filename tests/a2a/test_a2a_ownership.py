"""Two principals and every operation: what is one's own is there, all else is not."""

from __future__ import annotations

import pytest

from support.a2a_agent import Agent
from support.a2a_client import ALICE, BOB, A2aClient, said, said_old
from support.gateway import Gateway

HOOK = {"url": "https://1.1.1.1/hook", "id": "hook"}
ON_TASKS = [
    ("GetTask", "tasks/get", "id"),
    ("CancelTask", "tasks/cancel", "id"),
    ("SubscribeToTask", "tasks/resubscribe", "id"),
    ("CreateTaskPushNotificationConfig", "tasks/pushNotificationConfig/set", "taskId"),
    ("GetTaskPushNotificationConfig", "tasks/pushNotificationConfig/get", "taskId"),
    ("ListTaskPushNotificationConfigs", "tasks/pushNotificationConfig/list", "taskId"),
    ("DeleteTaskPushNotificationConfig", "tasks/pushNotificationConfig/delete", "taskId"),
]


@pytest.fixture
def alice(a2a_gateway: Gateway) -> A2aClient:
    return A2aClient(a2a_gateway, ALICE, "both")


@pytest.fixture
def bob(a2a_gateway: Gateway) -> A2aClient:
    return A2aClient(a2a_gateway, BOB, "both")


@pytest.fixture
def task(alice: A2aClient) -> str:
    """One of Alice's that waits for an answer."""
    found = alice.ask("SendMessage", said("ask"))["task"]
    assert found["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    return str(found["id"])


@pytest.mark.parametrize(("new", "old", "name"), ON_TASKS)
def test_a_task_of_somebody_else_is_not_there(
    alice: A2aClient, bob: A2aClient, task: str, new: str, old: str, name: str
) -> None:
    before = alice.ask("GetTask", {"id": task})
    params = {name: task, **({} if name == "id" else HOOK)}
    missing = {**params, name: "no-such-task"}
    refused, unknown = bob.rpc(new, params)["error"], bob.rpc(new, missing)["error"]
    assert refused == unknown
    assert refused["code"] == -32001
    bob.version = "0.3"
    params_old = {"taskId": task, "pushNotificationConfig": HOOK} if old.endswith("/set") else {"id": task}
    assert bob.refused(old, params_old) == -32001
    assert alice.ask("GetTask", {"id": task}) == before


def test_nobody_adds_to_a_task_of_somebody_else(alice: A2aClient, bob: A2aClient, task: str) -> None:
    for method in ("SendMessage", "SendStreamingMessage"):
        assert bob.refused(method, said("mine", taskId=task)) == -32001
        assert bob.refused(method, said("mine", referenceTaskIds=[task])) == -32001
    done = alice.ask("SendMessage", said("that one", taskId=task))["task"]
    assert (done["id"], done["status"]["state"]) == (task, "TASK_STATE_COMPLETED")


def test_a_task_is_not_another_agents(a2a_gateway: Gateway, task: str) -> None:
    assert A2aClient(a2a_gateway, ALICE, "new").refused("GetTask", {"id": task}) == -32001


def test_lists_are_of_ones_own(alice: A2aClient, bob: A2aClient, task: str) -> None:
    assert task in [one["id"] for one in alice.ask("ListTasks")["tasks"]]
    assert task not in [one["id"] for one in bob.ask("ListTasks")["tasks"]]
    context = alice.ask("GetTask", {"id": task})["contextId"]
    assert [one["id"] for one in alice.ask("ListTasks", {"contextId": context})["tasks"]] == [task]
    assert bob.ask("ListTasks", {"contextId": context})["totalSize"] == 0


def test_lists_have_pages_and_filters(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "rest")
    made = [client.ask("SendMessage", said("do it", contextId="pages"))["task"]["id"] for _ in range(3)]
    client.ask("SendMessage", said("ask", contextId="pages"))
    query = {"contextId": "pages", "status": "TASK_STATE_COMPLETED", "pageSize": 2}
    first = client.ask("ListTasks", query)
    assert (len(first["tasks"]), first["totalSize"], first["pageSize"]) == (2, 3, 2)
    assert {"artifacts", "history"} & set(first["tasks"][0]) == {"history"}
    second = client.ask("ListTasks", {**query, "pageToken": first["nextPageToken"], "includeArtifacts": True})
    assert second["nextPageToken"] == ""
    assert second["tasks"][0]["artifacts"]
    assert [one["id"] for one in first["tasks"] + second["tasks"]] == made[::-1]
    assert {one["contextId"] for one in first["tasks"]} == {"pages"}
    for wrong in ({"pageSize": 0}, {"pageSize": 101}, {"pageToken": "?"}, {"status": "GONE"}, {"historyLength": -1},
                  {"statusTimestampAfter": "yesterday"}):  # fmt: skip
        assert client.refused("ListTasks", wrong) == -32602
    future = "2126-01-01T00:00:00Z"
    assert client.ask("ListTasks", {"statusTimestampAfter": future})["tasks"] == []


def test_a_conversation_is_another_one_for_everybody(alice: A2aClient, bob: A2aClient) -> None:
    told = {}
    for client in (alice, bob, alice):
        reply = client.ask("SendMessage", said("message", contextId="lunch"))["message"]
        assert reply["contextId"] == "lunch"
        told.setdefault(client, []).append(reply["parts"][0]["text"])
    assert told[alice][0] == told[alice][1] != told[bob][0]
    assert "lunch" not in told[alice][0]
    tasks = [client.ask("SendMessage", said("do it", contextId="lunch"))["task"] for client in (alice, bob)]
    assert [task["contextId"] for task in tasks] == ["lunch", "lunch"]
    assert {one["contextId"] for task in tasks for one in task["history"]} == {"lunch"}


def test_a_conversation_the_agent_has_named_goes_on(alice: A2aClient, bob: A2aClient) -> None:
    first = alice.ask("SendMessage", said("message"))["message"]
    context = first["contextId"]
    again = alice.ask("SendMessage", said("message", contextId=context))["message"]
    assert again["parts"] == first["parts"]
    other = bob.ask("SendMessage", said("message", contextId=context))["message"]
    assert context not in other["parts"][0]["text"]


def test_webhooks_lead_to_the_open_network(alice: A2aClient, task: str) -> None:
    for url in (
        "http://127.0.0.1/x", "http://localhost/x", "http://[::1]/", "http://10.0.0.8/", "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://100.64.0.1/", "http://0/", "ftp://1.1.1.1/",
        "http://user@1.1.1.1/", "http://no-such-name.invalid/", "http://2130706433/", "file:///etc/passwd", "", 7,
    ):  # fmt: skip
        hook = {"url": url}
        assert alice.refused("CreateTaskPushNotificationConfig", {"taskId": task, **hook}) == -32602, url
        configured = {"configuration": {"taskPushNotificationConfig": hook}}
        for method in ("SendMessage", "SendStreamingMessage"):
            assert alice.refused(method, {**said("do it"), **configured}) == -32602, url


@pytest.mark.parametrize("kind", ["both", "new", "old", "rest", "old-rest"])
def test_webhooks_are_kept_read_and_deleted_in_both_versions(a2a_gateway: Gateway, kind: str) -> None:
    new, old = A2aClient(a2a_gateway, ALICE, kind), A2aClient(a2a_gateway, ALICE, kind, "0.3")
    ident = new.ask("SendMessage", said("ask"))["task"]["id"]
    auth = {"authentication": {"scheme": "Bearer", "credentials": "for-me"}}
    made = new.ask("CreateTaskPushNotificationConfig", {"taskId": ident, **HOOK, **auth})
    assert (made["url"], made["authentication"]["scheme"]) == (HOOK["url"], "Bearer")
    found = old.ask("tasks/pushNotificationConfig/get", {"id": ident, "pushNotificationConfigId": "hook"})
    assert found["taskId"] == ident
    assert found["pushNotificationConfig"]["authentication"]["schemes"] == ["Bearer"]
    old.ask("tasks/pushNotificationConfig/set", {"taskId": ident, "pushNotificationConfig": {**HOOK, "id": "two"}})
    listed = new.ask("ListTaskPushNotificationConfigs", {"taskId": ident})["configs"]
    assert {one["id"] for one in listed} == {"hook", "two"}
    delete = {"taskId": ident, "id": "hook"}
    if kind == "old-rest":  # the SDK has no such path there
        assert new.refused("DeleteTaskPushNotificationConfig", delete) == -32004
        return
    new.ask("DeleteTaskPushNotificationConfig", delete)
    [left] = old.ask("tasks/pushNotificationConfig/list", {"id": ident})
    assert left["pushNotificationConfig"]["id"] == "two"


def test_a_task_is_cancelled_and_gone_on_with_in_both_versions(alice: A2aClient, task: str) -> None:
    assert alice.ask("CancelTask", {"id": task})["status"]["state"] == "TASK_STATE_CANCELED"
    assert alice.refused("CancelTask", {"id": task}) == -32002
    alice.version = "0.3"
    asked = alice.ask("message/send", said_old("ask"))
    assert asked["status"]["state"] == "input-required"
    told = [one["result"] for one in alice.stream("message/stream", said_old("that one", taskId=asked["id"]))]
    assert (told[-1]["final"], told[-1]["taskId"]) == (True, asked["id"])
    assert alice.ask("tasks/get", {"id": asked["id"], "historyLength": 1})["status"]["state"] == "completed"


def test_agents_get_their_own_credentials_and_only_the_headers_they_may(
    alice: A2aClient, a2a_agents: dict[str, Agent]
) -> None:
    params = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": said("message")}
    fields = {"X-Passed": "on", "X-Secret": "no", "A2A-Extensions": "https://ext.example/v1", "x-amz-date": "now"}
    alice.call("POST", alice.path, params, fields)
    seen = a2a_agents["both"].seen[-1]
    assert (seen["authorization"], seen["a2a-version"]) == ("Bearer sk-of-the-agent", "1.0")
    assert (seen["x-passed"], seen["a2a-extensions"]) == ("on", "https://ext.example/v1")
    assert not {"x-secret", "x-amz-date"} & set(seen)
