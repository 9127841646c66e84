"""By rules the operator writes: tags of the request, words of the prompt, the client's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.routing.arguments import Arguments, regex
from routeiq.routing.strategies.common import Unlearning, by_cost, costs_of, first_then_rest, fitting
from routeiq.routing.strategy import Candidate, Query, Ranking, State

LOOKED_AT = 20_000
"""Characters of the prompt that patterns are searched in."""

Models = tuple[str, ...]


class TagRegexUa(Unlearning):
    """The first rule that fits and has a candidate: tags, then patterns of the prompt, then parts of the user agent."""

    name = "llmrouter-tag-regex-ua"

    def __init__(
        self, tags: Mapping[str, Models], words: Sequence[tuple[re.Pattern[str], Models]], agents: Mapping[str, Models]
    ) -> None:
        self._tags = tags
        self._words = words
        self._agents = agents

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        costs = costs_of(candidates, query)
        for reason, patterns in self._rules(query):
            places = fitting(candidates, patterns)
            if places:
                return Ranking(order=first_then_rest(places, len(candidates)), cost=costs, reason=reason)
        return Ranking(order=by_cost(candidates, query), cost=costs, confidence=0.0, reason="no rule fits")

    def _rules(self, query: Query) -> list[tuple[str, Models]]:
        found = [(f"tag {tag}", self._tags[tag]) for tag in query.tags if tag in self._tags]
        prompt = query.prompt[:LOOKED_AT]
        found += [(f"pattern {word.pattern}", models) for word, models in self._words if word.search(prompt)]
        agent = query.user_agent.lower()
        return found + [
            (f"user agent {part}", models) for part, models in self._agents.items() if part.lower() in agent
        ]


def tag_regex_ua(args: Mapping[str, Any]) -> TagRegexUa:
    """`llmrouter-tag-regex-ua`: `tags`, `regex` and `user_agents`, each a map to model patterns in order."""
    given = Arguments(args)
    tags, agents = given.patterns("tags"), given.patterns("user_agents")
    words = [(regex("regex", pattern), models) for pattern, models in given.patterns("regex").items()]
    given.done()
    if not (tags or words or agents):
        raise ValueError("needs tags, regex or user_agents")
    return TagRegexUa(tags, words, agents)
