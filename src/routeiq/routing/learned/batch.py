"""Prompts as predictors take them: rows of one matrix, and the tokens terms are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from routeiq.routing.learned.encoder import DIMENSION, Encoding, Floats, Integers
from routeiq.routing.learned.tensors import Array

FARTHEST = 4.0
"""Standard deviations; counts farther from the mean are taken as that far."""
COUNTS_WEIGHT = 0.1
"""Of a standard deviation of a count, beside an embedding of length 1."""


class Batch(msgspec.Struct, frozen=True):
    """One or more prompts."""

    x: Floats
    """Shape (n, 270): embedding, then counts by their mean and standard deviation in the training data."""
    tokens: Sequence[Integers]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Integers) -> Batch:
        """Some of them."""
        return Batch(self.x[rows], [self.tokens[row] for row in rows])


class Predictor(Protocol):
    """The learned part of a strategy."""

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """Quality, 0 to 1 or near it, and cost in US dollars at the prices of training, each of shape (n, models)."""


def bounded(quality: Floats, cost: Floats, mean_cost: Floats) -> tuple[Floats, Floats]:
    """Predictions as they may be: quality from 0 to 1, cost no lower than a twentieth of the model's mean."""
    return np.clip(quality, 0.0, 1.0), np.maximum(cost, mean_cost / 20)


def guarded(quality: Floats, cost: Floats, familiar: NDArray[np.bool_], mean_quality: Floats) -> tuple[Floats, Floats]:
    """Predictions that make every λ choose the best model on average where a prompt is not familiar."""
    unlike = ~familiar[:, None]
    return np.where(unlike, mean_quality, quality), np.where(unlike, np.float32(0), cost)


class Scale:
    """Makes rows of encodings."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._mean = tensors["counts/mean"]
        self.width = DIMENSION + len(self._mean)
        self._factor = COUNTS_WEIGHT / tensors["counts/deviation"]

    def one(self, encoding: Encoding) -> Batch:
        """A batch of one prompt."""
        return self.many([encoding])

    def many(self, encodings: Sequence[Encoding]) -> Batch:
        """A batch of several."""
        counts = np.stack([encoding.counts for encoding in encodings])
        farthest = FARTHEST * COUNTS_WEIGHT
        scaled = np.clip((counts - self._mean) * self._factor, -farthest, farthest)
        embeddings = np.stack([encoding.embedding for encoding in encodings])
        return Batch(np.hstack((embeddings, scaled)), [encoding.tokens for encoding in encodings])


def scale_of(encodings: Sequence[Encoding]) -> dict[str, Array]:
    """The arrays `Scale` needs, of training data."""
    counts = np.stack([encoding.counts for encoding in encodings])
    return {"counts/mean": counts.mean(axis=0), "counts/deviation": np.maximum(counts.std(axis=0), 1e-6)}
