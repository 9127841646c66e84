"""Limits and models of workspaces, set through the management API, enforced by workers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, ask, manage, wait_managed
from support.upstream import Script, Upstream

PATH = "/api/v1/routeiq/workspaces"


@pytest.fixture(scope="module")
def running(provider: Upstream) -> Iterator[Gateway]:
    models = [deployment(provider, name, **CENT) for name in ("m", "other", "third")]
    models[2]["model_info"] = {"access_groups": ["rest"]}
    with Gateway({"model_list": models}, workers=2) as gateway:
        wait_managed(gateway)
        yield gateway


@pytest.fixture
def gateway(running: Gateway, provider: Upstream) -> Gateway:
    provider.reset()
    return running


def made(gateway: Gateway, keys: int = 2, **fields: Any) -> tuple[str, list[str]]:
    """A workspace with keys."""
    id = uuid4().hex[:12]
    manage(gateway, PATH, {"workspace_id": id, **fields})
    return id, [manage(gateway, "/key/generate", {"workspace_id": id})["key"] for _ in range(keys)]


def spent(gateway: Gateway, id: str, wanted: float) -> None:
    """The ledger is a moment behind."""
    end = time.monotonic() + 10
    while manage(gateway, f"{PATH}/{id}")["spend"] != pytest.approx(wanted):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_keys_share_a_budget(gateway: Gateway) -> None:
    id, keys = made(gateway, max_budget=0.03, budget_duration="1mo")
    assert [ask(gateway, keys[n % 2])[0] for n in range(5)] == [200, 200, 200, 422, 422]
    assert f"the workspace '{id}'" in ask(gateway, keys[0])[1]["error"]["message"]
    spent(gateway, id, 0.03)
    late = manage(gateway, "/key/generate", {"workspace_id": id})["key"]
    assert ask(gateway, late)[0] == 422
    # Another period is another count, which begins with what the ledger has.
    manage(gateway, f"{PATH}/{id}", {"max_budget": 0.04, "budget_duration": "1d"}, method="PATCH")
    assert [ask(gateway, keys[n % 2])[0] for n in range(2)] == [200, 422]
    # What was spent stays the workspace's when its keys are gone.
    manage(gateway, "/key/delete", {"keys": [*keys, late]})
    spent(gateway, id, 0.04)


def test_rates(gateway: Gateway) -> None:
    _, keys = made(gateway, rpm=3)
    assert [ask(gateway, keys[n % 2])[0] for n in range(5)] == [200, 200, 200, 429, 429]
    _, keys = made(gateway, tpm=100)
    assert ask(gateway, keys[0], max_tokens=1000)[0] == 429
    assert ask(gateway, keys[1], max_tokens=1)[0] == 200


def test_calls_in_flight(gateway: Gateway, provider: Upstream) -> None:
    provider.always(Script(delay=0.5))
    _, keys = made(gateway, max_parallel_requests=2)
    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(lambda n: ask(gateway, keys[n % 2])[0], range(6))) == [200] * 2 + [429] * 4


def test_models(gateway: Gateway) -> None:
    id, keys = made(gateway, keys=1, allowed_models=["m", "@rest"], blocked_models=[])
    found = {model: ask(gateway, keys[0], model=model)[0] for model in ("m", "other", "third")}
    assert found == {"m": 200, "other": 403, "third": 200}
    manage(gateway, f"{PATH}/{id}", {"allowed_models": None, "blocked_models": ["o*", "@rest"]}, method="PATCH")
    status, answer = ask(gateway, keys[0], model="other")
    assert (status, answer["error"]["type"]) == (403, "workspace_model_access_denied")
    assert "all but: o*" in answer["error"]["message"]
    assert ask(gateway, keys[0], model="third")[0] == 403
    assert ask(gateway, keys[0])[0] == 200
    status, _, listed = gateway.call("/v1/models", key=keys[0])
    assert [model["id"] for model in json.loads(listed)["data"]] == ["m"]


def test_a_blocked_workspace(gateway: Gateway) -> None:
    id, keys = made(gateway)
    for blocked, wanted in ((True, 403), (False, 200)):
        manage(gateway, f"{PATH}/{id}", {"blocked": blocked}, method="PATCH")
        end = time.monotonic() + 5
        while {ask(gateway, keys[n % 2])[0] for n in range(4)} != {wanted}:
            assert time.monotonic() < end


def test_nobody_counts_for_a_workspace_by_a_tag(gateway: Gateway) -> None:
    id, _ = made(gateway)
    key = manage(gateway, "/key/generate", {})["key"]
    tag = f"routeiq:workspace:{id}"
    assert ask(gateway, key, metadata={"tags": [tag]})[0] == 400
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    assert gateway.call("/v1/chat/completions", body, key=key, headers={"x-litellm-tags": tag})[0] == 400
