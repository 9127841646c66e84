"""Decisions over a whole gateway: explained before, kept after, seen by those they belong to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import MASTER_KEY, Gateway, config_for, deployment
from support.upstream import Upstream

KEYS = [{"name": "one", "key": "sk-one"}, {"name": "two", "key": "sk-two", "models": ["model-8b"]}]


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[Gateway]:
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    models = [deployment(provider, name) for name in ("model-8b", "model-70b")]
    for entry in models:
        entry["model_info"] = prices
    own = {"auto_models": {"auto": {"strategy": "llmrouter-largest"}}, "keys": KEYS}
    config = {**config_for(provider, routeiq=own), "model_list": models}
    with Gateway(config, workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def obedient(upstream: Upstream) -> None:
    """The provider forgets what other tests have told it."""


def decision(gateway: Gateway, id: str, key: str = MASTER_KEY) -> tuple[int, Any]:
    """As soon as it is there, or what is said after two seconds."""
    end = time.monotonic() + (20 if key == MASTER_KEY else 2)
    while True:
        status, _, body = gateway.call(f"/v1/routing/decisions/{id}", key=key)
        if status == 200 or time.monotonic() > end:
            return status, json.loads(body)
        time.sleep(0.1)


def chat(gateway: Gateway, key: str) -> dict[str, str]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "a secret question"}], "max_tokens": 5}
    status, head, answer = gateway.call("/v1/chat/completions", body, key=key)
    assert status == 200, answer
    return head


def test_a_decision_is_kept_with_its_outcome(gateway: Gateway) -> None:
    head = chat(gateway, "sk-one")
    status, found = decision(gateway, head["x-routeiq-decision-id"])
    assert status == 200
    assert (found["model"], found["selected"], found["strategy"]) == ("auto", "model-70b", "llmrouter-largest")
    assert [(one["model"], one["rank"]) for one in found["candidates"]] == [("model-8b", 2), ("model-70b", 1)]
    outcome = found["outcome"]
    assert (outcome["status"], outcome["model"], outcome["completion_tokens"]) == (200, "model-70b", 5)
    assert outcome["cost"] == pytest.approx(outcome["prompt_tokens"] * 1e-6 + 5 * 2e-6)
    assert "secret question" not in json.dumps(found)
    told = found["telemetry"]
    assert (told["contract_name"], told["contract_version"]) == ("routeiq.router_decision.v1", "v1")
    assert told["selected_deployment"] == head["x-routeiq-deployment"]
    assert told["outcome"] == {
        "status": "success",
        "error_message": "",
        "error_type": "",
        "input_tokens": outcome["prompt_tokens"],
        "output_tokens": 5,
        "total_tokens": outcome["prompt_tokens"] + 5,
        "api_type": "chat_completion",
    }
    assert told["input"]["query_length"] == len("a secret question")
    assert told["timings"]["total_ms"] > 0


def test_decisions_are_seen_by_those_they_belong_to(gateway: Gateway) -> None:
    ident = chat(gateway, "sk-one")["x-routeiq-decision-id"]
    assert decision(gateway, ident)[0] == 200
    assert decision(gateway, ident, "sk-one")[0] == 200
    assert decision(gateway, ident, "sk-two")[0] == 404
    theirs = chat(gateway, "sk-two")["x-routeiq-decision-id"]
    shown = {key: decision(gateway, theirs, key)[1]["candidates"] for key in (MASTER_KEY, "sk-two")}
    assert {key: {one["model"]: one.get("removed") for one in all_} for key, all_ in shown.items()} == {
        "sk-two": {"model-8b": None}, MASTER_KEY: {"model-8b": None, "model-70b": "not_allowed"},
    }  # fmt: skip
    ident = chat(gateway, "sk-one")["x-routeiq-decision-id"]
    assert decision(gateway, ident)[0] == 200
    listed = json.loads(gateway.call("/v1/routing/decisions?model=auto&limit=1")[2])
    assert [one["id"] for one in listed["data"]] == [ident]
    assert [one["id"] for one in json.loads(gateway.call("/v1/routing/decisions", key="sk-two")[2])["data"]] == [theirs]
    older = json.loads(gateway.call(f"/v1/routing/decisions?before={listed['next']}")[2])["data"]
    assert ident not in [one["id"] for one in older]


def test_explaining_asks_nobody(gateway: Gateway, provider: Upstream) -> None:
    before = len(provider.requests)
    status, _, body = gateway.call("/v1/routing/explain", {"model": "auto", "prompt": "Hello"}, key="sk-two")
    found = json.loads(body)
    assert (status, found["selected"]) == (200, "model-8b")
    assert [one["model"] for one in found["candidates"]] == ["model-8b"]
    plain = json.loads(gateway.call("/v1/routing/explain", {"model": "model-8b", "prompt": "Hello"})[2])
    assert plain["reason"] == "the only deployment"
    assert len(provider.requests) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 400, "invalid_json"),
        ({"model": "auto", "prompt": 5}, 400, "invalid_value"),
        ({"model": "nothing", "prompt": "Hello"}, 404, "model_not_found"),
        ({"model": "auto"}, 400, "missing_required_parameter"),
    ],
)
def test_bad_questions(gateway: Gateway, body: Any, status: int, code: str) -> None:
    found, _, answer = gateway.call("/v1/routing/explain", body)
    assert (found, json.loads(answer)["error"]["code"]) == (status, code)
    assert gateway.call("/v1/routing/explain", body, key="sk-nobody")[0] == 401


def test_the_command_shows_the_ranking(gateway: Gateway) -> None:
    shown = gateway.cli("route", "Hello", "--key", MASTER_KEY)
    assert shown.startswith("model-70b  by llmrouter-largest")
    found = json.loads(gateway.cli("route", "Hello", "--key", MASTER_KEY, "--max-cost", "0", "--json"))
    assert found["reason"].startswith("all cost more than max_cost")
    with pytest.raises(RuntimeError, match="No api key passed in"):
        gateway.cli("route", "Hello")
    with pytest.raises(RuntimeError, match="no http://"):
        gateway.cli("route", "Hello", "--url", "ftp://x")
