"""Thompson sampling with Kumaraswamy's distribution in Beta's place: its quantiles need no special functions
(https://doi.org/10.1016/0022-1694(80)90036-0). What is learned is kept by kind of prompt and model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import expected
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.choice import column_of, columns_of
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State

NAME = "routeiq-kumaraswamy-thompson"
WEIGHTS = {
    "balanced": (0.5, 0.4, 0.1),
    "intelligence_first": (1.0, 0.0, 0.0),
    "cost_aware": (0.2, 0.7, 0.1),
}
"""Of quality, cost and latency in what a decision is worth."""
LENGTHS = ((64, "xs"), (512, "s"), (2048, "m"))
"""Tokens up to which a prompt is of that size; beyond it is `l`."""
DAY = 86400.0
LEAST = 0.05
"""Of a shape: no distribution is all at its ends."""
CHEAP, SLOW = 0.01, 10.0
"""US dollars and seconds at which half of the worth of cost and latency is gone."""
DRAWS = 64
"""Tries that the chance of the first is told by."""


class Thompson:
    """Args: `reward_profile`, `w_quality`, `w_cost`, `w_latency`, `decay_gamma` (a day), `cold_start_kappa`."""

    name = NAME
    learns = True

    def __init__(self, args: Mapping[str, Any], artifact: Artifact | None) -> None:
        given = Arguments(args)
        quality, cost, latency = WEIGHTS[given.one_of("reward_profile", tuple(WEIGHTS))]
        self._weights = (
            given.number("w_quality", quality, 0.0, 1.0),
            given.number("w_cost", cost, 0.0, 1.0),
            given.number("w_latency", latency, 0.0, 1.0),
        )
        self._decay = given.number("decay_gamma", 0.99, 0.5, 1.0)
        self._prior = given.number("cold_start_kappa", 5.0, 0.0, 50.0)
        given.done()
        if not sum(self._weights):
            raise ValueError("one of w_quality, w_cost and w_latency must be above 0")
        models = artifact.router.models if artifact is not None else ()
        self._columns = columns_of([model.name for model in models])
        self._models = models
        # By kind of prompt and candidate: successes, failures, and when they were counted.
        self._seen: dict[tuple[str, str], tuple[float, float, float]] = {}

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """See `Strategy`."""
        kind = kind_of(query)
        shapes = [self._shape(kind, candidate, state.now) for candidate in candidates]
        draws = [draw(a, b, state.rng.random()) for a, b in shapes]
        order = sorted(range(len(draws)), key=lambda place: -draws[place])
        wins = 1
        for _ in range(DRAWS):
            tried = [draw(a, b, state.rng.random()) for a, b in shapes]
            wins += tried[order[0]] == max(tried)
        return Ranking(
            order=order,
            scores=draws,
            cost=[expected(candidate, query) for candidate in candidates],
            confidence=mean(*shapes[order[0]]),
            propensity=wins / (DRAWS + 1),
            reason=f"drawn for prompts of size {kind}",
            features={"kind": kind},
        )

    def update(self, feedback: Feedback) -> None:
        """Learn what a decision was worth."""
        worth = self._worth(feedback)
        if worth is None:
            return
        key = (kind_of(feedback.query), feedback.candidate.name)
        right, wrong = self._faded(key, feedback.at)
        self._seen[key] = (right + worth, wrong + 1 - worth, feedback.at)

    def _worth(self, feedback: Feedback) -> float | None:
        """0 to 1, of what is known; `None` where nothing is. Who gives no answer is worth nothing."""
        if feedback.failed:
            return 0.0
        parts = (
            feedback.quality,
            None if feedback.cost is None else CHEAP / (CHEAP + max(feedback.cost, 0.0)),
            None if feedback.latency is None else SLOW / (SLOW + max(feedback.latency, 0.0)),
        )
        known = [
            (weight, part) for weight, part in zip(self._weights, parts, strict=True) if part is not None and weight
        ]
        if not known:
            return None
        worth = sum(weight * part for weight, part in known) / sum(weight for weight, _ in known)
        return min(max(worth, 0.0), 1.0)

    def _shape(self, kind: str, candidate: Candidate, now: float) -> tuple[float, float]:
        right, wrong = self._faded((kind, candidate.name), now)
        column = column_of(self._columns, candidate)
        start = 0.5 if column is None else self._models[column].quality
        return max(1 + self._prior * start + right, LEAST), max(1 + self._prior * (1 - start) + wrong, LEAST)

    def _faded(self, key: tuple[str, str], now: float) -> tuple[float, float]:
        right, wrong, at = self._seen.get(key, (0.0, 0.0, now))
        left = self._decay ** (max(now - at, 0.0) / DAY)
        return right * left, wrong * left


def kind_of(query: Query) -> str:
    """The size of a prompt."""
    tokens = query.tokens or len(query.prompt) // 4
    return next((name for most, name in LENGTHS if tokens <= most), "l")


def draw(a: float, b: float, chance: float) -> float:
    """A quantile of the Kumaraswamy distribution with the first shape and the mode of Beta(a, b)."""
    second = (1 + (a - 1) * min(((a + b - 2) / (a - 1)) ** a, 1e12)) / a if a > 1 else b
    return float((1 - (1 - chance) ** (1 / max(second, LEAST))) ** (1 / a))


def mean(a: float, b: float) -> float:
    """Of Beta(a, b)."""
    return a / (a + b) if math.isfinite(a + b) else 0.5


def build(args: Mapping[str, Any], artifact: Artifact | None) -> Thompson:
    """The strategy as configured; an artifact of any kind tells how good models are to begin with."""
    return Thompson(args, artifact)
