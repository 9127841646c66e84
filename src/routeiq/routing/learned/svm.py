"""Support vector regression of quality with a Gaussian kernel, by random Fourier features
(https://papers.nips.cc/paper/3182-random-features-for-large-scale-kernel-machines).
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

NAME = "llmrouter-svm"


class Svm:
    """Arrays: `svm/frequencies` (270, D), `svm/phases` (D), `svm/weights` (D, M), `svm/bias` (M); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = tensors
        self._weights, self._bias = tensors["svm/weights"], tensors["svm/bias"]
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        features = waves(batch.x, self._tensors["svm/frequencies"], self._tensors["svm/phases"])
        return features @ self._weights + self._bias, self._costs(batch.x)


def waves(x: Floats, frequencies: Array, phases: Array) -> Floats:
    """Features whose products are the kernel's values, nearly."""
    features: Floats = np.cos(x @ frequencies + phases) * np.float32(np.sqrt(2 / len(phases)))
    return features


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Svm(trained.tensors), args)
