"""Router-R1: a reasoning model thinks, hands questions to other models, and answers when it has what it needs.

After https://arxiv.org/abs/2506.09033: `<think>…</think>`, `<route model="NAME">question</route>`,
`<result model="NAME">…</result>`, `<answer>…</answer>`. Only candidates can be asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.providers.translate.chat import Answer, Choice, Text
from routeiq.routing.arguments import Arguments
from routeiq.routing.strategies.common import Unlearning, by_cost, costs_of
from routeiq.routing.strategy import Ask, Candidate, Played, Query, Ranking, Said, State

SYSTEM = (
    "Answer the user's request. Think first, in <think>...</think>. When another model can help, hand it one question "
    'with <route model="NAME">question</route> and stop; its answer comes back as <result model="NAME">...</result>. '
    "When you know the answer, write it in <answer>...</answer> and nothing after it. You may hand over {rounds} "
    "questions at most. Models: {models}."
)
ROUTE = re.compile(r'<route\s+model="([^"]{1,200})"\s*>(.*?)</route>', re.S)
ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.S)


class RouterR1(Unlearning):
    """The loop, bounded in rounds, tokens, characters and time."""

    name = "llmrouter-r1"

    def __init__(self, reasoner: str, rounds: int, tokens: int, sub_tokens: int, size: int, seconds: float) -> None:
        self._reasoner = reasoner
        self._rounds = rounds
        self._tokens = tokens
        self._sub_tokens = sub_tokens
        self._size = size
        self._seconds = seconds

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """The reasoner first: the one configured, else the dearest."""
        order = by_cost(candidates, query)[::-1]
        names = [candidate.name for candidate in candidates]
        if self._reasoner in names:
            place = names.index(self._reasoner)
            order.remove(place)
            order.insert(0, place)
        return Ranking(order=order, cost=costs_of(candidates, query), reason="a model reasons whom to ask")

    async def play(self, ask: Ask, query: Query, candidates: Sequence[Candidate], ranking: Ranking) -> Played:
        reasoner = ranking.order[0]
        names = {candidate.name: place for place, candidate in enumerate(candidates)}
        system = SYSTEM.format(rounds=self._rounds, models=", ".join(names))
        said = query.prompt
        steps: list[dict[str, Any]] = []
        thought: Said | None = None
        stop = "max_iterations"
        for _ in range(self._rounds + 1):
            try:
                async with asyncio.timeout(self._seconds):
                    thought = await ask(reasoner, said, system=system, max_tokens=self._tokens, temperature=0.3)
            except TimeoutError:
                stop = "timeout"
                break
            steps.append({"model": thought.model, "tokens": thought.tokens})
            done = ANSWER.search(thought.text)
            if done is not None:
                return self._played(thought, done[1].strip(), steps, "answer")
            route = ROUTE.search(thought.text)
            if route is None:
                return self._played(thought, _plain(thought.text), steps, "answer")
            result = await self._handed(ask, names, route[1], route[2], steps)
            said += f'\n\n{thought.text[: route.end()]}\n<result model="{route[1]}">\n{result}\n</result>'
            if len(said) > self._size:
                stop = "size_limit"
                break
        if thought is None:
            raise UpstreamError(f"The reasoning model did not answer within {self._seconds:g} seconds.", status=504)
        last = await ask(
            reasoner,
            f"{said[: self._size]}\n\nAnswer now, in <answer>...</answer>.",
            system=system,
            max_tokens=self._tokens,
        )
        steps.append({"model": last.model, "tokens": last.tokens})
        done = ANSWER.search(last.text)
        return self._played(last, done[1].strip() if done is not None else _plain(last.text), steps, stop)

    async def _handed(
        self, ask: Ask, names: Mapping[str, int], name: str, question: str, steps: list[dict[str, Any]]
    ) -> str:
        """What a candidate says to a question, or why it says nothing."""
        if name not in names:
            steps.append({"model": name[:100], "failed": "unknown"})
            return f"There is no such model. Choose one of: {', '.join(names)}."
        try:
            async with asyncio.timeout(self._seconds):
                found = await ask(names[name], question.strip(), max_tokens=self._sub_tokens)
        except (GatewayError, TimeoutError) as error:
            steps.append({"model": name, "failed": type(error).__name__})
            return "The model could not answer."
        steps.append({"model": found.model, "tokens": found.tokens})
        return found.text

    def _played(self, said: Said, text: str, steps: list[dict[str, Any]], stop: str) -> Played:
        answer = Answer(choices=[Choice(content=[Text(text=text)])])
        final = Said(text=text, model=said.model, tokens=said.tokens, answer=answer)
        return Played(said=final, steps=steps, reason=f"stopped by {stop} after {len(steps)} calls")


def _plain(text: str) -> str:
    """What is left of an answer without tags."""
    return re.sub(r"<think>.*?</think>|</?(?:think|answer|route|result)[^>]*>", "", text, flags=re.S).strip()


def build(args: Mapping[str, Any]) -> RouterR1:
    """`llmrouter-r1`: `model` (the reasoner), `max_iterations` 3, `max_tokens` 2000, `sub_max_tokens` 1500,
    `max_characters` 100000, `timeout` 30 (seconds of one call)."""
    given = Arguments(args)
    made = RouterR1(
        given.text("model"),
        given.count("max_iterations", 3, 1),
        given.count("max_tokens", 2000, 1),
        given.count("sub_max_tokens", 1500, 1),
        given.count("max_characters", 100_000, 1000),
        given.number("timeout", 30.0, 0.1),
    )
    given.done()
    return made
