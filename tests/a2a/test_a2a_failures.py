"""Agents that fail, at every point of a stream and of a request: a failed task, a clear error, nothing completed."""

from __future__ import annotations

import pytest

from support.a2a_client import ALICE, A2aClient, Json, rows_of, said
from support.a2a_script import Script
from support.gateway import Gateway


@pytest.fixture
def client(a2a_gateway: Gateway) -> A2aClient:
    return A2aClient(a2a_gateway, ALICE, "script")


def streamed(client: A2aClient, text: str) -> list[Json]:
    return list(client.stream("SendStreamingMessage", said(text)))


@pytest.mark.parametrize("how", ["cut", "end", "junk", "error", "stranger"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_stream_that_fails_is_a_failed_task(client: A2aClient, how: str, after: int) -> None:
    messages = streamed(client, f"{how} {after}")
    if after == 0:
        [message] = messages
        if how == "stranger":  # nobody has said yet which task it is
            assert message["result"]["statusUpdate"]["taskId"] == "stranger"
        else:
            assert message["error"]["code"] in (-32603, -32006)
        return
    assert len(messages) == after + 1
    last = messages[-1]["result"]["statusUpdate"]
    assert last["status"]["state"] == "TASK_STATE_FAILED"
    assert last["status"]["message"]["parts"][0]["text"]
    ident = messages[0]["result"]["task"]["id"]
    assert last["taskId"] == ident
    task = client.ask("GetTask", {"id": ident})
    assert task["status"] == last["status"]
    assert "completed" not in str(task).lower()
    assert bool(task.get("artifacts")) == (after == 3)
    [listed] = [one for one in client.ask("ListTasks", {"pageSize": 100})["tasks"] if one["id"] == ident]
    assert listed["status"]["state"] == "TASK_STATE_FAILED"
    assert client.refused("CancelTask", {"id": ident}) == -32002
    assert client.refused("SubscribeToTask", {"id": ident}) == -32004
    assert client.refused("SendMessage", said("more", taskId=ident)) == -32004


def test_a_whole_stream_that_breaks_off_behind_its_end_is_whole(client: A2aClient) -> None:
    messages = streamed(client, "cut 4")
    assert messages[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(messages) == 4


def test_a_task_its_agent_has_finished_meanwhile_is_finished(client: A2aClient) -> None:
    messages = streamed(client, "recovers 2 recovered-1")
    assert messages[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert client.ask("GetTask", {"id": "recovered-1"})["status"]["state"] == "TASK_STATE_COMPLETED"


def test_a_stream_is_gone_on_with_where_the_agent_still_works(client: A2aClient) -> None:
    messages = streamed(client, "goes-on 2 going-1")
    names = [next(iter(message["result"])) for message in messages]
    assert names == ["task", "statusUpdate", "artifactUpdate", "statusUpdate"]
    assert messages[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize(
    ("text", "code"), [("status 500", -32603), ("junk", -32006), ("other", -32006), ("shape", -32006)]
)
def test_what_is_no_answer_is_an_error(client: A2aClient, text: str, code: int) -> None:
    error = client.rpc("SendMessage", said(text))["error"]
    assert error["code"] == code
    assert "127.0.0.1" not in str(error)


def test_a_dead_agent_is_an_error(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "dead")
    for method in ("SendMessage", "SendStreamingMessage"):
        error = client.rpc(method, said("hello"))["error"]
        assert (error["code"], error["data"][0]["metadata"]["code"]) == (-32603, "agent_unavailable")
        assert ":9" not in str(error)


def test_the_agent_is_asked_where_the_operator_says_whatever_its_card_says(
    client: A2aClient, a2a_script: Script
) -> None:
    client.ask("SendMessage", said("fine"))
    assert a2a_script.seen[-1]["method"] == "SendMessage"


def test_every_failure_is_in_the_ledger(client: A2aClient, a2a_gateway: Gateway) -> None:
    client.headers = {"x-request-id": "failures"}
    streamed(client, "cut 2")
    client.rpc("SendMessage", said("status 500"))
    client.rpc("SendMessage", said("fine"))
    rows = rows_of(a2a_gateway, "failures", 3)
    assert [(row["status"], row["error"]) for row in rows] == [(502, "unreachable"), (502, "unreachable"), (200, "")]
    assert {(row["model"], row["deployment"], row["key_name"]) for row in rows} == {("script", "script", "alice")}
