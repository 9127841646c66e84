"""Whom a request counts for besides its key: the gateway, providers, deployments, tags, runs of agents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, MESSAGES, chat, manage
from support.upstream import Script, Upstream


@pytest.fixture(scope="module")
def running(provider: Upstream) -> Iterator[Gateway]:
    config = {"model_list": [deployment(provider, "m", **CENT)]}
    with Gateway(config, workers=2) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway, provider: Upstream) -> Gateway:
    provider.reset()
    return running


def served(gateway: Gateway, provider: Upstream, *more: dict[str, Any], **sections: Any) -> None:
    gateway.write({"model_list": [deployment(provider, "m", **CENT), *more], **sections})
    gateway.cli("config", "reload")


def test_a_budget_of_the_whole_gateway(gateway: Gateway, provider: Upstream) -> None:
    served(gateway, provider, litellm_settings={"max_budget": 0.03, "budget_duration": "1d"})
    assert [chat(gateway)[0] for _ in range(5)] == [200] * 3 + [422] * 2
    _, headers, answer = chat(gateway)
    assert answer["error"]["message"] == (
        "Budget of the gateway has been exceeded! Current cost: 0.03, Max budget: 0.03"
    )
    assert 0 < int(headers["retry-after"]) <= 86_400
    served(gateway, provider)
    assert chat(gateway)[0] == 200


def test_requests_in_flight_of_the_whole_gateway(gateway: Gateway, provider: Upstream) -> None:
    served(gateway, provider, general_settings={"global_max_parallel_requests": 3})
    provider.always(Script(delay=0.6))
    with ThreadPoolExecutor(12) as pool:
        statuses = sorted(pool.map(lambda _: chat(gateway)[0], range(12)))
    assert statuses == [200] * 3 + [429] * 9


def test_a_provider_over_its_budget_is_left_out(gateway: Gateway, provider: Upstream) -> None:
    other = deployment(provider, "m", model="hosted_vllm/spare", **CENT)
    served(
        gateway, provider, other,
        router_settings={"provider_budget_config": {"openai": {"budget_limit": 0.02, "time_period": "1d"}}},
    )  # fmt: skip
    for _ in range(30):
        assert chat(gateway)[0] == 200
    told = [request.json["model"] for request in provider.requests]
    assert told.count("m") == 2
    assert told.count("spare") == 28


def test_a_deployment_over_its_budget_is_left_out(gateway: Gateway, provider: Upstream) -> None:
    served(gateway, provider, deployment(provider, "once", max_budget=0.01, budget_duration="30d", **CENT))
    assert chat(gateway, model="once")[0] == 200
    status, _, answer = chat(gateway, model="once")
    assert (status, answer["error"]["code"]) == (429, "no_deployments_available")


def test_tags_are_in_the_ledger_and_not_sent_on(gateway: Gateway, provider: Upstream) -> None:
    served(gateway, provider)
    metadata = {"tags": ["a", "b"], "trace": "7"}
    before = len(gateway.wait_events(0))
    chat(gateway, headers={"x-litellm-tags": "b, c"}, metadata=metadata, litellm_metadata={"tags": ["d"]})
    event = next(event for event in gateway.wait_events(before + 1) if event["request_tags"])
    assert json.loads(event["request_tags"]) == ["a", "b", "d", "c"]
    assert provider.requests[-1].json["metadata"] == {"trace": "7"}
    assert "litellm_metadata" not in provider.requests[-1].json
    status, _, answer = chat(gateway, metadata={"tags": [1]})
    assert (status, answer["error"]["param"]) == (400, "metadata.tags")


RUNS: dict[str, Any] = {"max_budget": 0.04, "max_requests": 6, "max_parallel_requests": 2, "max_repeats": 3}


@pytest.fixture
def agents(gateway: Gateway, provider: Upstream) -> Gateway:
    served(gateway, provider, deployment(provider, "free"), routeiq={"runs": RUNS})
    return gateway


def said(number: int) -> dict[str, Any]:
    return {"model": "free", "messages": [{"role": "user", "content": f"step {number}"}]}


def test_a_run_ends_after_so_many_requests(agents: Gateway) -> None:
    run = {"x-routeiq-run-id": uuid4().hex}
    assert [chat(agents, headers=run, **said(n))[0] for n in range(8)] == [200] * 6 + [403] * 2
    answer = chat(agents, headers=run, **said(9))[2]
    assert answer["error"]["code"] == "run_limit_exceeded"
    assert run["x-routeiq-run-id"] in answer["error"]["message"]
    assert chat(agents, headers={"x-routeiq-run-id": uuid4().hex}, **said(1))[0] == 200
    assert chat(agents, **said(1))[0] == 200  # of no run


def test_a_run_ends_when_it_has_spent_its_budget(agents: Gateway) -> None:
    run = {"x-litellm-trace-id": uuid4().hex}
    statuses = [chat(agents, headers=run, messages=[{"role": "user", "content": str(n)}])[0] for n in range(6)]
    assert statuses == [200] * 4 + [422] * 2


def test_a_run_that_goes_in_circles_ends(agents: Gateway) -> None:
    run = {"traceparent": f"00-{uuid4().hex}-00f067aa0ba902b7-01"}

    def step(number: int) -> int:
        """The history grows and ids differ; what is asked with last is the same."""
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        history = [{"role": "user", "content": "go"}] * number
        turn = [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": "nothing found"},
        ]
        return chat(agents, headers=run, model="free", messages=[*history, *turn])[0]

    assert [step(n) for n in range(5)] == [200] * 3 + [403] * 2


def test_what_is_nested_deeply_is_answered(gateway: Gateway, provider: Upstream) -> None:
    """Nobody waits for ever, neither at the first request of a run nor later: here for a provider that is not there."""
    away = deployment(provider, "away", api_base="http://127.0.0.1:9/v1")
    served(gateway, provider, away, routeiq={"runs": RUNS}, litellm_settings={"num_retries": 0})
    run = {"x-routeiq-run-id": uuid4().hex}
    for depth in (480, 520, 700, 950):
        body = b'{"model": "away", "messages": [{"role": "user", "content": %s}]}' % (b"[" * depth + b"]" * depth)
        for headers in (run, {"x-routeiq-run-id": uuid4().hex}):
            status, _, answer = gateway.call("/v1/chat/completions", body, headers=headers, timeout=10)
            assert status in (502, 503), depth
            assert json.loads(answer)["error"]["code"] != "internal_error", depth


def test_a_run_fans_out_only_so_far(agents: Gateway, provider: Upstream) -> None:
    provider.always(Script(delay=0.6))
    run = {"x-routeiq-run-id": uuid4().hex}
    assert chat(agents, headers=run, **said(99))[0] == 200
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda n: chat(agents, headers=run, **said(n))[0], range(4)))
    assert statuses == [200, 200, 429, 429]


def test_a_run_has_its_time(gateway: Gateway, provider: Upstream) -> None:
    served(gateway, provider, routeiq={"runs": {"max_seconds": 1.5}})
    provider.always(Script(delay=1.6))
    run = {"x-routeiq-run-id": uuid4().hex}
    assert chat(gateway, headers=run)[0] == 200
    assert chat(gateway, headers=run)[0] == 403


def test_runs_are_counted_by_key(gateway: Gateway, provider: Upstream) -> None:
    keys = [{"name": name, "key": f"sk-run-{name}-0123456789"} for name in ("one", "two")]
    served(gateway, provider, routeiq={"runs": {"max_requests": 1}, "keys": keys})
    run = {"x-routeiq-run-id": "the-same"}

    def one(key: dict[str, str]) -> int:
        body = {"model": "m", "messages": MESSAGES}
        return gateway.call("/v1/chat/completions", body, key=key["key"], headers=run)[0]

    assert [one(keys[0]), one(keys[1]), one(keys[0]), one(keys[1])] == [200, 200, 403, 403]


def test_budgets_of_providers_are_told(gateway: Gateway, provider: Upstream) -> None:
    budgets = {"openai": {"budget_limit": 5, "time_period": "30d"}}
    served(gateway, provider, router_settings={"provider_budget_config": budgets})
    before = manage(gateway, "/provider/budgets")["providers"]["openai"]
    assert (before["budget_limit"], before["time_period"]) == (5.0, "30d")
    assert before["budget_reset_at"].endswith("01T00:00:00Z")
    assert chat(gateway)[0] == 200
    after = manage(gateway, "/provider/budgets")["providers"]["openai"]
    assert after["spend"] == pytest.approx(before["spend"] + 0.01)


def test_what_is_in_flight_counts_for_a_deployment_s_budget(gateway: Gateway, provider: Upstream) -> None:
    """Three fit, however many come at once; what failed gives its share back."""
    name = f"few-{uuid4().hex[:8]}"
    served(gateway, provider, deployment(provider, name, max_budget=0.03, budget_duration="30d", **CENT))
    provider.always(Script(delay=0.5), model=name)
    with ThreadPoolExecutor(12) as pool:
        statuses = sorted(pool.map(lambda _: chat(gateway, model=name)[0], range(12)))
    assert statuses == [200] * 3 + [429] * 9
    assert chat(gateway, model=name)[0] == 429
    name = f"again-{uuid4().hex[:8]}"
    router = {"num_retries": 0, "disable_cooldowns": True}
    served(gateway, provider, deployment(provider, name, max_budget=0.01, budget_duration="30d", **CENT),
           router_settings=router)  # fmt: skip
    provider.script(Script(status=500), model=name)
    assert [chat(gateway, model=name)[0] for _ in range(3)] == [500, 200, 429]
