"""Linear corrections learned while serving: LinUCB with one arm a model (https://arxiv.org/abs/1003.0146, algorithm 1).

What is corrected is the prediction of a trained strategy. An arm starts at no correction, as sure of it as the training
data makes it: with the inverse of the ridge's matrix. Where prompts were plenty, feedback changes little.
"""

from __future__ import annotations

import numpy as np

from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array

WEIGHT = 0.3
"""Of a prompt of the training data beside one of feedback."""
ALPHA = 1.0
"""Of the ridge: what is known without any data."""


class Arms:
    """Corrections by model."""

    def __init__(self, inverse: Array, count: int) -> None:
        """`inverse`: shape (271, 271), of the features with a last one that is 1."""
        self._start = inverse
        self._inverse: list[Floats | None] = [None] * count
        self._weights = np.zeros((count, len(inverse)), np.float32)

    def correct(self, x: Floats) -> tuple[Floats, Floats]:
        """What to add to each model's prediction, and how unsure that is, for one row."""
        features = np.append(x, np.float32(1))
        unsure = np.full(len(self._weights), features @ self._start @ features, np.float32)
        for arm, inverse in enumerate(self._inverse):
            if inverse is not None:
                unsure[arm] = features @ inverse @ features
        return self._weights @ features, np.sqrt(np.maximum(unsure, 0))

    def learn(self, arm: int, x: Floats, error: float) -> None:
        """`error`: what was seen less what the trained strategy predicted."""
        features = np.append(x, np.float32(1))
        inverse = self._inverse[arm]
        if inverse is None:
            inverse = self._start.astype(np.float32)
        turned = inverse @ features
        step = turned / (1 + features @ turned)
        self._weights[arm] += step * (error - self._weights[arm] @ features)
        self._inverse[arm] = inverse - np.outer(step, turned)


def online_of(x: Floats) -> dict[str, Array]:
    """The array `Arms` starts from, of training data."""
    features = np.hstack((x, np.ones((len(x), 1)))).astype(np.float64)
    gram = WEIGHT * features.T @ features
    gram[np.diag_indices(len(gram))] += ALPHA
    return {"online/inverse": np.linalg.inv(gram).astype(np.float32)}
