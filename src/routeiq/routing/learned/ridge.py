"""Ridge regression of quality and cost, and what stands beside it: the default strategy.

A prompt's outputs are linear in its embedding, its counts and its terms. Some say which segment (task) of the training
data it resembles, others its quality and cost with each model, the rest are what its terms are about. Three predictions
are mixed: what the models did in its segments, the regression, and a forest over the embedding, the terms and the
counts. How much each counts for quality was learned with the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.encoder import DIMENSION, Floats
from routeiq.routing.learned.forest import Forest
from routeiq.routing.learned.tensors import Array
from routeiq.routing.learned.terms import Terms

SEEN = 40
"""Components of the embedding, and of the terms, that the forest looks at: the first, which tell most."""

MIX = "ridge/mix"
EVEN = np.array((0.25, 0.25, 0.5), np.float32)
"""The weights of the parts for cost, and for quality before anything is known: the forest counts as much as both."""


class Ridge:
    """Arrays: `terms/keys` (V), `terms/idf` (V), `ridge/weights` (270, K), `ridge/terms` (V, K) in units of
    `ridge/scale` (K), `ridge/bias` (K), `ridge/segments` (S, 2 M), `ridge/unit` (2 M), and those of `Forest`.

    K = S + 2 M + T: logits of the segments, quality and cost, components of the terms. M may be any number of models;
    costs are in units of `ridge/unit`, their mean. `ridge/mean` (M): mean quality; `ridge/mix` (3): what the parts'
    distance from it counts.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._terms = Terms(tensors["terms/keys"], tensors["terms/idf"])
        self._weights, self._bias = tensors["ridge/weights"], tensors["ridge/bias"]
        self._of_terms, self._scale = tensors["ridge/terms"], tensors["ridge/scale"]
        self._segments, self._unit = tensors["ridge/segments"], tensors["ridge/unit"]
        self._mean, self._mix = tensors["ridge/mean"], tensors[MIX]
        self._forest = Forest(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        quality, cost = self.parts(batch)
        return mixed(quality, self._mean, self._mix), cost

    def parts(self, batch: Batch) -> tuple[Floats, Floats]:
        """Quality by each part, shape (3, n, models), and cost."""
        outputs = batch.x @ self._weights + self._bias
        for row, tokens in zip(outputs, batch.tokens, strict=True):
            places, weights = self._terms.weigh(tokens)
            row += (weights @ self._of_terms[places].astype(np.float32)) * self._scale
        logits, regression, about = np.split(
            outputs, (len(self._segments), len(self._segments) + len(self._unit)), axis=1
        )
        parts = np.stack((softmax(logits) @ self._segments, regression, self._forest.predict(seen(batch.x, about))))
        models = len(self._mean)
        cost: Floats = np.tensordot(EVEN, parts[:, :, models:], 1) * self._unit[models:]
        return parts[:, :, :models], cost


def mixed(parts: Floats, mean: Floats, mix: Floats) -> Floats:
    """The mean quality, and what the parts say beyond it."""
    quality: Floats = mean + np.tensordot(mix, parts - mean, 1)
    return quality


def seen(x: Floats, about: Floats) -> Floats:
    """What the forest looks at."""
    return np.hstack((x[:, :SEEN], about, x[:, DIMENSION:]))


def softmax(logits: Floats) -> Floats:
    """Probabilities, by row."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, "routeiq-ridge")
    return LearnedStrategy("routeiq-ridge", trained, Ridge(trained.tensors), args)
