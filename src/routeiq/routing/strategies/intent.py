"""By what the prompt is about: the intent whose examples are nearest to it in meaning says which models to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from routeiq.routing.arguments import Arguments
from routeiq.routing.learned.choice import encoded
from routeiq.routing.learned.encoder import Floats, load_encoder
from routeiq.routing.strategies.common import Unlearning, by_cost, costs_of, first_then_rest, fitting
from routeiq.routing.strategy import Candidate, Query, Ranking, State

THRESHOLD = 0.25
"""Cosine below which a prompt is of no intent: of unrelated sentences it is about 0.1 in this embedding."""


class Intent(NamedTuple):
    """What users may want, told by examples."""

    name: str
    examples: Floats
    """One embedding a row, each of length 1."""
    models: tuple[str, ...]


class SemanticIntent(Unlearning):
    """The nearest intent with a candidate; the cheapest candidate first where none is near enough."""

    name = "llmrouter-semantic-intent"

    def __init__(self, intents: Sequence[Intent], threshold: float) -> None:
        self._intents = intents
        self._threshold = threshold
        self._encoder = load_encoder()

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        embedding = encoded(query, self._encoder).embedding
        near = {intent.name: float(np.max(intent.examples @ embedding)) for intent in self._intents}
        costs = costs_of(candidates, query)
        features = {"intents": {name: round(value, 4) for name, value in near.items()}}
        for intent in sorted(self._intents, key=lambda one: -near[one.name]):
            if near[intent.name] < self._threshold:
                break
            places = fitting(candidates, intent.models)
            if places:
                return Ranking(
                    order=first_then_rest(places, len(candidates)),
                    cost=costs,
                    confidence=max(0.0, min(1.0, near[intent.name])),
                    reason=f"intent {intent.name}",
                    features=features,
                )
        return Ranking(
            order=by_cost(candidates, query), cost=costs, confidence=0.0, reason="no intent is near", features=features
        )


def build(args: Mapping[str, Any]) -> SemanticIntent:
    """`llmrouter-semantic-intent`: `intents` by name, each with `models` (patterns in order) and `examples` (texts);
    `threshold` 0.25."""
    given = Arguments(args)
    told = given.get("intents", {})
    threshold = given.number("threshold", THRESHOLD, -1.0, 1.0)
    given.done()
    if not isinstance(told, dict) or not told:
        raise ValueError("needs intents: {NAME: {examples: [TEXT, …], models: [MODEL, …]}}")
    encoder = load_encoder()
    intents = []
    for name, entry in told.items():
        if not isinstance(entry, dict):
            raise ValueError(f"intents.{name} must have examples and models")
        own = Arguments(entry)
        examples, models = own.names("examples"), own.names("models")
        try:
            own.done()
        except ValueError as error:
            raise ValueError(f"intents.{name}: {error}") from None
        if not models:
            raise ValueError(f"intents.{name} needs models")
        texts = [str(name), *examples]
        intents.append(Intent(str(name), np.stack([encoder.encode(text).embedding for text in texts]), models))
    return SemanticIntent(intents, threshold)
