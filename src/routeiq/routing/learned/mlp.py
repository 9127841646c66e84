"""A feed-forward network from embedding and counts to the quality of each model."""

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

NAME = "llmrouter-mlp"


class Mlp:
    """Arrays: `mlp/weights/0` …, `mlp/bias/0` … with ReLU between; those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        count = sum(name.startswith("mlp/weights/") for name in tensors)
        self._layers = [(tensors[f"mlp/weights/{place}"], tensors[f"mlp/bias/{place}"]) for place in range(count)]
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        values = batch.x
        for weights, bias in self._layers[:-1]:
            values = np.maximum(values @ weights + bias, 0)
        weights, bias = self._layers[-1]
        return values @ weights + bias, self._costs(batch.x)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Mlp(trained.tensors), args)
