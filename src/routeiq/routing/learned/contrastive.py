"""Prompts and models in one space, near to each other where the model is good: contrastive learning as RouterDC has it
(https://arxiv.org/abs/2409.19886), over the static embedding.
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

NAME = "llmrouter-routerdc"


class Contrastive:
    """Arrays: `dc/projection` (270, d), `dc/models` (M, d), `dc/slope` (M), `dc/bias` (M); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._projection, self._models = tensors["dc/projection"], tensors["dc/models"]
        self._slope, self._bias = tensors["dc/slope"], tensors["dc/bias"]
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        near = similarity(batch.x, self._projection, self._models)
        return near * self._slope + self._bias, self._costs(batch.x)


def similarity(x: Array, projection: Array, models: Array) -> Array:
    """Cosines of prompts and models, shape (n, models)."""
    cosines: Array = unit(x @ projection) @ unit(models).T
    return cosines


def unit(vectors: Array) -> Array:
    """Vectors of length 1, by row."""
    made: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return made


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Contrastive(trained.tensors), args)
