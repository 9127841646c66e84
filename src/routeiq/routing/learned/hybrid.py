"""Hybrid: a small and a large model, and the probability that the small one is as good (https://arxiv.org/abs/2404.14618)."""

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

NAME = "llmrouter-hybrid"


class Hybrid:
    """Arrays: `hybrid/weights` (270), `hybrid/bias` (1), `hybrid/pair` (2: small, large), `hybrid/quality` (M),
    `hybrid/loss` (1: what the small one lacks where it is not as good); those of `Costs`.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._weights, self._bias = tensors["hybrid/weights"], tensors["hybrid/bias"]
        self._small, self._large = (int(place) for place in tensors["hybrid/pair"])
        self._quality, self._loss = tensors["hybrid/quality"], float(tensors["hybrid/loss"][0])
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`. Models other than the two are taken for half as good as they are: the last resort."""
        logits: Floats = batch.x @ self._weights + self._bias
        wins = 1 / (1 + np.exp(-logits))
        quality: Floats = np.tile(self._quality / 2, (len(batch), 1))
        quality[:, self._large] = self._quality[self._large]
        quality[:, self._small] = self._quality[self._large] - (1 - wins) * self._loss
        return quality, self._costs(batch.x)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Hybrid(trained.tensors), args)
