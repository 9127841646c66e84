"""A deployment's health, second by second, and the strategies' draws."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.money import Prices
from routeiq.core.routing import BALANCING as STRATEGIES
from routeiq.core.snapshot import Deployment, Resilience
from routeiq.routing.balance import strategy
from routeiq.routing.target import Health, Held, Target


class Request:
    """Who pays."""

    def __init__(self, prompt: int = 10, wanted: int = 0) -> None:
        self.at = 1_000_000
        self.reserved_tokens = prompt + wanted
        self.wanted_tokens = wanted
        self.held: Held | None = None


class Budget:
    """Nano-dollars, for ever."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.spent = 0

    def take(self, cost: int, now: float) -> bool:
        if self.spent + cost > self.most:
            return False
        self.spent += cost
        return True

    def settle(self, reserved: int, cost: int, then: float) -> None:
        self.spent += cost - reserved

    def add(self, cost: int, now: float) -> None:
        self.spent += cost


class Counted:
    """A minute that never ends."""

    def __init__(self, limit: int) -> None:
        self.amount = 0
        self.limit = limit

    def take(self, amount: int, tick: int) -> bool:
        self.amount += amount
        if self.amount > self.limit:
            self.amount -= amount
            return False
        return True

    def give_back(self, amount: int, tick: int) -> None:
        self.amount -= amount

    def used(self, tick: int) -> int:
        return self.amount

    def correct(self, amount: int, then: int, tick: int) -> None:
        self.amount += amount


def target(
    name: str = "a",
    *,
    replaceable: bool = True,
    resilience: Resilience = Resilience(),  # noqa: B008 - frozen
    **spec: object,
) -> Target:
    deployment = Deployment(id=name, group="g", provider="openai", model=name, litellm_model=name, **spec)  # type: ignore[arg-type]
    return Target(deployment, Health(), resilience, replaceable)


def test_half_of_five_calls() -> None:
    """LiteLLM's rule: more than half of at least five calls in a minute."""
    one = target(resilience=Resilience(breaker_failures=0))
    for second in range(3):
        one.succeeded(0.1, float(second))
    assert not one.failed(500, 4.0)
    assert not one.failed(500, 5.0)
    assert not one.failed(500, 6.0)
    assert one.failed(500, 7.0)
    assert not one.available(11.9)
    assert one.available(12.1)


def test_failures_are_forgotten_after_a_minute() -> None:
    one = target(allowed_fails=2, resilience=Resilience(breaker_failures=0))
    assert [one.failed(500, at) for at in (0.0, 59.0, 61.0, 120.0)] == [False] * 4
    assert one.failed(500, 120.5)


@pytest.mark.parametrize("status", [401, 402, 404, 429])
def test_at_once(status: int) -> None:
    assert target().failed(status, 1.0)
    assert not target(replaceable=False).failed(status, 1.0)
    assert not target(resilience=Resilience(disable_cooldowns=True)).failed(status, 1.0)


@pytest.mark.parametrize("status", [400, 403, 409, 413, 422])
def test_the_requests_fault(status: int) -> None:
    one = target(allowed_fails=0)
    assert not any(one.failed(status, 1.0) for _ in range(20))
    assert one.available(1.0)


def test_an_end_without_a_verdict_lets_the_next_probe_in() -> None:
    one = target(resilience=Resilience(breaker_failures=1, breaker_seconds=10))
    assert one.failed(500, 0.0)
    assert not one.available(9.9)
    one.begin()
    assert not one.available(10.1)
    one.released()
    assert one.available(10.1)
    one.begin()
    assert one.failed(500, 11.0)
    assert not one.available(20.9)
    one.begin()
    one.succeeded(0.1, 21.0)
    assert one.available(21.0)


@given(st.lists(st.sampled_from([0, 200, 400, 429, 500, 503]), max_size=60), st.booleans(), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_nothing_stays_held_out_for_ever(statuses: list[int], replaceable: bool, allowed: int) -> None:
    one = target(replaceable=replaceable, allowed_fails=allowed or None)
    now = 0.0
    for status in statuses:
        now += 1.0
        if one.available(now):
            one.begin()
            if status == 200:
                one.succeeded(0.1, now)
            else:
                one.failed(status, now)
            one.health.in_flight -= 1
        if not replaceable and not allowed:
            assert one.available(now)
    assert one.available(now + 61)
    assert one.health.in_flight == 0


def test_what_an_attempt_may_cost_is_taken_from_all_budgets_or_none() -> None:
    own, provider, rpm = Budget(100), Budget(45), Counted(3)
    prices = Prices(input=1_000_000, output=2_000_000)
    spec = Deployment(id="a", group="g", provider="p", model="a", litellm_model="a", prices=prices)
    one = Target(spec, Health(), Resilience(), True, rpm=rpm, purses=(own, provider))
    cost = prices.estimate(5, 5)
    own.most, provider.most = 10 * cost, 3 * cost
    first, second = Request(5, 5), Request(5, 5)
    assert one.reserve(10, 1, first)
    assert one.reserve(10, 1, second)
    assert own.spent == provider.spent == 2 * cost
    assert one.reserve(10, 1, second), "chosen again, it gives back what it had"
    assert own.spent == 2 * cost
    third = Request(5, 5)
    assert not one.reserve(10, 1, third), "the minute is full"
    assert (third.held, own.spent) == (None, 2 * cost)
    rpm.amount = 0
    assert one.reserve(10, 1, third)
    assert not one.reserve(10, 1, Request(5, 5)), "the provider's budget is full"
    assert own.spent == provider.spent == 3 * cost
    assert first.held is not None
    first.held.settle(1)
    assert own.spent == provider.spent == 2 * cost + 1


def test_a_reservation_is_all_or_nothing() -> None:
    rpm, tpm = Counted(5), Counted(100)
    spec = Deployment(id="a", group="g", provider="p", model="a", litellm_model="a", rpm=5, tpm=100)
    one = Target(spec, Health(), Resilience(), True, rpm=rpm, tpm=tpm)
    assert one.reserve(60, 1, Request())
    assert not one.reserve(60, 1, Request())
    assert (rpm.amount, tpm.amount) == (1, 60)
    one.settle_tokens(60, 10, 1, 1)
    assert all(one.reserve(20, 1, Request()) for _ in range(4))
    assert not one.reserve(1, 1, Request())
    assert (rpm.amount, tpm.amount) == (5, 90)


@pytest.mark.parametrize("name", STRATEGIES)
@given(st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_every_strategy_picks_one_of_what_it_is_given(name: str, count: int, seed: int) -> None:
    pick = strategy(name, random.Random(seed))
    targets = [target(str(n)) for n in range(count)]
    for _ in range(10):
        assert pick(targets, 1) in targets
        targets = targets[:-1] or targets


def test_weights() -> None:
    pick = strategy("simple-shuffle", random.Random(7))
    targets = [target(str(n), weight=float(weight)) for n, weight in enumerate((0, 1, 3))]
    got = Counter(pick(targets, 1).spec.id for _ in range(4000))
    assert got["0"] == 0
    assert 2850 < got["2"] < 3150
    assert pick(targets[:1], 1) is targets[0]


def test_latency_and_cost() -> None:
    fast, slow = target("fast", prices=Prices(input=5, output=5)), target("slow", prices=Prices(input=1, output=1))
    for _ in range(20):
        fast.succeeded(0.1, 1.0)
        slow.succeeded(0.5, 1.0)
    assert {strategy("latency-based-routing", random.Random(n))([fast, slow], 1).spec.id for n in range(20)} == {"fast"}
    assert {strategy("cost-based-routing", random.Random(n))([fast, slow], 1).spec.id for n in range(20)} == {"slow"}
