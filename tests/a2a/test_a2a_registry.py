"""Agents in the database: added, changed, switched off and removed while clients go on, out of private networks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.a2a_agent import Agent
from support.a2a_client import ADMIN, ALICE, A2aClient, said, wait_for_control
from support.gateway import Gateway

SECRET = "upstream-secret-0123456789"


@pytest.fixture(scope="module")
def registry(a2a_agents: dict[str, Agent]) -> Iterator[Gateway]:
    config: dict[str, Any] = {
        "general_settings": {"store_model_in_db": True},
        "agents": [{"agent_name": "filed", "url": a2a_agents["both"].url}],
        "routeiq": {
            "a2a": {"stored_private_hosts": ["127.0.0.1"]},
            "keys": [{"name": "alice", "key": ALICE, "object_permission": {"agents": ["*"]}}],
        },
    }
    with Gateway(config, key=ADMIN, env={"LITELLM_SALT_KEY": "salt-0123456789"}) as running:
        wait_for_control(running)
        yield running


def ask(gateway: Gateway, method: str, path: str, body: Any = None, key: str = ADMIN) -> tuple[int, Any]:
    status, _, answer = gateway.call(path, body, key=key, method=method)
    return status, json.loads(answer) if answer else None


def test_an_agent_is_there_from_its_first_to_its_last_moment(registry: Gateway, a2a_agents: dict[str, Agent]) -> None:
    body = {
        "agent_name": "stored", "agent_card_params": {"name": "Stored", "description": "Kept."},
        "litellm_params": {"api_base": a2a_agents["both"].url, "api_key": SECRET},
        "static_headers": {"X-Static": SECRET},
    }  # fmt: skip
    status, made = ask(registry, "POST", "/v1/agents", body)
    assert status == 200, made
    assert SECRET not in json.dumps(made)
    assert (made["agent_name"], made["created_by"]) == ("stored", "master")
    ident = made["agent_id"]
    client = A2aClient(registry, ALICE, "stored")
    task = client.ask("SendMessage", said("do it"))["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    seen = a2a_agents["both"].seen[-1]
    assert (seen["authorization"], seen["x-static"]) == (f"Bearer {SECRET}", SECRET)
    shown = ask(registry, "GET", f"/v1/agents/{ident}", key=ALICE)[1]
    assert shown["agent_card_params"]["description"] == "Kept."
    assert [one["agent_name"] for one in ask(registry, "GET", "/v1/agents")[1]] == ["filed", "stored"]

    status, changed = ask(registry, "PATCH", f"/v1/agents/{ident}", {"enabled": False})
    assert (status, changed["enabled"]) == (200, False)
    assert ask(registry, "GET", f"/v1/agents/{ident}", key=ALICE)[0] == 404
    assert client.call("GET", f"{client.path}/tasks/{task['id']}")[0] == 404
    ask(registry, "PUT", f"/v1/agents/{ident}", {"enabled": True})
    assert client.ask("GetTask", {"id": task["id"]})["id"] == task["id"]
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in registry.state_dir.glob("*.db*"))
    assert ask(registry, "DELETE", f"/v1/agents/{ident}")[0] == 200
    assert ask(registry, "DELETE", f"/v1/agents/{ident}")[0] == 404
    assert [one["agent_name"] for one in ask(registry, "GET", "/a2a/agents")[1]] == ["filed"]


def test_only_admins_change_the_registry_and_only_what_is_in_it(registry: Gateway) -> None:
    body = {"agent_name": "mine", "url": "http://127.0.0.1:9"}
    assert ask(registry, "POST", "/v1/agents", body, key=ALICE)[0] == 403
    for wrong in (
        {**body, "agent_name": "filed"},
        {**body, "agent_name": "agents"},
        {**body, "url": "no URL"},
        {**body, "surprise": 1},
        {"agent_name": "mine"},
        {**body, "url": "http://10.0.0.8/"},
        {**body, "url": "http://169.254.169.254/"},
        {**body, "url": "http://localhost:9/"},
    ):
        status, answer = ask(registry, "POST", "/a2a/agents", wrong)
        assert status == 400, (wrong, answer)
    status, answer = ask(registry, "PATCH", "/v1/agents/filed", {"enabled": False})
    assert (status, "configuration file" in answer["error"]["message"]) == (400, True)
    assert ask(registry, "PATCH", "/v1/agents/none", {"enabled": False})[0] == 404
