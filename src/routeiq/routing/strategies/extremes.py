"""The smallest or the largest model, whatever is asked: LLMRouter's two baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import per_thousand
from routeiq.routing.strategies.common import Unlearning, ranked
from routeiq.routing.strategy import Candidate, Query, Ranking, State


class Extreme(Unlearning):
    """By billions of parameters; where those of one are not known, all by their prices."""

    def __init__(self, name: str, sign: int) -> None:
        self.name = name
        self._sign = sign

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        sizes = [candidate.size for candidate in candidates]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes):
            return ranked([self._sign * size for size in known], query, candidates, f"{self._word} by parameters")
        prices = [per_thousand(candidate) for candidate in candidates]
        worst = -1e9  # without a price it comes last either way
        scores = [self._sign * price if price == price else worst for price in prices]
        return ranked(scores, query, candidates, f"{self._word} by price, as not all sizes are known")

    @property
    def _word(self) -> str:
        return "smallest" if self._sign < 0 else "largest"


def smallest(args: Mapping[str, Any]) -> Extreme:
    """`llmrouter-smallest`."""
    Arguments(args).done()
    return Extreme("llmrouter-smallest", -1)


def largest(args: Mapping[str, Any]) -> Extreme:
    """`llmrouter-largest`."""
    Arguments(args).done()
    return Extreme("llmrouter-largest", 1)
