"""Matrix factorization: a prompt and a model are vectors of a few dimensions, their product is the quality
(https://arxiv.org/abs/2406.18665, section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.costs import Costs
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array

NAME = "llmrouter-mf"


class Factors:
    """Arrays: `mf/prompt` (270, r), `mf/model` (r, M), `mf/bias` (M); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._prompt, self._model, self._bias = tensors["mf/prompt"], tensors["mf/model"], tensors["mf/bias"]
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        return (batch.x @ self._prompt) @ self._model + self._bias, self._costs(batch.x)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Factors(trained.tensors), args)
