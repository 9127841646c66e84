"""Balancing strategies under LiteLLM's names: each orders or draws from the deployments that can serve now."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from routeiq.routing.target import Target

Pick = Callable[[Sequence[Target], int], Target]
"""From one or more available deployments and the Unix bucket number of now, the one to try first."""

LATENCY_SLACK = 0.1
"""Deployments within this share of the fastest are drawn from at random, so that one does not take everything."""


class RoundRobin:
    """One after the other."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        self._next += 1
        return targets[self._next % len(targets)]


class SimpleShuffle:
    """Weighted draw: by `weight`, else `rpm`, else `tpm`, else evenly."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        total = 0.0
        for target in targets:
            total += target.weight
        draw = self._random() * total
        for target in targets:
            draw -= target.weight
            if draw < 0:
                return target
        return targets[-1]


class LeastBusy:
    """The fewest calls in flight; ties at random."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        return min(targets, key=lambda target: (target.health.in_flight, self._random()))


class LatencyBased:
    """The lowest recent time to first byte; deployments without observations are tried first."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        fastest = min(target.health.latency for target in targets)
        close = [target for target in targets if target.health.latency <= fastest * (1 + LATENCY_SLACK)]
        return self._rng.choice(close)


class CostBased:
    """The lowest price of input plus output; unpriced deployments last, ties at random."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        def price(target: Target) -> tuple[int, int, float]:
            prices = target.spec.prices
            return (1, 0, self._random()) if prices is None else (0, prices.input + prices.output, self._random())

        return min(targets, key=price)


class UsageBased:
    """The smallest share of its `tpm` used in the last minute, then of its `rpm`; without limits the fewest tokens."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random

    def __call__(self, targets: Sequence[Target], tick: int) -> Target:
        def load(target: Target) -> tuple[float, float, float]:
            tokens = target.tpm.used(tick) if target.tpm is not None else target.health.tokens
            requests = target.rpm.used(tick) if target.rpm is not None else target.health.in_flight
            return (tokens / (target.spec.tpm or 1), requests / (target.spec.rpm or 1), self._random())

        return min(targets, key=load)


def strategy(name: str, rng: random.Random) -> Pick:
    """The strategy of that name. Raises `KeyError` for an unknown one (configuration has checked it)."""
    if name == "round-robin":
        return RoundRobin()
    kinds: dict[str, Callable[[random.Random], Pick]] = {
        "simple-shuffle": SimpleShuffle,
        "least-busy": LeastBusy,
        "latency-based-routing": LatencyBased,
        "cost-based-routing": CostBased,
        "usage-based-routing-v2": UsageBased,
        "usage-based-routing": UsageBased,
    }
    return kinds[name](rng)
