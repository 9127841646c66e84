"""Agents of platforms that do not speak A2A, seen by a client that does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.a2a_client import ADMIN, ALICE, BOB, A2aClient, said, said_old
from support.agent_platforms import ARN, ENGINE, Platforms
from support.gateway import Gateway
from support.pydantic_ai_agent import PydanticAgent

SESSION = "x-amzn-bedrock-agentcore-runtime-session-id"
AGENTS = ("runtime", "engine", "foundry")


@pytest.fixture(scope="module")
def platforms() -> Iterator[Platforms]:
    with Platforms() as running:
        yield running


@pytest.fixture(scope="module")
def pydantic_agent() -> Iterator[PydanticAgent]:
    with PydanticAgent() as running:
        yield running


def service_account(platforms: Platforms) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    document = {
        "type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": pem,
        "client_email": "me@p.iam.gserviceaccount.com", "token_uri": f"{platforms.url}/token",
    }  # fmt: skip
    return json.dumps(document)


@pytest.fixture(scope="module")
def gateway(platforms: Platforms, pydantic_agent: PydanticAgent) -> Iterator[Gateway]:
    aws = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
    params: dict[str, dict[str, Any]] = {
        "runtime": {"custom_llm_provider": "bedrock", "model": f"bedrock/agentcore/{ARN}?DEFAULT", **aws,
                    "api_base": platforms.url},
        "engine": {"custom_llm_provider": "vertex_ai", "model": f"vertex_ai/agent_engine/{ENGINE}",
                   "vertex_credentials": service_account(platforms), "api_base": platforms.url},
        "foundry": {"custom_llm_provider": "azure_ai", "model": "azure_ai/agents/asst_1", "api_key": "entra-token",
                    "api_base": f"{platforms.url}/project"},
    }  # fmt: skip
    agents = [{"agent_name": name, "litellm_params": given} for name, given in params.items()]
    polled = {"custom_llm_provider": "pydantic_ai_agents"}
    agents += [
        {"agent_name": "polled", "url": pydantic_agent.url, "litellm_params": polled},
        {
            "agent_name": "silent", "url": pydantic_agent.url, "litellm_params": polled,
            "agent_card_params": {"capabilities": {"streaming": False}},
        },
        {"agent_name": "plain", "url": pydantic_agent.url},
    ]  # fmt: skip
    keys = [{"name": name, "key": key, "object_permission": {"agents": ["*"]}}
            for name, key in (("alice", ALICE), ("bob", BOB))]  # fmt: skip
    with Gateway({"agents": agents, "routeiq": {"keys": keys}}, key=ADMIN) as running:
        while b'"db":"connected"' not in running.get("/health/readiness")[2]:
            time.sleep(0.05)
        yield running


def answer(task: dict[str, Any]) -> str:
    return "".join(part["text"] for one in task.get("artifacts", ()) for part in one["parts"])


def state(task: dict[str, Any]) -> str:
    return str(task["status"]["state"])


@pytest.mark.parametrize("name", AGENTS)
def test_an_answer_is_a_task(gateway: Gateway, name: str) -> None:
    new, old = A2aClient(gateway, ALICE, name), A2aClient(gateway, ALICE, name, "0.3")
    task = new.ask("SendMessage", said("do it"))["task"]
    assert (state(task), task["artifacts"][0]["parts"]) == ("TASK_STATE_COMPLETED", [{"text": "one two three"}])
    assert answer(new.ask("GetTask", {"id": task["id"]})) == "one two three"
    assert new.ask("ListTasks", {"contextId": task["contextId"]})["totalSize"] == 1
    assert A2aClient(gateway, BOB, name).refused("GetTask", {"id": task["id"]}) == -32001
    told = old.ask("message/send", said_old("do it"))
    assert (state(told), answer(told)) == ("completed", "one two three")


@pytest.mark.parametrize("name", AGENTS)
def test_words_come_as_they_are_said(gateway: Gateway, name: str) -> None:
    results = [one["result"] for one in A2aClient(gateway, ALICE, name).stream("SendStreamingMessage", said("do it"))]
    assert state(results[0]["task"]) == "TASK_STATE_SUBMITTED"
    updates = [one["artifactUpdate"] for one in results if "artifactUpdate" in one]
    assert [one["artifact"]["parts"][0]["text"] for one in updates] == ["one ", "two ", "three"]
    assert [one["append"] for one in updates] == [False, True, True]
    assert state(results[-1]["statusUpdate"]) == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("text", ["refuse", "fail", "cut"])
@pytest.mark.parametrize("name", AGENTS)
def test_what_goes_wrong_is_a_failed_task(gateway: Gateway, name: str, text: str) -> None:
    client = A2aClient(gateway, ALICE, name)
    task = client.ask("SendMessage", said(text))["task"]
    assert state(task) == "TASK_STATE_FAILED"
    why = task["status"]["message"]["parts"][0]["text"]
    assert {"refuse": "503", "fail": "it broke", "cut": "agent"}[text] in why
    assert state(client.ask("GetTask", {"id": task["id"]})) == "TASK_STATE_FAILED"
    results = [one["result"] for one in client.stream("SendStreamingMessage", said(text))]
    assert state(results[-1]["statusUpdate"]) == "TASK_STATE_FAILED"


def test_each_platform_is_asked_in_its_own_words(gateway: Gateway, platforms: Platforms) -> None:
    platforms.seen.clear()
    asked: dict[str, list[tuple[str, dict[str, str], dict[str, Any]]]] = {}
    for name in AGENTS:
        client = A2aClient(gateway, ALICE, name)
        for text in ("first", "second"):
            assert state(client.ask("SendMessage", said(text, contextId="mine"))["task"]) == "TASK_STATE_COMPLETED"
        asked[name], platforms.seen = platforms.seen, []
    (path, head, body), (_, again_head, _) = asked["runtime"]
    assert path == f"/runtimes/{ARN.replace(':', '%3A').replace('/', '%2F')}/invocations?qualifier=DEFAULT"
    assert "/us-east-1/bedrock-agentcore/aws4_request" in head["authorization"]
    assert len(head[SESSION]) >= 33
    assert head[SESSION] == again_head[SESSION]
    made, first, second = asked["engine"]
    assert made[2]["class_method"] == "async_create_session"
    assert first[1]["authorization"] == "Bearer ya29.made"
    assert first[2]["class_method"] == "async_stream_query"
    assert first[2]["input"] | {"message": "second"} == second[2]["input"]
    path, head, body = asked["foundry"][-1]
    assert (path, body["assistant_id"]) == ("/project/threads/runs?api-version=v1", "asst_1")
    assert [(one["role"], one["content"]) for one in body["thread"]["messages"]] == [
        ("user", "first"), ("assistant", "one two three"), ("user", "second"),
    ]  # fmt: skip
    assert asked["foundry"][0][1]["authorization"] == "Bearer entra-token"


def test_conversations_of_two_keys_are_two(gateway: Gateway, platforms: Platforms) -> None:
    platforms.seen.clear()
    for key in (ALICE, BOB):
        A2aClient(gateway, key, "runtime").ask("SendMessage", said("hello", contextId="the same"))
    (_, one, _), (_, other, _) = platforms.seen
    assert one[SESSION] != other[SESSION]


def test_an_answer_that_is_no_stream(gateway: Gateway) -> None:
    assert answer(A2aClient(gateway, ALICE, "runtime").ask("SendMessage", said("whole"))["task"]) == "one two three"


def test_agents_that_want_to_be_asked_are(gateway: Gateway) -> None:
    plain, polled = A2aClient(gateway, ALICE, "plain"), A2aClient(gateway, ALICE, "polled")
    assert state(plain.ask("SendMessage", said("it"))["task"]) == "TASK_STATE_SUBMITTED"
    task = polled.ask("SendMessage", said("it"))["task"]
    assert (state(task), answer(task)) == ("TASK_STATE_COMPLETED", "did it")
    assert state(polled.ask("SendMessage", said("fail"))["task"]) == "TASK_STATE_FAILED"
    at_once = {**said("it"), "configuration": {"returnImmediately": True}}
    assert state(polled.ask("SendMessage", at_once)["task"]) == "TASK_STATE_SUBMITTED"
    for name in ("polled", "silent"):
        client = A2aClient(gateway, ALICE, name)
        results = [one["result"] for one in client.stream("SendStreamingMessage", said("it"))]
        assert state(results[-1]["statusUpdate"]) == "TASK_STATE_COMPLETED"
        assert answer(client.ask("GetTask", {"id": results[0]["task"]["id"]})) == "did it"
    silent = A2aClient(gateway, ALICE, "silent")
    results = [one["result"] for one in silent.stream("SendStreamingMessage", said("it"))]
    assert [answer({"artifacts": [one["artifactUpdate"]["artifact"]]}) for one in results[1:-1]] == ["did it"]
