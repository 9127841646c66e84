"""The official SDK as the client, both versions, both bindings; and the HTTP+JSON binding as it is on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.helpers import get_artifact_text, new_text_message
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import TaskNotFoundError

from support.a2a_client import ALICE, A2aClient, said
from support.gateway import Gateway

WAYS = [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3"), ("HTTP+JSON", "0.3")]


def run(
    gateway: Gateway,
    agent: str,
    way: tuple[str, str],
    work: Callable[[Client], Awaitable[None]],
    modes: Sequence[bool] = (True, False),
) -> None:
    """Do something as a client of the SDK that reads the card and is left one way to speak to the agent."""

    async def main(streaming: bool) -> None:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ALICE}"}, timeout=20) as http:
            card = await A2ACardResolver(http, f"http://127.0.0.1:{gateway.port}/a2a/{agent}").get_agent_card()
            left = [one for one in card.supported_interfaces if (one.protocol_binding, one.protocol_version) == way]
            assert len(left) == 1
            del card.supported_interfaces[:]
            card.supported_interfaces.extend(left)
            config = ClientConfig(
                httpx_client=http, streaming=streaming, supported_protocol_bindings=["JSONRPC", "HTTP+JSON"]
            )
            await work(ClientFactory(config).create(card))

    for streaming in modes:
        asyncio.run(main(streaming))


@pytest.mark.parametrize("agent", ["both", "old", "rest", "old-rest"])
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_the_sdk_speaks_to_every_agent(a2a_gateway: Gateway, agent: str, way: tuple[str, str]) -> None:
    async def work(client: Client) -> None:
        task = pb.Task()
        async for event in client.send_message(SendMessageRequest(message=new_text_message("do it"))):
            if event.HasField("task"):
                task = event.task
            elif event.HasField("status_update"):
                task.status.CopyFrom(event.status_update.status)
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        found = await client.get_task(GetTaskRequest(id=task.id))
        assert get_artifact_text(found.artifacts[0], delimiter="") == "one two three"
        waiting = pb.Task()
        async for event in client.send_message(SendMessageRequest(message=new_text_message("ask"))):
            waiting = event.task if event.HasField("task") else waiting
        cancelled = await client.cancel_task(CancelTaskRequest(id=waiting.id))
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        if way[1] == "1.0":
            page = await client.list_tasks(ListTasksRequest(page_size=2))
            assert [one.id for one in page.tasks] == [waiting.id, task.id]
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="no-such-task"))

    run(a2a_gateway, agent, way, work)


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_the_sdk_follows_a_task_that_is_under_way(a2a_gateway: Gateway, way: tuple[str, str]) -> None:
    async def work(client: Client) -> None:
        request = SendMessageRequest(message=new_text_message("slow 0.5"))
        request.configuration.return_immediately = True
        sent = client.send_message(request)
        ident = (await anext(aiter(sent))).task.id
        states = [
            event.status_update.status.state
            async for event in client.subscribe(SubscribeToTaskRequest(id=ident))
            if event.HasField("status_update")
        ]
        assert states[-1] == TaskState.TASK_STATE_COMPLETED

    run(a2a_gateway, "both", way, work, modes=[True])


def test_the_http_binding(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "both")
    status, sent = client.call("POST", f"{client.path}/message:send", said("ask"))
    task = f"{client.path}/tasks/{sent['task']['id']}"
    assert (status, sent["task"]["status"]["state"]) == (200, "TASK_STATE_INPUT_REQUIRED")
    assert client.call("GET", f"{task}?historyLength=1")[1]["id"] == sent["task"]["id"]
    assert client.call("GET", f"{client.path}/tasks?pageSize=1")[1]["pageSize"] == 1
    hook = {"url": "https://1.1.1.1/hook", "id": "h"}
    assert client.call("POST", f"{task}/pushNotificationConfigs", hook)[1]["id"] == "h"
    assert client.call("GET", f"{task}/pushNotificationConfigs/h")[1]["url"] == hook["url"]
    assert len(client.call("GET", f"{task}/pushNotificationConfigs")[1]["configs"]) == 1
    assert client.call("DELETE", f"{task}/pushNotificationConfigs/h")[0] == 200
    assert client.call("POST", f"{task}:cancel", {})[1]["status"]["state"] == "TASK_STATE_CANCELED"
    status, refused = client.call("POST", f"{task}:cancel", {})
    assert (status, refused["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert refused["error"]["details"][0]["reason"] == "TASK_NOT_CANCELABLE"
    status, refused = client.call("GET", f"{client.path}/tasks/none")
    assert (status, refused["error"]["details"][0]["reason"]) == (404, "TASK_NOT_FOUND")
    events = list(client.events("POST", f"{client.path}/message:stream", said("do it")))
    assert "task" in events[0]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert client.call("GET", f"{client.path}/extendedAgentCard")[1]["name"] == "Doer"
    assert client.call("PUT", f"{client.path}/tasks/x")[0] == 405
    assert client.call("GET", f"{client.path}/nothing")[0] == 404
    assert client.call("GET", f"{client.path}/tasks?pageSize=many")[0] == 400
    client.version = None
    status, refused = client.call("POST", f"{client.path}/message:send", said("ask"))
    assert (status, refused["error"]["details"][0]["reason"]) == (400, "VERSION_NOT_SUPPORTED")
    assert client.call("GET", f"{client.path}/tasks?A2A-Version=1.0&pageSize=1")[0] == 200


def test_what_is_no_request_is_refused(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "both")

    def code(body: object, headers: dict[str, str] | None = None) -> int:
        return int(client.call("POST", client.path, body, headers)[1]["error"]["code"])

    def request(method: str, **members: object) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": 1, "method": method, **members}

    assert code(b"{") == -32700
    assert code([]) == -32600
    assert code({"id": 1, "method": "GetTask"}) == -32600
    assert code(request("GetTask", id=True)) == -32600
    assert code(request("GetTask", params=[])) == -32602
    assert code(request("GetTask")) == -32602
    assert code(request("SendMessage")) == -32602
    assert code(request("Nothing")) == -32601
    assert code(request("message/send")) == -32601
    assert code(request("GetTask"), {"Content-Type": "text/plain"}) == -32005
    assert code(request("GetTask"), {"A2A-Version": "2.0"}) == -32009
    assert client.call("GET", client.path)[0] == 405
    client.version = None
    assert code(request("GetTask")) == -32009
    assert code(request("tasks/list")) == -32601
    assert code(request("tasks/get", params={"id": "none"})) == -32001


def test_the_paths_of_litellm(a2a_gateway: Gateway) -> None:
    client = A2aClient(a2a_gateway, ALICE, "both")
    body = {"jsonrpc": "2.0", "id": "one", "method": "SendMessage", "params": said("do it")}
    for path in (f"{client.path}/message/send", f"/v1{client.path}/message/send", f"/v1{client.path}"):
        status, message = client.call("POST", path, body)
        assert (status, message["id"]) == (200, "one")
        assert message["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    events = list(client.events("POST", f"{client.path}/message/stream", body))
    assert events[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
