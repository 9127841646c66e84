"""What several strategies do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from routeiq.routing.costs import expected
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking


class Unlearning:
    """Base of strategies that learn nothing while they serve."""

    learns = False

    def update(self, feedback: Feedback) -> None:
        """Nothing to learn."""


def costs_of(candidates: Sequence[Candidate], query: Query) -> list[float]:
    """What each will probably cost, US dollars."""
    return [expected(candidate, query) for candidate in candidates]


def ranked(scores: Sequence[float], query: Query, candidates: Sequence[Candidate], reason: str) -> Ranking:
    """Higher scores first; equal ones in the order of the configuration."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    return Ranking(order=order, scores=list(scores), cost=costs_of(candidates, query), reason=reason)


def by_cost(candidates: Sequence[Candidate], query: Query) -> list[int]:
    """Cheapest first, without a price last."""
    costs = costs_of(candidates, query)
    return sorted(range(len(candidates)), key=lambda place: _or_inf(costs[place]))


def fitting(candidates: Sequence[Candidate], patterns: Iterable[str]) -> list[int]:
    """Places of the candidates that fit a pattern, in the order of the patterns.

    A pattern is a name, or has `*`; one without also fits as a part of a name, where no whole name does.
    """
    found: dict[int, None] = {}
    for pattern in patterns:
        wanted = pattern.lower()
        whole = _places(candidates, lambda name, wanted=wanted: fnmatchcase(name, wanted))  # type: ignore[misc]
        part = "*" not in wanted and not whole
        places = _places(candidates, lambda name, wanted=wanted: wanted in name) if part else whole  # type: ignore[misc]
        found.update(dict.fromkeys(places))
    return list(found)


def first_then_rest(first: Sequence[int], count: int) -> list[int]:
    """These places, and the others after them in the order of the configuration."""
    return [*first, *(place for place in range(count) if place not in first)]


def _places(candidates: Sequence[Candidate], fits: Callable[[str], bool]) -> list[int]:
    return [
        place for place, candidate in enumerate(candidates) if any(fits(name.lower()) for name in candidate.names())
    ]


def _or_inf(value: float) -> float:
    return math.inf if math.isnan(value) else value
