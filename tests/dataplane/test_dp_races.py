"""Limits under races: many requests at once, over one worker, several, and two machines that share a Redis."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, MESSAGES
from support.raw import request
from support.upstream import Script, Upstream
from support.valkey import ValkeyServer

KEY = "sk-race-0123456789abcdef"


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def config_of(provider: Upstream, key: dict[str, Any], **own: Any) -> dict[str, Any]:
    keys = [{"name": "racer", "key": KEY, **key}]
    return {"model_list": [deployment(provider, "m", **CENT)], "routeiq": {"keys": keys, **own}}


def at_once(gateways: list[Gateway], count: int) -> Counter[int]:
    """Statuses of `count` requests that are sent at the same time, in turn to each gateway."""
    body = request(body={"model": "m", "messages": MESSAGES}, key=KEY)
    clients = [gateways[number % len(gateways)].raw(30) for number in range(count)]
    for client in clients:
        client.send(body)
    found = Counter(client.response().status for client in clients)
    for client in clients:
        client.close()
    return found


def one(gateway: Gateway) -> tuple[int, dict[str, str], Any]:
    status, headers, body = gateway.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES}, key=KEY)
    return status, headers, json.loads(body)


def settled(check: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_budget_for_ten_admits_ten(provider: Upstream, workers: int) -> None:
    provider.reset()
    provider.always(Script(delay=0.2))
    with Gateway(config_of(provider, {"max_budget": 0.1}), workers=workers) as gateway:
        assert at_once([gateway], 200) == {200: 10, 422: 190}
        assert at_once([gateway], 20) == {422: 20}
        spent = sum(event["cost"] or 0 for event in gateway.wait_events(220))
        assert spent == 100_000_000


@pytest.mark.parametrize("workers", [1, 4])
def test_a_rate_is_never_exceeded_and_always_reached(provider: Upstream, workers: int) -> None:
    provider.reset()
    with Gateway(config_of(provider, {"rpm": 50}), workers=workers) as gateway:
        found = Counter[int]()
        for _ in range(3):
            found += at_once([gateway], 60)
        assert found == {200: 50, 429: 130}


def test_calls_in_flight_over_four_workers(provider: Upstream) -> None:
    provider.reset()
    provider.always(Script(delay=0.5))
    with Gateway(config_of(provider, {"max_parallel_requests": 7}), workers=4) as gateway:
        assert at_once([gateway], 100) == {200: 7, 429: 93}
        assert at_once([gateway], 7) == {200: 7}


def redis_up(gateway: Gateway) -> bool:
    status, _, body = gateway.get("/metrics")
    return status == 200 and b"\nrouteiq_redis_up 1\n" in body


@pytest.fixture
def machines(provider: Upstream, valkey: ValkeyServer) -> Iterator[Any]:
    with ExitStack() as stack:

        def start(key: dict[str, Any], **shared: Any) -> list[Gateway]:
            provider.reset()
            with valkey.client() as client:
                client.flushall()
            config = config_of(provider, key, shared={"redis_url": valkey.url, **shared})
            both = [stack.enter_context(Gateway(config, workers=2)) for _ in range(2)]
            if not shared.get("strict"):
                settled(lambda: all(redis_up(gateway) for gateway in both), 20)
            return both

        yield start


def test_a_budget_for_ten_over_two_machines(machines: Any, provider: Upstream) -> None:
    both = machines({"max_budget": 0.1}, strict=True)
    provider.always(Script(delay=0.2))
    assert at_once(both, 200) == {200: 10, 422: 190}
    assert at_once(both, 10) == {422: 10}


def test_a_rate_and_calls_in_flight_over_two_machines(machines: Any, provider: Upstream) -> None:
    both = machines({"rpm": 30, "max_parallel_requests": 20}, strict=True)
    provider.always(Script(delay=0.5))
    assert at_once(both, 60) == {200: 20, 429: 40}
    assert at_once(both, 60) == {200: 10, 429: 50}
    status, headers, body = one(both[0])
    assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(headers["retry-after"]) <= 65


def test_machines_learn_of_each_other_in_rounds(machines: Any) -> None:
    first, second = machines({"max_budget": 0.1, "rpm": 1000}, interval=0.05)
    assert [one(first)[0] for _ in range(6)] == [200] * 6
    time.sleep(1.5)
    assert [one(second)[0] for _ in range(6)] == [200] * 4 + [422] * 2
    time.sleep(0.5)
    assert one(first)[0] == 422


def test_without_redis_each_machine_goes_on_and_then_tells_all(machines: Any, valkey: ValkeyServer) -> None:
    first, second = machines({"max_budget": 0.1}, interval=0.05)
    assert one(first)[0] == 200
    valkey.stop()
    try:
        settled(lambda: not redis_up(first))
        assert [one(first)[0] for _ in range(5)] == [200] * 5
    finally:
        valkey.start()
    settled(lambda: redis_up(first))
    assert one(first)[0] == 200
    time.sleep(1.5)
    assert [one(second)[0] for _ in range(5)] == [200] * 3 + [422] * 2


@pytest.mark.parametrize("strict", [False, True])
def test_without_redis_requests_are_refused_where_asked_so(machines: Any, valkey: ValkeyServer, strict: bool) -> None:
    gateway, _ = machines({"rpm": 1000}, strict=strict, when_lost="refuse")
    settled(lambda: one(gateway)[0] == 200)
    valkey.stop()
    try:
        settled(lambda: one(gateway)[0] == 503)
        assert one(gateway)[2]["error"]["code"] == "limits_unavailable"
        status, _, _ = gateway.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
        assert status == 200  # the master key has no limits
    finally:
        valkey.start()
    settled(lambda: one(gateway)[0] == 200)


def test_strict_without_redis_goes_on_by_what_is_counted_here(machines: Any, valkey: ValkeyServer) -> None:
    gateway, _ = machines({"max_budget": 0.05}, strict=True)
    assert one(gateway)[0] == 200
    valkey.stop()
    try:
        assert [one(gateway)[0] for _ in range(6)] == [200] * 4 + [422] * 2
    finally:
        valkey.start()
