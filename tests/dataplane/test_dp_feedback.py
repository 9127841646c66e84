"""Judgements of choices: kept once, by those they belong to, and learned from by every worker, after a restart too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.gateway import Gateway, config_for, deployment
from support.upstream import Upstream

STRATEGY = """
from routeiq.routing.strategy import Ranking

class Liked:
    name = "liked"
    learns = True

    def __init__(self):
        self.likes = {}

    def rank(self, query, candidates, state):
        liked = self.likes.get(query.user, {})
        order = sorted(range(len(candidates)), key=lambda place: -liked.get(candidates[place].name, 0.5))
        return Ranking(order=order, memento=f"about {query.prompt[::-1]}".encode())

    def update(self, feedback):
        if feedback.quality is not None:
            assert feedback.memento == b"about iH", feedback.memento
            assert feedback.query.prompt == ""
            self.likes.setdefault(feedback.query.user, {})[feedback.candidate.name] = feedback.quality
"""
KEYS = [{"name": "one", "key": "sk-one"}, {"name": "two", "key": "sk-two"}]


@pytest.fixture(scope="module")
def gateway(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    file = tmp_path_factory.mktemp("strategy") / "liked.py"
    file.write_text(STRATEGY)
    auto = {"strategy": "llmrouter-custom", "args": {"class": f"{file}:Liked"}, "session_ttl": 0}
    autos = {"auto": {**auto, "models": ["first", "second"]}, "wide": {**auto, "models": ["wide/first", "second"]}}
    config = config_for(provider, routeiq={"auto_models": autos, "keys": KEYS})
    config["router_settings"] = {"model_group_alias": {"renamed": "auto"}}
    models = [deployment(provider, name) for name in ("first", "second")]
    models.append(deployment(provider, "wide/*", "*"))
    with Gateway({**config, "model_list": models}, workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def obedient(upstream: Upstream) -> None:
    """The provider forgets what other tests have told it."""


def ask(gateway: Gateway, user: str, key: str = "sk-one", model: str = "auto") -> dict[str, str]:
    body = {"model": model, "user": user, "messages": [{"role": "user", "content": "Hi"}]}
    status, head, answer = gateway.call("/v1/chat/completions", body, key=key)
    assert status == 200, answer
    return head


def judge(gateway: Gateway, decision: str, score: Any, key: str = "sk-one") -> tuple[int, Any]:
    """As soon as the decision is there, or what is said after three seconds."""
    start = time.monotonic()
    body = {"decision_id": decision, "score": score}
    while True:
        status, _, answer = gateway.call("/v1/routing/feedback", body, key=key)
        # Workers are there before the control plane is.
        if status not in (404, 503) or time.monotonic() > start + (20 if status == 503 else 3):
            return status, json.loads(answer)
        time.sleep(0.1)


def chosen(gateway: Gateway, user: str) -> set[str]:
    """Over connections of their own, so that both workers are asked."""
    return {ask(gateway, user)["x-routeiq-selected-model"] for _ in range(12)}


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_every_worker_learns_and_relearns(gateway: Gateway) -> None:
    assert chosen(gateway, "ada") == {"first"}
    decision = ask(gateway, "ada")["x-routeiq-decision-id"]
    assert judge(gateway, decision, 0.1) == (200, {"decision_id": decision, "score": 0.1})
    until(lambda: chosen(gateway, "ada") == {"second"})
    assert chosen(gateway, "grace") == {"first"}, "it is the user's preference"
    status, problem = judge(gateway, decision, 1.0)
    assert (status, problem["error"]["code"]) == (409, "already_judged")
    for process in gateway.processes():
        if "routeiq.worker" in process.cmdline():
            process.kill()
    until(lambda: chosen(gateway, "ada") == {"second"})


@pytest.mark.parametrize(("model", "first"), [("renamed", "first"), ("wide", "wide/first")])
def test_aliases_and_wildcards_are_learned_of_too(gateway: Gateway, model: str, first: str) -> None:
    head = ask(gateway, model, model=model)
    assert head["x-routeiq-selected-model"] == first
    assert judge(gateway, head["x-routeiq-decision-id"], 0.1)[0] == 200
    until(lambda: ask(gateway, model, model=model)["x-routeiq-selected-model"] == "second")


def test_others_may_not_judge(gateway: Gateway) -> None:
    decision = ask(gateway, "alan")["x-routeiq-decision-id"]
    assert judge(gateway, decision, 0.0, key="sk-two")[0] == 404
    assert judge(gateway, decision, 0.9)[0] == 200


@pytest.mark.parametrize("score", [1.5, -0.1, "good", None])
def test_scores_are_checked(gateway: Gateway, score: Any) -> None:
    status, problem = judge(gateway, "some-decision", score)
    assert (status, problem["error"]["param"]) == (400, "score")


def test_the_older_path(gateway: Gateway) -> None:
    decision = ask(gateway, "edsger")["x-routeiq-decision-id"]
    judge(gateway, "no-such-decision", 0.5)
    body = {"decision_id": decision, "score": 0.5}
    until(lambda: gateway.call("/routing/feedback", body, key="sk-one")[0] == 200, 5)
