"""Elo ratings: each model's chance against an average one, whatever is asked (https://arxiv.org/abs/2403.04132)."""

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

NAME = "llmrouter-elo"
INITIAL = 1500.0
SPREAD = 400.0
"""Points that make ten to one."""


class Elo:
    """Arrays: `elo/rating` (M); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._chance = chance(tensors["elo/rating"])
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        return np.tile(self._chance, (len(batch), 1)), self._costs(batch.x)


def chance(rating: Array) -> Floats:
    """To win against a model of the initial rating."""
    won: Floats = (1 / (1 + 10 ** ((INITIAL - rating) / SPREAD))).astype(np.float32)
    return won


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Elo(trained.tensors), args)
