"""Strategies made of others: an ensemble asks all of them, a pipeline one after the other."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.strategies.common import costs_of
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State, Strategy

log = logging.getLogger("routeiq.routing")


class Ensemble:
    """The mean of the places (Borda), or of the predicted qualities less cost, over all strategies, by weight."""

    name = "routeiq-ensemble"

    def __init__(self, strategies: Sequence[Strategy], weights: Sequence[float], combine: str) -> None:
        self._strategies = strategies
        self._weights = weights
        self._combine = combine
        self.learns = any(getattr(one, "learns", False) for one in strategies)

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        rankings = [strategy.rank(query, candidates, state) for strategy in self._strategies]
        scores = [0.0] * len(candidates)
        for ranking, weight in zip(rankings, self._weights, strict=True):
            for place, votes in enumerate(self._votes(ranking, len(candidates))):
                scores[place] += weight * votes
        total = sum(self._weights)
        scores = [score / total for score in scores]
        predicted = [ranking.quality for ranking in rankings if ranking.quality]
        return Ranking(
            order=sorted(range(len(candidates)), key=lambda place: -scores[place]),
            scores=scores,
            quality=[sum(each) / len(each) for each in zip(*predicted, strict=True)],
            cost=next((ranking.cost for ranking in rankings if ranking.cost), costs_of(candidates, query)),
            confidence=_agreement(rankings),
            reason=f"{len(rankings)} strategies together: " + "; ".join(ranking.reason for ranking in rankings),
            features={one.name: made.features for one, made in zip(self._strategies, rankings, strict=True)},
            memento=next((ranking.memento for ranking in rankings if ranking.memento), b""),
        )

    def update(self, feedback: Feedback) -> None:
        for strategy in self._strategies:
            strategy.update(feedback)

    def _votes(self, ranking: Ranking, count: int) -> list[float]:
        if self._combine == "mean" and ranking.scores and all(map(math.isfinite, ranking.scores)):
            low, high = min(ranking.scores), max(ranking.scores)
            return [(score - low) / ((high - low) or 1.0) for score in ranking.scores]
        votes = [0.0] * count
        for number, place in enumerate(ranking.order):
            votes[place] = 1 - number / max(1, count - 1)
        return votes


class Pipeline:
    """The first strategy that is sure enough; the last one whatever it is. One that fails is passed over."""

    name = "routeiq-pipeline"

    def __init__(self, strategies: Sequence[Strategy], least: float) -> None:
        self._strategies = strategies
        self._least = least
        self.learns = any(getattr(one, "learns", False) for one in strategies)

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        last: Ranking | None = None
        for strategy in self._strategies:
            try:
                ranking = strategy.rank(query, candidates, state)
            except Exception:
                log.exception("the strategy %s failed", strategy.name)
                continue
            if not ranking.order:
                continue
            last = ranking
            last.reason = f"{strategy.name}: {ranking.reason}"
            if math.isnan(ranking.confidence) or ranking.confidence >= self._least:
                return last
        return last or Ranking(order=list(range(len(candidates))), reason="no strategy of the pipeline has an answer")

    def update(self, feedback: Feedback) -> None:
        for strategy in self._strategies:
            strategy.update(feedback)


def ensemble(args: Mapping[str, Any], within: Sequence[Strategy]) -> Ensemble:
    """`routeiq-ensemble`: `strategies`, `weights` (of each, 1 where not given), `combine` `borda` or `mean`."""
    given = Arguments(args)
    given.get("strategies")
    weights = given.get("weights", [1.0] * len(within))
    combine = given.one_of("combine", ("borda", "mean"))
    given.done()
    if not within:
        raise ValueError("needs strategies")
    good = isinstance(weights, list) and all(isinstance(one, (int, float)) and one >= 0 for one in weights)
    if not good or len(weights) != len(within) or not sum(weights):
        raise ValueError("weights must be a list of numbers, one for each strategy, not all 0")
    return Ensemble(within, [float(one) for one in weights], combine)


def pipeline(args: Mapping[str, Any], within: Sequence[Strategy]) -> Pipeline:
    """`routeiq-pipeline`: `strategies` in turn, `min_confidence` 0.5 for a ranking to be taken."""
    given = Arguments(args)
    given.get("strategies")
    least = given.number("min_confidence", 0.5, 0.0, 1.0)
    given.done()
    if not within:
        raise ValueError("needs strategies")
    return Pipeline(within, least)


def _agreement(rankings: Sequence[Ranking]) -> float:
    """The share of strategies that put the same candidate first."""
    firsts = [ranking.order[0] for ranking in rankings if ranking.order]
    return max((firsts.count(first) for first in firsts), default=0) / max(1, len(rankings))
