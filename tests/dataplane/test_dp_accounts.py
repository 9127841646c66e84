"""What is written down of a request: the Event, the metrics, the cost, to the nano-dollar and everywhere the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routeiq.core.money import Prices, dollars
from routeiq.core.usage import Usage
from support.gateway import deployment
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
Serve = Callable[[dict[str, Any]], Worker]
PRICES = {
    "input_cost_per_token": 1.5e-7,
    "output_cost_per_token": 6e-7,
    "cache_read_input_token_cost": 3.75e-8,
    "output_cost_per_reasoning_token": 1.2345e-6,
    "input_cost_per_request": 1e-9,
}
PICO = Prices(input=150_000, output=600_000, cache_read=37_500, reasoning=1_234_500, request=1000)


def answer(usage: dict[str, Any]) -> bytes:
    import json

    return json.dumps({"model": "m", "choices": [], "usage": usage}).encode()


def usage(prompt: int, completion: int, cached: int, reasoning: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.fixture
def priced(running: Worker, upstream: Upstream) -> Worker:
    config = {"model_list": [deployment(upstream, "m", **PRICES), deployment(upstream, "unpriced", "nobody-knows-it")]}
    if running.config != config:
        running.serve(config)
    running.forget()
    return running


@given(st.integers(0, 200_000), st.integers(0, 50_000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_cost_everywhere(
    priced: Worker, upstream: Upstream, prompt: int, completion: int, cached: float, reasoning: float
) -> None:
    read, thought = int(prompt * cached), int(completion * reasoning)
    expected = PICO.cost(Usage(prompt, completion, read, 0, thought))
    exact = (
        Decimal("0.00000015") * (prompt - read)
        + Decimal("0.0000000375") * read
        + Decimal("0.0000006") * (completion - thought)
        + Decimal("0.0000012345") * thought
        + Decimal("0.000000001")
    )
    assert abs(Decimal(expected) - exact * 10**9) <= Decimal("0.5")
    priced.forget()
    upstream.script(Script(body=answer(usage(prompt, completion, read, thought))))
    status, headers, _ = priced.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
    assert status == 200
    [event] = priced.wait_events(1)
    assert event["cost"] == expected
    assert Decimal(headers["x-litellm-response-cost"]) == Decimal(dollars(expected))
    assert event.get("cached_tokens", 0) == read
    assert event.get("reasoning_tokens", 0) == thought


def test_the_spend_of_a_key_is_the_sum(priced: Worker, upstream: Upstream) -> None:
    body = {"model": "m", "messages": MESSAGES}
    first = Decimal(priced.call("/v1/chat/completions", body)[1]["x-litellm-key-spend"])
    for stream in (False, True, False):
        status, headers, _ = priced.call("/v1/chat/completions", {**body, "stream": stream})
        assert status == 200
    last = Decimal(headers["x-litellm-key-spend"])
    costs = [event["cost"] for event in priced.wait_events(4)]
    assert last - first == Decimal(sum(costs[1:])) / 10**9


def test_unpriced(priced: Worker, upstream: Upstream) -> None:
    status, headers, _ = priced.call("/v1/chat/completions", {"model": "unpriced", "messages": MESSAGES})
    assert status == 200
    assert "x-litellm-response-cost" not in headers
    [event] = priced.wait_events(1)
    assert event.get("cost") is None
    assert event["prompt_tokens"] == 3
    priced.wait_moved('routeiq_unpriced_requests_total{model="unpriced"}', 1)


def test_metrics(priced: Worker, upstream: Upstream) -> None:
    time.sleep(1.1)
    priced.forget()
    body = {"model": "m", "messages": MESSAGES}
    upstream.always(Script(delay=0.03))
    costs = 0
    for stream in (False, True, True):
        assert priced.call("/v1/chat/completions", {**body, "stream": stream})[0] == 200
    upstream.script(Script(status=400))
    assert priced.call("/v1/chat/completions", body)[0] == 400
    assert priced.call("/v1/chat/completions", {"model": "nope", "messages": MESSAGES})[0] == 404
    assert priced.call("/v1/chat/completions", body, key="sk-wrong")[0] == 401
    costs = sum(event.get("cost") or 0 for event in priced.wait_events(5))
    assert costs > 0
    moved = priced.wait_moved('routeiq_requests_total{endpoint="chat",model="m",status="200"}', 3)
    expected = {
        'routeiq_requests_total{endpoint="chat",model="m",status="400"}': 1,
        'routeiq_requests_total{endpoint="chat",model="",status="404"}': 1,
        'routeiq_requests_total{endpoint="chat",model="",status="401"}': 1,
        'routeiq_errors_total{model="m",kind="upstream"}': 1,
        'routeiq_errors_total{model="",kind="unknown_model"}': 1,
        'routeiq_errors_total{model="",kind="unauthorized"}': 1,
        'routeiq_refused_total{kind="unknown_model"}': 1,
        'routeiq_refused_total{kind="unauthorized"}': 1,
        'routeiq_tokens_total{model="m",direction="input"}': 9,
        'routeiq_tokens_total{model="m",direction="output"}': 24,
        'routeiq_cost_dollars_total{model="m"}': costs,
    }
    assert {name: moved.get(name) for name in expected} == expected
    for family, labels, count in (
        ("routeiq_request_duration_seconds", 'model="m"', 4),
        ("routeiq_time_to_first_byte_seconds", 'model="m"', 3),
        ("routeiq_overhead_seconds", 'endpoint="chat"', 6),
    ):
        buckets = [value for name, value in moved.items() if name.startswith(f"{family}_bucket{{{labels},")]
        assert sum(buckets) == count, family
        assert moved[f"{family}_sum{{{labels}}}"] > 0
    assert 0.09e6 < moved['routeiq_time_to_first_byte_seconds_sum{model="m"}'] < 0.6e6
    ok = [value for name, value in moved.items() if "deployment_attempts" in name and 'outcome="ok"' in name]
    failed = [value for name, value in moved.items() if "deployment_attempts" in name and 'outcome="upstream"' in name]
    assert (ok, failed) == ([3], [1])


def test_events(priced: Worker, upstream: Upstream) -> None:
    upstream.script(Script(delay=0.1, delay_body=0.1))
    before = time.time_ns() // 1000
    status, headers, _ = priced.call(
        "/v1/chat/completions",
        {"model": "m", "messages": MESSAGES, "stream": True, "user": "end-user"},
        headers={"x-request-id": "abc"},
    )
    after = time.time_ns() // 1000
    assert status == 200
    [event] = priced.wait_events(1)
    assert before <= event["at"] <= after
    assert 200_000 <= event["duration"] <= after - before
    assert 100_000 <= event["ttft"] <= 190_000
    assert 0 < event["overhead"] < 50_000
    expected = {
        "id": headers["x-litellm-call-id"],
        "request_id": "abc",
        "endpoint": "chat",
        "key_name": "master",
        "model": "m",
        "group": "m",
        "deployment": headers["x-litellm-model-id"],
        "provider": "openai",
        "upstream_model": "m",
        "strategy": "simple-shuffle",
        "stream": True,
        "prompt_tokens": 3,
        "completion_tokens": 8,
        "user": "end-user",
        "revision": headers["x-routeiq-revision"],
        "worker": 1,
    }
    assert {name: event.get(name) for name in expected} == expected
    assert event.get("status", 200) == 200
    assert "one two three" not in str(event)


def test_ids_are_unique(priced: Worker) -> None:
    body = {"model": "m", "messages": MESSAGES}
    ids = {priced.call("/v1/chat/completions", body)[1]["x-litellm-call-id"] for _ in range(50)}
    assert len(ids) == 50


def test_odd_texts_in_an_event(priced: Worker) -> None:
    """What a client says of itself can't break a line of the journal, or a metric."""
    for text in ('quote " and \\', "new\nline", "\u2028\u2029", "\x00\x1f", "\U0001f600", "x" * 5000):
        assert priced.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES, "user": text})[0] == 200
        assert priced.call("/v1/chat/completions", {"model": text, "messages": MESSAGES})[0] == 404
    events = priced.wait_events(12)
    assert events[0]["user"] == 'quote " and \\'
    assert events[2]["user"] == "new\nline"
    assert events[3]["model"] == "new\nline"
    assert not [name for name in priced.cells() if "quote" in name]


def test_what_few_requests_use_is_counted_and_billed(running: Worker, upstream: Upstream) -> None:
    prices = {
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
        "input_cost_per_audio_token": 1e-5,
        "input_cost_per_token_above_128k_tokens": 3e-6,
        "output_cost_per_token_priority": 5e-6,
    }
    computed = deployment(upstream, "by-the-second", input_cost_per_second=0.5)
    running.serve({"model_list": [deployment(upstream, "m", **prices), computed]})
    running.forget()
    used = usage(1000, 10, 0, 0)
    used["prompt_tokens_details"]["audio_tokens"] = 100
    upstream.script(Script(body=answer(used)))
    upstream.script(Script(body=answer(usage(128_001, 10, 0, 0))))
    for _ in range(2):
        assert running.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES})[0] == 200
    upstream.script(Script(body=answer(usage(5, 5, 0, 0)), delay=0.1))
    assert running.call("/v1/chat/completions", {"model": "by-the-second", "messages": MESSAGES})[0] == 200
    audio, long, timed = running.wait_events(3)
    assert (audio["audio_in_tokens"], audio["cost"]) == (100, 900 * 1000 + 100 * 10_000 + 10 * 2000)
    assert long["cost"] == 128_001 * 3000 + 10 * 2000
    assert 0.1 <= timed["seconds"] < 10
    assert timed["cost"] == round(round(timed["seconds"] * 10**6) * 500)
