"""LinUCB on top of the ridge strategy: corrects it by feedback, and tries what it is unsure of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from routeiq.routing.arguments import Arguments
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.online import Arms
from routeiq.routing.learned.ridge import Ridge
from routeiq.routing.strategy import Feedback, Query

NAME = "llmrouter-linucb"
ALPHA = 0.05
"""Standard deviations of its unsureness that a model is given the benefit of."""


class LinUCB(LearnedStrategy):
    """Args: `alpha`, 0 to 10: how much is tried; and those of `LearnedStrategy`."""

    learns = True

    def __init__(self, artifact: Artifact, args: Mapping[str, Any]) -> None:
        own = dict(args)
        alpha = Arguments({"alpha": own.pop("alpha", ALPHA)}).number("alpha", ALPHA, 0.0, 10.0)
        super().__init__(NAME, artifact, Ridge(artifact.tensors), own)
        self._alpha = alpha
        self._arms = Arms(artifact.tensors["online/inverse"], len(artifact.router.models))

    def predict(self, query: Query, batch: Batch, trained: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """The trained prediction, corrected, with what is unsure in its favour."""
        quality, cost = trained
        correction, unsure = self._arms.correct(batch.x[0])
        return np.clip(quality + correction + self._alpha * unsure, 0.0, 1.0), cost

    def update(self, feedback: Feedback) -> None:
        """Learn from a judged answer."""
        recalled = self.recall(feedback)
        if feedback.quality is not None and recalled is not None:
            column, x, quality = recalled
            self._arms.learn(column, x, feedback.quality - float(quality[column]))


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured; the ridge's artifacts do as well as its own."""
    return LinUCB(needed(artifact, NAME, "routeiq-ridge"), args)
