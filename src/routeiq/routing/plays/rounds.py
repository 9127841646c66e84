"""Multi-round routing: the request is taken apart, each part goes to a model of its own, one model puts the answers
together. After LLMRouter's `knnmultiroundrouter` and `llmmultiroundrouter` (https://github.com/ulab-uiuc/LLMRouter).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.routing.arguments import Arguments
from routeiq.routing.strategies.common import by_cost, costs_of
from routeiq.routing.strategy import Ask, Candidate, Feedback, Played, Query, Ranking, Said, State, Strategy

log = logging.getLogger("routeiq.routing")
TAKE_APART = (
    "Take the user's request apart into at most {most} questions that can be answered one by one and together answer "
    'it. Reply with JSON only: {{"questions": [{{"question": "..."{choice}}}]}}. A request that is one question stays '
    "one."
)
CHOICE = ', "model": "the best of: {models}"'
TOGETHER = "Answer the user's request with the help of these findings. Do not mention that there were findings."
SHOWN = 12_000
"""Characters of a request, and of a finding, that are shown."""


class Part(msgspec.Struct):
    """One question, and whom to ask where the model has said so."""

    question: str
    model: str = ""


class _Parts(msgspec.Struct):
    questions: list[Part]


class MultiRound:
    """`inner` routes the parts; without it the model that takes the request apart does."""

    def __init__(self, name: str, inner: Strategy | None, most: int, base: str) -> None:
        self.name = name
        self._inner = inner
        self._most = most
        self._base = base
        self.learns = getattr(inner, "learns", False)

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        if self._inner is not None:
            ranking = self._inner.rank(query, candidates, state)
        else:
            ranking = Ranking(order=by_cost(candidates, query)[::-1], cost=costs_of(candidates, query))
        ranking.reason = "the request is taken apart, and its parts are routed"
        return ranking

    def update(self, feedback: Feedback) -> None:
        if self._inner is not None:
            self._inner.update(feedback)

    async def play(self, ask: Ask, query: Query, candidates: Sequence[Candidate], ranking: Ranking) -> Played:
        names = [candidate.name for candidate in candidates]
        base = names.index(self._base) if self._base in names else ranking.order[0]
        choice = CHOICE.format(models=", ".join(names)) if self._inner is None else ""
        system = TAKE_APART.format(most=self._most, choice=choice)
        apart = await ask(base, query.prompt[:SHOWN], system=system, temperature=0.0)
        parts = _parts(apart.text)[: self._most]
        steps: list[dict[str, Any]] = [{"model": apart.model, "tokens": apart.tokens, "parts": len(parts)}]
        if len(parts) < 2:
            said = await ask(self._place(parts[0], query, candidates, ranking) if parts else ranking.order[0])
            steps.append({"model": said.model, "tokens": said.tokens})
            return Played(said=said, steps=steps, reason="the request is one question")
        findings = []
        for part in parts:
            place = self._place(part, query, candidates, ranking)
            found = await _try(ask, place, part.question, base)
            steps.append({"model": found.model, "tokens": found.tokens})
            findings.append(f"Question: {part.question}\nFinding: {found.text[:SHOWN]}")
        request = f"{query.prompt[:SHOWN]}\n\nFindings:\n\n" + "\n\n".join(findings)
        said = await ask(base, request, system=TOGETHER, max_tokens=query.max_output)
        steps.append({"model": said.model, "tokens": said.tokens})
        return Played(said=said, steps=steps, reason=f"{len(parts)} parts, put together by {said.model}")

    def _place(self, part: Part, query: Query, candidates: Sequence[Candidate], ranking: Ranking) -> int:
        """Whom to ask a part."""
        if self._inner is not None:
            own = msgspec.structs.replace(query, prompt=part.question, tokens=len(part.question) // 4, cache={})
            rng = random.Random(part.question)  # noqa: S311 - a choice, not a secret
            try:
                return self._inner.rank(own, candidates, State(now=0.0, rng=rng)).order[0]
            except Exception:
                log.exception("the strategy %s failed", self._inner.name)
                return ranking.order[0]
        names = [candidate.name for candidate in candidates]
        return names.index(part.model) if part.model in names else ranking.order[0]


async def _try(ask: Ask, place: int, question: str, other: int) -> Said:
    try:
        return await ask(place, question)
    except GatewayError:
        if place == other:
            raise
        return await ask(other, question)


def _parts(text: str) -> list[Part]:
    """The questions in a model's JSON; none where it wrote something else."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found = msgspec.json.decode(text[start : end + 1].encode(), type=_Parts).questions if start >= 0 else []
    except (msgspec.DecodeError, UnicodeEncodeError):
        return []
    return [part for part in found if part.question.strip()]


def with_strategy(args: Mapping[str, Any], within: Sequence[Strategy]) -> MultiRound:
    """`llmrouter-knn-multiround`: `strategies` (one: what routes the parts), `max_rounds` 3, `base_model`."""
    if len(within) != 1:
        raise ValueError("strategies must name one strategy, which routes the parts: [{strategy: llmrouter-knn, …}]")
    return _made("llmrouter-knn-multiround", args, within[0])


def by_model(args: Mapping[str, Any], within: Sequence[Strategy]) -> MultiRound:
    """`llmrouter-llm-multiround`: `max_rounds` 3, `base_model`, which takes apart, routes and puts together."""
    if within:
        raise ValueError("strategies is not an argument of this strategy: its model routes the parts")
    return _made("llmrouter-llm-multiround", args, None)


def _made(name: str, args: Mapping[str, Any], inner: Strategy | None) -> MultiRound:
    given = Arguments(args)
    given.get("strategies")
    most = given.count("max_rounds", 3, 1)
    base = given.text("base_model")
    given.done()
    return MultiRound(name, inner, most, base)
