"""By how candidates are doing: requests in flight, how often they were chosen, latency, the engine's cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.strategies.common import Unlearning, ranked
from routeiq.routing.strategy import Candidate, Query, Ranking, State


class LeastBusy(Unlearning):
    """The fewest requests in flight; ties at random."""

    name = "llmrouter-least-busy"

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        scores = [-candidate.load.in_flight + state.rng.random() / 2 for candidate in candidates]
        return ranked(scores, query, candidates, "the fewest requests in flight")


class UsageBased(Unlearning):
    """The one this worker has chosen least."""

    name = "llmrouter-usage-based"

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        return ranked([-one.load.chosen for one in candidates], query, candidates, "chosen least so far")


class LatencySla(Unlearning):
    """Within the target in the configuration's order, then the others by how far they are over it.

    A candidate nobody has measured yet counts as within.
    """

    name = "llmrouter-latency-sla"

    def __init__(self, target_ms: float, quantile: float) -> None:
        self._target = target_ms / 1000
        self._quantile = quantile

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        target = query.wishes.latency or self._target
        seen = [candidate.load.latency(self._quantile) for candidate in candidates]
        over = [max(0.0, (latency or 0.0) - target) for latency in seen]
        ranking = ranked([-seconds for seconds in over], query, candidates, f"time to first byte within {target:g} s")
        ranking.features = {
            "latency": {one.name: latency for one, latency in zip(candidates, seen, strict=True)},
            "target": target,
        }
        return ranking


class KvCacheAware(Unlearning):
    """The engine with the most room: KV cache in use, and a tenth for each request in its queue.

    Candidates whose engine tells nothing come after those whose engine does.
    """

    name = "llmrouter-kv-cache-aware"

    def __init__(self, cache_weight: float, queue_weight: float) -> None:
        self._cache = cache_weight
        self._queue = queue_weight

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        scores = [self._score(candidate) for candidate in candidates]
        return ranked(scores, query, candidates, "the engine with the most room")

    def _score(self, candidate: Candidate) -> float:
        load = candidate.load
        if load.kv_cache is None and load.waiting is None:
            return -1e6 - load.in_flight
        return -(self._cache * (load.kv_cache or 0.0) + self._queue * (load.waiting or 0.0))


def least_busy(args: Mapping[str, Any]) -> LeastBusy:
    """`llmrouter-least-busy`."""
    Arguments(args).done()
    return LeastBusy()


def usage_based(args: Mapping[str, Any]) -> UsageBased:
    """`llmrouter-usage-based`."""
    Arguments(args).done()
    return UsageBased()


def latency_sla(args: Mapping[str, Any]) -> LatencySla:
    """`llmrouter-latency-sla`: `target_latency_ms` 2000, `percentile` 95."""
    given = Arguments(args)
    target = given.number("target_latency_ms", 2000.0, 1.0)
    percentile = given.number("percentile", 95.0, 1.0, 100.0)
    given.done()
    return LatencySla(target, percentile / 100)


def kv_cache_aware(args: Mapping[str, Any]) -> KvCacheAware:
    """`llmrouter-kv-cache-aware`: `kv_cache_weight` 1.0, `queue_weight` 0.1."""
    given = Arguments(args)
    cache = given.number("kv_cache_weight", 1.0, 0.0)
    queue = given.number("queue_weight", 0.1, 0.0)
    given.done()
    return KvCacheAware(cache, queue)
