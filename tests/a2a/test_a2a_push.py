"""Webhooks that the gateway relays: signed, told again until they are heard, also after `kill -9`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.a2a_agent import Agent
from support.a2a_client import ADMIN, ALICE, BOB, A2aClient, Json, process_of, said, said_old, wait_for_control
from support.addresses import free_port
from support.gateway import Gateway


class Receiver(ThreadingHTTPServer):
    """A client's webhook; a context manager. `status` is what it answers, `got` what it was told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def told(self, path: str) -> list[tuple[dict[str, str], Json]]:
        """What came to one path."""
        return [(headers, json.loads(body)) for headers, body in self.got if headers[":path"] == path]

    def wait(self, path: str, until: Callable[[list[Json]], bool]) -> list[tuple[dict[str, str], Json]]:
        """The same, once it is enough."""
        for _ in range(200):
            found = self.told(path)
            if until([body for _, body in found]):
                return found
            time.sleep(0.05)
        raise TimeoutError(str(self.told(path)))


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(({**headers, ":path": self.path}, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def relaying(a2a_agents: dict[str, Agent]) -> Iterator[Gateway]:
    kinds = ("both", "old", "rest")
    keys = [
        {"name": name, "key": key, "object_permission": {"agents": ["*"]}}
        for name, key in (("alice", ALICE), ("bob", BOB))
    ]
    port = free_port()
    config = {
        "agents": [{"agent_name": kind, "url": a2a_agents[kind].url} for kind in kinds],
        "routeiq": {
            "a2a": {"public_url": f"http://127.0.0.1:{port}", "private_webhooks": True},
            "keys": keys,
        },
    }
    gateway = Gateway(config, key=ADMIN)
    gateway.port = port
    with gateway as running:
        wait_for_control(running)
        yield running


def completed(found: list[Json]) -> bool:
    return any("TASK_STATE_COMPLETED" in str(one) or "'completed'" in str(one) for one in found)


@pytest.mark.parametrize("kind", ["both", "old", "rest"])
def test_a_client_is_told_by_the_gateway(relaying: Gateway, receiver: Receiver, kind: str) -> None:
    client = A2aClient(relaying, ALICE, kind)
    path = f"/new-{kind}"
    hook = {
        "id": "mine", "url": receiver.url + path, "token": "shared-secret",
        "authentication": {"scheme": "Bearer", "credentials": "for-me"},
    }  # fmt: skip
    configuration = {"taskPushNotificationConfig": hook, "returnImmediately": True}
    task = client.ask("SendMessage", {**said("slow 0.3", contextId="lunch"), "configuration": configuration})["task"]
    for headers, body in receiver.wait(path, completed):
        [told] = body.values()
        assert told.get("id", told.get("taskId")) == task["id"]
        assert told["contextId"] == "lunch"
        assert (headers["x-a2a-notification-token"], headers["authorization"]) == ("shared-secret", "Bearer for-me")
        assert headers["content-type"] == "application/a2a+json"
    for headers, raw in receiver.got:
        if headers[":path"] == path:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
            wanted = hmac.new(b"shared-secret", signed, hashlib.sha256).digest()
            assert headers["webhook-signature"] == f"v1,{base64.b64encode(wanted).decode()}"
    assert client.ask("GetTask", {"id": task["id"]})["status"]["state"] == "TASK_STATE_COMPLETED"
    params = {"taskId": task["id"], "id": "mine"}
    assert client.ask("GetTaskPushNotificationConfig", params) == {"taskId": task["id"], **hook}
    assert client.ask("ListTaskPushNotificationConfigs", params)["configs"] == [{"taskId": task["id"], **hook}]
    bob = A2aClient(relaying, BOB, kind)
    assert bob.refused("GetTaskPushNotificationConfig", params) == -32001
    client.ask("DeleteTaskPushNotificationConfig", params)
    assert client.refused("GetTaskPushNotificationConfig", params) == -32001


def test_a_client_of_the_old_version_is_told_of_the_task(relaying: Gateway, receiver: Receiver) -> None:
    client = A2aClient(relaying, ALICE, "both", "0.3")
    asked = client.ask("message/send", said_old("ask"))["id"]
    hook = {"id": "mine", "url": f"{receiver.url}/old"}
    made = client.ask("tasks/pushNotificationConfig/set", {"taskId": asked, "pushNotificationConfig": hook})
    assert made == {"taskId": asked, "pushNotificationConfig": hook}
    client.ask("message/send", said_old("that one", taskId=asked))
    found = receiver.wait("/old", completed)
    assert {body["kind"] for _, body in found} == {"task"}
    assert {body["id"] for _, body in found} == {asked}
    assert "webhook-signature" not in found[0][0]


def test_who_has_not_heard_is_told_again_also_after_a_kill(relaying: Gateway, receiver: Receiver) -> None:
    client = A2aClient(relaying, ALICE, "both")
    receiver.status = 503
    configuration = {"taskPushNotificationConfig": {"url": f"{receiver.url}/again"}}
    client.ask("SendMessage", {**said("do it"), "configuration": configuration})
    first = {headers["webhook-id"] for headers, _ in receiver.wait("/again", completed)}
    os.kill(process_of(relaying).pid, signal.SIGKILL)
    receiver.got.clear()
    receiver.status = 200
    receiver.wait("/again", lambda found: len(found) >= len(first) and completed(found))
    assert {headers["webhook-id"] for headers, _ in receiver.told("/again")} <= first


def test_only_the_agent_calls_a_webhook(relaying: Gateway) -> None:
    client = A2aClient(relaying, ALICE, "both")
    event = {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}}}
    for _ in range(100):
        status, _ = client.call("POST", "/a2a/push/guessed", event)
        if status != 503:  # the process was killed before
            break
        time.sleep(0.1)
    assert status == 404
    assert client.call("GET", "/a2a/push/guessed")[0] == 405
