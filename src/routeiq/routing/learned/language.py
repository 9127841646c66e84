"""A language model that says which model to ask: for each, how much likelier a prompt's terms are where it was right.

The strategy of this name elsewhere has a large model, fine-tuned to emit a model's name. Naive Bayes over single tokens
and pairs is the same question to a small one: it needs no GPU and microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.costs import Costs
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array
from routeiq.routing.learned.terms import Terms

NAME = "llmrouter-causallm"


class Language:
    """Arrays: `terms/keys`, `terms/idf` (V), `lm/odds` (V, M): logarithms, `lm/slope`, `lm/bias` (M); of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._terms = Terms(tensors["terms/keys"], tensors["terms/idf"])
        self._odds = tensors["lm/odds"]
        self._slope, self._bias = tensors["lm/slope"], tensors["lm/bias"]
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        odds = np.stack([heard(self._terms, self._odds, tokens) for tokens in batch.tokens])
        return odds * self._slope + self._bias, self._costs(batch.x)


def heard(terms: Terms, odds: Array, tokens: Array) -> Floats:
    """Weighted sum of the terms' odds, by model."""
    places, weights = terms.weigh(tokens)
    summed: Floats = weights @ odds[places].astype(np.float32)
    return summed


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Language(trained.tensors), args)
