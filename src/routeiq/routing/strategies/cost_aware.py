"""The best trade of quality for cost among those on the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import per_thousand
from routeiq.routing.strategies.common import costs_of
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State, Strategy

PICKED, OTHER = 1.0, 0.5
"""Quality of what an inner strategy that predicts none ranks first, and of what it does not."""


class CostAware:
    """`(1 - cost_weight) * quality + cost_weight * (1 - cost)`, cost between the cheapest and the dearest.

    Quality is what the inner strategy predicts; without one all are as good, and the cheapest is first.
    """

    name = "llmrouter-cost-aware"

    def __init__(self, inner: Strategy | None, weight: float, threshold: float, most: float) -> None:
        self._inner = inner
        self._weight = weight
        self._threshold = threshold
        self._most = most
        self.learns = getattr(inner, "learns", False)

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        inner = self._inner.rank(query, candidates, state) if self._inner is not None else None
        quality = self._quality(inner, len(candidates))
        cost = inner.cost if inner is not None and inner.cost else costs_of(candidates, query)
        known = [value for value in cost if not math.isnan(value)]
        low, high = min(known, default=0.0), max(known, default=0.0)
        spread = high - low or 1.0
        scores = [
            (1 - self._weight) * good + self._weight * (0.0 if math.isnan(dear) else 1 - (dear - low) / spread)
            for good, dear in zip(quality, cost, strict=True)
        ]
        best = max(quality)
        target = query.wishes.target_quality
        threshold = self._threshold if target is None else target * best

        def placed(place: int) -> tuple[bool, bool, bool, float]:
            price = per_thousand(candidates[place])
            return (
                price > self._most,
                quality[place] < threshold,
                _dominated(place, quality, cost),
                -scores[place],
            )

        return Ranking(
            order=sorted(range(len(candidates)), key=placed),
            scores=scores,
            quality=list(quality) if inner is not None else [],
            cost=cost,
            confidence=inner.confidence if inner is not None else math.nan,
            reason="the best trade of quality for cost" if inner is not None else "the cheapest",
            features=inner.features if inner is not None else {},
            memento=inner.memento if inner is not None else b"",
        )

    def update(self, feedback: Feedback) -> None:
        if self._inner is not None:
            self._inner.update(feedback)

    def _quality(self, inner: Ranking | None, count: int) -> list[float]:
        if inner is None:
            return [PICKED] * count
        if inner.quality:
            return inner.quality
        return [PICKED if place == inner.order[0] else OTHER for place in range(count)]


def _dominated(place: int, quality: Sequence[float], cost: Sequence[float]) -> bool:
    """Whether another is as good and cheaper, or better and as cheap."""
    good, dear = quality[place], cost[place]
    return any(
        (quality[other] >= good and cost[other] < dear) or (quality[other] > good and cost[other] <= dear)
        for other in range(len(quality))
    )


def build(args: Mapping[str, Any], within: Sequence[Strategy]) -> CostAware:
    """`llmrouter-cost-aware`: `strategies` (the inner one), `cost_weight` 0.7, `quality_threshold` 0.7,
    `max_cost_per_1k_tokens`."""
    given = Arguments(args)
    given.get("strategies")
    weight = given.number("cost_weight", 0.7, 0.0, 1.0)
    threshold = given.number("quality_threshold", 0.7, 0.0, 1.0)
    most = given.number("max_cost_per_1k_tokens", 1e9, 0.0)
    given.done()
    if len(within) > 1:
        raise ValueError("strategies may name one strategy only")
    return CostAware(within[0] if within else None, weight, threshold, most)
