"""k nearest neighbours: what models did with the most similar prompts (https://arxiv.org/abs/2505.12601)."""

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

NAME = "llmrouter-knn"


class Neighbours:
    """Arrays: `knn/x` (n, 270), `knn/quality` (n, M), `knn/neighbours` (1), and those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        # In single precision once, not at every prompt.
        self._x = tensors["knn/x"].astype(np.float32)
        self._quality = tensors["knn/quality"]
        self._count = int(tensors["knn/neighbours"][0])
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        quality = np.empty((len(batch), self._quality.shape[1]), np.float32)
        for row, x in enumerate(batch.x):
            similar = self._x @ x
            nearest = np.argpartition(similar, -self._count)[-self._count :]
            quality[row] = self._quality[nearest].mean(axis=0, dtype=np.float32)
        return quality, self._costs(batch.x)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Neighbours(trained.tensors), args)
