"""Cascades: a cheap model answers, and a dearer one is asked only when that answer is not trusted.

FrugalGPT (https://arxiv.org/abs/2305.05176) and AutoMix (https://arxiv.org/abs/2310.12963): how sure an answer is comes
from the probabilities of its tokens, or from asking the model whether it is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.core.errors import GatewayError
from routeiq.routing.arguments import Arguments
from routeiq.routing.strategies.common import by_cost, costs_of
from routeiq.routing.strategy import Ask, Candidate, Feedback, Played, Query, Ranking, Said, State, Strategy

VERIFY = (
    "You check answers. Say whether the answer to the question is correct and complete. Reply with one word: "
    "Correct or Incorrect."
)
SHOWN = 8_000
"""Characters of a question and of an answer that are shown to the one who checks."""
ANSWER_TOKENS = 8
"""A word, and what some models put around it."""


class Cascade:
    """Asks up a ladder until an answer is sure enough; the last one's is taken as it is."""

    def __init__(self, name: str, inner: Strategy | None, threshold: float, rungs: int, samples: int, how: str) -> None:
        self.name = name
        self._inner = inner
        self._threshold = threshold
        self._rungs = rungs
        self._samples = samples
        self._how = how
        self.learns = getattr(inner, "learns", False)

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """The ladder: cheapest to dearest, or as the inner strategy ranks. `metadata.cascade_rung` begins higher up."""
        if self._inner is not None:
            ladder = self._inner.rank(query, candidates, state).order
        else:
            ladder = by_cost(candidates, query)
        if len(ladder) > self._rungs:
            ladder = [*ladder[: self._rungs - 1], ladder[-1]]
        rung = query.metadata.get("cascade_rung", 0)
        start = min(rung, len(ladder) - 1) if isinstance(rung, int) and rung > 0 else 0
        return Ranking(
            order=ladder[start:] + ladder[:start],
            cost=costs_of(candidates, query),
            reason=f"a ladder of {len(ladder)}" + (f", from rung {start}" if start else ""),
            features={"ladder": [candidates[place].name for place in ladder], "rung": start},
        )

    def update(self, feedback: Feedback) -> None:
        if self._inner is not None:
            self._inner.update(feedback)

    async def play(self, ask: Ask, query: Query, candidates: Sequence[Candidate], ranking: Ranking) -> Played:
        ladder = ranking.order[: len(ranking.order) - ranking.features.get("rung", 0)]
        steps: list[dict[str, Any]] = []
        trouble: GatewayError | None = None
        said: Said | None = None
        for number, place in enumerate(ladder):
            last = number == len(ladder) - 1
            try:
                said = await ask(place, logprobs=self._how == "logprobs" and not last)
            except GatewayError as error:
                trouble = error
                steps.append({"model": candidates[place].name, "failed": type(error).__name__})
                continue
            if last:
                steps.append({"model": said.model, "tokens": said.tokens})
                break
            sure = said.confidence if self._how == "logprobs" else await self._verified(ask, place, query, said)
            steps.append({"model": said.model, "tokens": said.tokens, "confidence": None if math.isnan(sure) else sure})
            if sure >= self._threshold:
                break
        if said is None:
            assert trouble is not None
            raise trouble
        return Played(said=said, steps=steps, reason=f"answered by {said.model} after {len(steps)} of {len(ladder)}")

    async def _verified(self, ask: Ask, place: int, query: Query, said: Said) -> float:
        """The share of checks, by the model that answered, that find the answer right."""
        question = f"Question:\n{query.prompt[:SHOWN]}\n\nAnswer:\n{said.text[:SHOWN]}\n\nCorrect or Incorrect?"
        right = 0
        for number in range(self._samples):
            try:
                verdict = await ask(
                    place, question, system=VERIFY, max_tokens=ANSWER_TOKENS, temperature=0.7 if number else 0.0
                )
            except GatewayError:
                return 0.0
            right += "incorrect" not in verdict.text.lower() and "correct" in verdict.text.lower()
        return right / self._samples


def cost_cascade(args: Mapping[str, Any], within: Sequence[Strategy]) -> Cascade:
    """`llmrouter-cost-cascade`: `confidence_threshold` 0.7, `max_rungs` 4, `confidence` `verify` or `logprobs`,
    `strategies` (one that makes the ladder)."""
    given = Arguments(args)
    given.get("strategies")
    threshold = given.number("confidence_threshold", 0.7, 0.0, 1.0)
    rungs = given.count("max_rungs", 4, 1)
    how = given.one_of("confidence", ("verify", "logprobs"))
    given.done()
    return Cascade("llmrouter-cost-cascade", _one(within), threshold, rungs, 1, how)


def automix(args: Mapping[str, Any], within: Sequence[Strategy]) -> Cascade:
    """`llmrouter-automix`: two rungs, the cheapest and the dearest; `alpha` 0.5 of `num_samples` 4 self-checks must
    find the answer right."""
    given = Arguments(args)
    given.get("strategies")
    alpha = given.number("alpha", 0.5, 0.0, 1.0)
    samples = given.count("num_samples", 4, 1)
    given.done()
    return Cascade("llmrouter-automix", _one(within), alpha, 2, samples, "verify")


def _one(within: Sequence[Strategy]) -> Strategy | None:
    if len(within) > 1:
        raise ValueError("strategies may name one strategy only")
    return within[0] if within else None
