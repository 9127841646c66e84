"""Retries, fallbacks, cooldowns, circuits, budgets, strategies and hedges."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from support.answers import error
from support.gateway import deployment
from support.raw import request
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
Serve = Callable[[dict[str, Any]], Worker]
FAST = {"backoff_base": 0.01, "backoff_max": 0.05}
_number = itertools.count()


def names(count: int) -> list[str]:
    """Models nobody has used: what a worker learned of a deployment outlives a reload."""
    return [f"m{next(_number)}" for _ in range(count)]


def group(upstream: Upstream, models: list[str], name: str = "g", **each: list[Any]) -> list[dict[str, Any]]:
    """Deployments of one group; keyword lists give the n-th its parameter."""
    out = []
    for n, model in enumerate(models):
        params = {key: values[n] for key, values in each.items() if values[n] is not None}
        out.append(deployment(upstream, name, model, **params))
    return out


def config(models: list[dict[str, Any]], resilience: dict[str, Any] | None = None, **router: Any) -> dict[str, Any]:
    return {
        "model_list": models,
        "router_settings": router,
        "routeiq": {"resilience": {**FAST, **(resilience or {})}, "timeouts": {"first_byte": 2}},
    }


def ask(worker: Worker, model: str = "g", **changes: Any) -> tuple[int, dict[str, str], bytes]:
    return worker.call("/v1/chat/completions", {"model": model, "messages": MESSAGES, **changes})


def sent(upstream: Upstream) -> list[str]:
    return [item.model for item in upstream.requests]


def many(worker: Worker, count: int, model: str = "g") -> list[int]:
    """So many requests at once; their statuses."""
    body = request(body={"model": model, "messages": MESSAGES}, key=worker.key)
    clients = [worker.raw(20) for _ in range(count)]
    for client in clients:
        client.send(body)
    out = [client.response().status for client in clients]
    for client in clients:
        client.close()
    return out


# --- retries


def test_a_retry_goes_elsewhere_and_at_once(serve: Serve, upstream: Upstream) -> None:
    a, b, c = names(3)
    worker = serve(config(group(upstream, [a, b, c]), num_retries=2, routing_strategy="round-robin"))
    for name in (a, b, c):
        upstream.script(Script(status=500), model=name)
    start = time.monotonic()
    status, _, body = ask(worker)
    assert status == 500
    assert json.loads(body)["error"]["retries"] == 2
    assert sorted(sent(upstream)) == [a, b, c]
    assert time.monotonic() - start < 0.3
    [event] = worker.wait_events(1)
    assert (event["retries"], event["status"], event["error"]) == (2, 500, "upstream")
    assert ask(worker)[0] == 200


def test_retries_end_with_the_first_success(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config([deployment(upstream, a)], num_retries=5))
    upstream.script(Script(status=503), Script(cut="rst", after=-1), Script(body=b""))
    status, headers, _ = ask(worker, a)
    assert status == 200
    assert headers["x-litellm-attempted-retries"] in ("2", "3")  # a reset on a kept connection is sent again anyway
    worker.wait_moved(f'routeiq_retries_total{{model="{a}"}}', int(headers["x-litellm-attempted-retries"]))


def test_alone_a_retry_backs_off(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), {"backoff_base": 0.2, "backoff_max": 0.25}, num_retries=3))
    upstream.always(Script(status=500))
    ask(worker)
    times = [item.at for item in upstream.requests]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert len(waits) == 3
    assert 0.09 < waits[0] < 0.3
    assert all(0.11 < wait < 0.4 for wait in waits[1:])


@pytest.mark.parametrize("date", [False, True])
def test_the_provider_says_when(serve: Serve, upstream: Upstream, date: bool) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=1))
    value = formatdate(time.time() + 2, usegmt=True) if date else "0.6"
    upstream.script(Script(status=429, headers=[("Retry-After", value)]))
    assert ask(worker)[0] == 200
    wait = upstream.requests[1].at - upstream.requests[0].at
    assert 0.55 < wait < 2.3


def test_a_wait_that_is_too_long_is_not_waited_for(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=3))
    upstream.script(Script(status=429, headers=[("Retry-After", "61")]))
    status, headers, _ = ask(worker)
    assert (status, headers["retry-after"], len(upstream.requests)) == (429, "61", 1)


def test_the_shortest_wait(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), num_retries=1, retry_after=0.3))
    for name in (a, b):
        upstream.script(Script(status=500), model=name)
    ask(worker)
    assert 0.28 < upstream.requests[1].at - upstream.requests[0].at < 0.6


POLICIES = {
    "RateLimitErrorRetries": (429, 3),
    "InternalServerErrorRetries": (500, 1),
    "ServiceUnavailableErrorRetries": (503, 0),
    "TimeoutErrorRetries": (504, 2),
    "AuthenticationErrorRetries": (401, 2),
    "NotFoundErrorRetries": (404, 1),
    "BadRequestErrorRetries": (400, 2),
}


@pytest.mark.parametrize("name", POLICIES)
def test_retry_policy(serve: Serve, upstream: Upstream, name: str) -> None:
    [a] = names(1)
    status, count = POLICIES[name]
    worker = serve(config(group(upstream, [a]), num_retries=4, retry_policy={name: count}))
    upstream.always(Script(status=status))
    assert ask(worker)[0] == status
    assert len(upstream.requests) == count + 1


def test_retries_of_a_deployment(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a], max_retries=[0]), num_retries=4))
    upstream.always(Script(status=500))
    ask(worker)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_not_tried_again(serve: Serve, upstream: Upstream, status: int) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=4))
    upstream.always(Script(status=status))
    assert ask(worker)[0] == status
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_another_deployment_may_do(serve: Serve, upstream: Upstream, status: int) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), num_retries=1))
    upstream.script(Script(status=status), model=a)
    assert ask(worker)[0] == 200
    assert sent(upstream) == [a, b]


def test_nothing_is_tried_again_once_the_client_has_a_byte(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), num_retries=3))
    upstream.script(Script(cut="rst", after=2))
    ask(worker, stream=True)
    assert len(upstream.requests) == 1


def test_the_retry_budget_in_a_burst(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=3))
    upstream.always(Script(status=500, delay=0.05))
    assert set(many(worker, 200)) == {500}
    # A fifth of what is in flight, and `retry_budget_min` for each of the rounds.
    assert 200 < len(upstream.requests) <= 200 * 1.2 + 3 * 3


def test_the_retry_budget_under_steady_load(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), {"breaker_failures": 0}, num_retries=3, disable_cooldowns=True))
    upstream.always(Script(status=500, delay=0.01))
    clients = [worker.raw(20) for _ in range(50)]
    body = request(body={"model": "g", "messages": MESSAGES}, key=worker.key)
    asked = 0

    def one(number: int) -> None:
        nonlocal asked
        for _ in range(12):
            clients[number].send(body)
            assert clients[number].response().status == 500
            asked += 1

    threads = [threading.Thread(target=one, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for client in clients:
        client.close()
    assert asked == 600
    assert len(upstream.requests) <= 600 * 1.25 + 3


# --- fallbacks


def test_fallbacks_in_order(serve: Serve, upstream: Upstream) -> None:
    a, b, c, d = names(4)
    models = [deployment(upstream, name) for name in (a, b, c, d)]
    worker = serve(config(models, num_retries=0, fallbacks=[{a: [b, c]}], default_fallbacks=[d]))
    for name in (a, b, c):
        upstream.always(Script(status=500), model=name)
    status, headers, body = ask(worker, a)
    assert status == 200
    assert json.loads(body)["model"] == d
    assert headers["x-litellm-attempted-fallbacks"] == "3"
    assert sent(upstream) == [a, b, c, d]
    [event] = worker.wait_events(1)
    assert (event["model"], event["group"], event["fallbacks"], event["upstream_model"]) == (a, d, 3, d)
    upstream.always(Script(status=503), model=d)
    status, headers, body = ask(worker, a)
    assert status in (500, 503)
    assert json.loads(body)["error"]["provider"] == "openai"


def test_max_fallbacks(serve: Serve, upstream: Upstream) -> None:
    chain = names(6)
    models = [deployment(upstream, name) for name in chain]
    worker = serve(config(models, num_retries=0, fallbacks=[{chain[0]: chain[1:]}], max_fallbacks=2))
    upstream.always(Script(status=500))
    assert ask(worker, chain[0])[0] == 500
    assert sent(upstream) == chain[:3]


TOO_LONG = error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")
POLICY = error("Your request was rejected by our safety system.", code="content_policy_violation")


@pytest.mark.parametrize(
    ("kind", "body"), [("context_window_fallbacks", TOO_LONG), ("content_policy_fallbacks", POLICY)]
)
def test_special_fallbacks(serve: Serve, upstream: Upstream, kind: str, body: bytes) -> None:
    a, b, c = names(3)
    models = [deployment(upstream, name) for name in (a, b, c)]
    worker = serve(config(models, num_retries=3, fallbacks=[{a: [c]}], **{kind: [{a: [b]}]}))
    upstream.script(Script(status=400, body=body), model=a)
    status, _, answer = ask(worker, a)
    assert (status, json.loads(answer)["model"]) == (200, b)
    upstream.script(Script(status=500), *[Script(status=500)] * 3, model=a)
    assert json.loads(ask(worker, a)[2])["model"] == c
    upstream.script(Script(status=400, body=body), model=c)
    status, _, answer = ask(worker, c)
    assert status == 400
    assert json.loads(answer)["error"]["code"] in ("context_length_exceeded", "content_policy_violation")


def test_fallbacks_do_not_go_round(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    models = [deployment(upstream, name) for name in (a, b)]
    loops = [{a: [b]}, {b: [a]}]
    worker = serve(config(models, num_retries=0, fallbacks=loops, context_window_fallbacks=loops))
    upstream.always(Script(status=400, body=TOO_LONG))
    assert ask(worker, a)[0] == 400
    assert sent(upstream) == [a, b]
    upstream.requests.clear()
    upstream.always(Script(status=500))
    assert ask(worker, a)[0] == 500
    assert sent(upstream) == [a, b]


def test_a_group_that_can_not_serve_falls_back_without_a_call(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    models = [deployment(upstream, a, rpm=1), deployment(upstream, b)]
    worker = serve(config(models, fallbacks=[{a: [b]}]))
    assert [json.loads(ask(worker, a)[2])["model"] for _ in range(3)] == [a, b, b]


# --- holding out


def test_a_rate_limited_deployment_cools_down(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), num_retries=1, cooldown_time=0.4))
    upstream.script(Script(status=429), model=a)
    assert [ask(worker)[0] for _ in range(4)] == [200] * 4
    assert sent(upstream) == [a, b, b, b, b]
    time.sleep(0.45)
    ask(worker)
    assert sent(upstream)[-1] == a


def test_a_longer_retry_after_is_a_longer_cooldown(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), num_retries=1, cooldown_time=0.1))
    upstream.script(Script(status=429, headers=[("Retry-After", "1")]), model=a)
    ask(worker)
    time.sleep(0.3)
    ask(worker)
    assert sent(upstream) == [a, b, b]


def test_allowed_fails(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(
        config(group(upstream, [a, b], order=[1, 2]), {"breaker_failures": 0}, num_retries=1, allowed_fails=2)
    )
    upstream.always(Script(status=500), model=a)
    for _ in range(5):
        assert ask(worker)[0] == 200
    assert Counter(sent(upstream)) == {a: 3, b: 5}


def test_a_lone_deployment_is_not_held_out(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=0))
    upstream.always(Script(status=429))
    assert [ask(worker)[0] for _ in range(8)] == [429] * 8
    assert len(upstream.requests) == 8


def test_a_lone_deployment_is_held_out_where_allowed_fails_says_so(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a]), num_retries=0, allowed_fails=1, cooldown_time=30))
    upstream.always(Script(status=500))
    answers = [ask(worker) for _ in range(4)]
    assert [answer[0] for answer in answers] == [500, 500, 429, 429]
    assert json.loads(answers[2][2])["error"]["code"] == "no_deployments_available"
    assert 1 <= int(answers[2][1]["retry-after"]) <= 30
    assert len(upstream.requests) == 2


def test_the_clients_fault_counts_for_nothing(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), num_retries=1, allowed_fails=0))
    upstream.script(*[Script(status=400)] * 10, model=a)
    assert [ask(worker)[0] for _ in range(10)] == [400] * 10
    assert ask(worker)[0] == 200
    assert set(sent(upstream)) == {a}


def test_the_circuit_opens_probes_and_closes(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    resilience = {"breaker_failures": 3, "breaker_seconds": 0.5}
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), resilience, num_retries=1, disable_cooldowns=True))
    upstream.always(Script(status=500), model=a)
    for _ in range(6):
        assert ask(worker)[0] == 200
    assert Counter(sent(upstream)) == {a: 3, b: 6}
    ident = next(item["model_info"]["id"] for item in json.loads(worker.get("/v1/model/info")[2])["data"])
    gauge = f'routeiq_deployment_unavailable{{deployment="{ident}",reason="circuit_open"}}'
    worker.wait_moved(gauge, 1)
    time.sleep(0.55)
    upstream.requests.clear()
    upstream.always(Script(status=500, delay=0.2), model=a)
    assert set(many(worker, 10)) == {200}
    assert Counter(sent(upstream)) == {a: 1, b: 10}  # one probe, the others do not wait for it
    upstream.always(None, model=a)
    time.sleep(0.55)
    assert ask(worker)[0] == 200
    upstream.requests.clear()
    for _ in range(4):
        assert ask(worker)[0] == 200
    assert set(sent(upstream)) == {a}
    worker.wait_moved(gauge, 0)


def test_all_are_held_out(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), num_retries=1, cooldown_time=20))
    upstream.always(Script(status=429))
    assert ask(worker)[0] == 429
    status, headers, body = ask(worker)
    assert status == 429
    assert json.loads(body)["error"]["code"] == "no_deployments_available"
    assert 15 <= int(headers["retry-after"]) <= 20
    assert len(upstream.requests) == 2


# --- limits of deployments


def test_requests_a_minute(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], rpm=[2, 3])))
    statuses = [ask(worker)[0] for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert Counter(sent(upstream)) == {a: 2, b: 3}


def test_tokens_a_minute(serve: Serve, upstream: Upstream) -> None:
    [a] = names(1)
    worker = serve(config(group(upstream, [a], tpm=[200])))
    statuses = []
    for _ in range(30):
        statuses.append(ask(worker, max_tokens=20)[0])
        if statuses[-1] == 429:
            break
    assert statuses[-1] == 429
    # An answer used 11 tokens; what is reserved for one is more, and given back.
    assert 10 <= statuses.count(200) <= 18


def test_parallel_requests(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], max_parallel_requests=[2, 3])))
    upstream.always(Script(delay=0.2))
    assert Counter(many(worker, 8)) == {200: 5, 429: 3}
    assert Counter(sent(upstream)) == {a: 2, b: 3}
    assert Counter(many(worker, 5)) == {200: 5}


def test_order(serve: Serve, upstream: Upstream) -> None:
    a, b, c = names(3)
    worker = serve(config(group(upstream, [a, b, c], order=[2, 1, 2], rpm=[None, 3, None])))
    for _ in range(9):
        assert ask(worker)[0] == 200
    assert sent(upstream)[:3] == [b, b, b]
    assert set(sent(upstream)[3:]) <= {a, c}


# --- strategies


def spread(worker: Worker, upstream: Upstream, count: int) -> Counter[str]:
    body = request(body={"model": "g", "messages": MESSAGES}, key=worker.key)
    with worker.raw() as client:
        for _ in range(count // 10):
            client.send(body * 10)
            for _ in range(10):
                assert client.response().status == 200
    return Counter(sent(upstream))


def test_simple_shuffle_by_weight(serve: Serve, upstream: Upstream) -> None:
    a, b, c = names(3)
    worker = serve(config(group(upstream, [a, b, c], weight=[6, 3, 1])))
    got = spread(worker, upstream, 1000)
    for name, share in ((a, 0.6), (b, 0.3), (c, 0.1)):
        assert abs(got[name] - 1000 * share) < 5 * (1000 * share * (1 - share)) ** 0.5


def test_a_weight_of_nothing_is_nothing(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], weight=[0, 1])))
    assert spread(worker, upstream, 100) == {b: 100}


def test_simple_shuffle_by_rate_and_evenly(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], rpm=[90_000, 10_000])))
    assert 840 < spread(worker, upstream, 1000)[a] < 960
    upstream.requests.clear()
    c, d = names(2)
    worker = serve(config(group(upstream, [c, d])))
    assert 420 < spread(worker, upstream, 1000)[c] < 580


def test_round_robin(serve: Serve, upstream: Upstream) -> None:
    models = names(3)
    worker = serve(config(group(upstream, models), routing_strategy="round-robin"))
    assert spread(worker, upstream, 90) == dict.fromkeys(models, 30)
    assert len(set(sent(upstream)[:3])) == 3


def test_least_busy(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), routing_strategy="least-busy"))
    upstream.always(Script(delay=0.3))
    assert set(many(worker, 10)) == {200}
    assert Counter(sent(upstream)) == {a: 5, b: 5}


def test_latency_based(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), routing_strategy="latency-based-routing"))
    upstream.always(Script(delay=0.05), model=a)
    for _ in range(12):
        ask(worker)
    got = Counter(sent(upstream))
    assert got[a] <= 2
    assert got[b] >= 10


def test_cost_based(serve: Serve, upstream: Upstream) -> None:
    models = names(3)
    worker = serve(
        config(
            group(
                upstream,
                models,
                input_cost_per_token=[3e-6, 1e-6, None],
                output_cost_per_token=[1e-6, 2e-6, None],
            ),
            routing_strategy="cost-based-routing",
        )
    )
    assert spread(worker, upstream, 30) == {models[1]: 30}


def test_usage_based(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], tpm=[100_000, 300_000]), routing_strategy="usage-based-routing-v2"))
    got = spread(worker, upstream, 200)
    assert 30 < got[a] < 75


# --- hedging


def hedging(**hedge: Any) -> dict[str, Any]:
    return {"hedge": {"max_share": 1.0, **hedge}}


def test_a_hedge_wins(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    models = group(
        upstream, [a, b], "hwon", order=[1, 2], input_cost_per_token=[1e-6, 2e-6], output_cost_per_token=[0, 0]
    )
    worker = serve(config(models, hedging(after=0.1)))
    upstream.always(Script(delay=1), model=a)
    start = time.monotonic()
    status, headers, _ = ask(worker, "hwon")
    assert status == 200
    assert 0.08 < time.monotonic() - start < 0.6
    upstream.wait(lambda: upstream.requests[0].gone_at)
    assert (upstream.requests[0].gone_at or 0) - start < 0.35
    assert sent(upstream) == [a, b]
    [event] = worker.wait_events(1)
    assert event["hedged"]
    assert event["upstream_model"] == b
    assert event["cost"] == 3 * 2000
    assert float(headers["x-litellm-response-cost"]) == pytest.approx(3 * 2e-6)
    worker.wait_moved('routeiq_hedges_total{model="hwon",outcome="won"}', 1)
    worker.settled()


def test_a_hedge_loses(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    models = group(
        upstream, [a, b], "hlost", order=[1, 2], input_cost_per_token=[1e-6, 2e-6], output_cost_per_token=[0, 0]
    )
    worker = serve(config(models, hedging(after=0.1)))
    upstream.always(Script(delay=0.25), model=a)
    upstream.always(Script(delay=1), model=b)
    assert ask(worker, "hlost")[0] == 200
    assert sent(upstream) == [a, b]
    upstream.wait(lambda: upstream.requests[1].gone_at)
    [event] = worker.wait_events(1)
    assert (event["upstream_model"], event["cost"], event["hedged"]) == (a, 3000, True)
    worker.wait_moved('routeiq_hedges_total{model="hlost",outcome="lost"}', 1)


def test_a_hedged_stream(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), hedging(after=0.1)))
    upstream.always(Script(delay=1), model=a)
    assert ask(worker, stream=True)[2].endswith(b"data: [DONE]\n\n")
    assert len(worker.wait_events(1)) == 1


@pytest.mark.parametrize("first", [True, False])
def test_one_half_of_a_hedge_fails(serve: Serve, upstream: Upstream, first: bool) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), hedging(after=0.05), num_retries=0))
    upstream.always(Script(status=500, delay=0.15) if first else Script(delay=0.3), model=a)
    upstream.always(Script(delay=0.3) if first else Script(status=500), model=b)
    assert ask(worker)[0] == 200
    assert sent(upstream) == [a, b]
    [event] = worker.wait_events(1)
    assert event["upstream_model"] == (b if first else a)
    worker.settled()


def test_both_halves_of_a_hedge_fail(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b], order=[1, 2]), hedging(after=0.05), num_retries=0))
    upstream.always(Script(status=500, delay=0.15))
    assert ask(worker)[0] == 500
    assert len(worker.wait_events(1)) == 1
    worker.settled()


def test_a_client_leaves_a_hedge(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    worker = serve(config(group(upstream, [a, b]), hedging(after=0.05)))
    upstream.always(Script(delay=5))
    with worker.raw() as client:
        client.send(request(body={"model": "g", "messages": MESSAGES}, key=worker.key))
        upstream.wait_requests(2)
    upstream.wait(lambda: all(item.gone_at for item in upstream.requests), 1)
    [event] = worker.wait_events(1)
    assert event["status"] == 499
    worker.settled()


def test_the_share_of_hedges(upstream: Upstream) -> None:
    a, b = names(2)
    with Worker(config(group(upstream, [a, b]), hedging(after=0.02, max_share=0.1))) as fresh:
        upstream.always(Script(delay=0.08))
        assert set(many(fresh, 100)) == {200}
        assert 105 <= len(upstream.requests) <= 110


def test_the_price_of_a_hedge(serve: Serve, upstream: Upstream) -> None:
    a, b = names(2)
    models = group(upstream, [a, b], input_cost_per_token=[1e-3, 1e-3], output_cost_per_token=[0, 0])
    worker = serve(config(models, hedging(after=0.02, max_cost=0.001)))
    upstream.always(Script(delay=0.1))
    assert ask(worker)[0] == 200
    assert len(upstream.requests) == 1


def test_it_is_still_well_after_all_that(worker: Worker) -> None:
    assert ask(worker, "gpt-4o")[0] == 200
    worker.settled()
    assert "Traceback" not in worker.logs()
