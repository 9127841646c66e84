"""Whether a prompt is like those of the training data: its Mahalanobis distance to the nearest segment's mean, with the
covariance within segments (https://arxiv.org/abs/1807.03888, section 2.1). Nothing that was learned holds far from it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array

KNOWN = 0.995
"""Share of the training prompts that count as familiar. Of nine tasks left out of a public set, the distance finds 7 %
of the prompts, more than half of those of the task that matters; a share of 0.99 finds 1 % more, and saves nothing. A
hundredth of familiar prompts that is not trusted costs 0.7 % more.
"""
FOLDS = 5
SMALLEST = 1e-4
"""Variance added in every direction."""


class Familiar:
    """Arrays: `familiar/whiten` (270, 270), `familiar/centres` (segments, 270), whitened, and `familiar/limit` (1)."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._whiten, self._centres = tensors["familiar/whiten"], tensors["familiar/centres"]
        self._squares = (self._centres * self._centres).sum(axis=1)
        self._limit = float(tensors["familiar/limit"][0])

    def distance(self, x: Floats) -> Floats:
        """Squared, shape (n,)."""
        white = x @ self._whiten
        squares = (white * white).sum(axis=1, keepdims=True) + self._squares - 2 * (white @ self._centres.T)
        nearest: Floats = squares.min(axis=1)
        return nearest

    def __call__(self, x: Floats) -> NDArray[np.bool_]:
        """Whether each is near enough, shape (n,)."""
        return self.distance(x) <= self._limit


def familiar_of(x: Floats, segments: NDArray[np.int64]) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """The arrays `Familiar` needs, of training data, and which of its own prompts are familiar.

    Both are judged by distances to what the other folds have: a prompt is nearer to data it is part of.
    """
    fold = np.random.default_rng(0).permutation(len(x)) % FOLDS
    distance = np.zeros(len(x), np.float32)
    for number in range(FOLDS):
        held = fold == number
        distance[held] = Familiar(_fit(x[~held], segments[~held], np.inf)).distance(x[held])
    limit = float(np.quantile(distance, KNOWN))
    return _fit(x, segments, limit), distance <= limit


def _fit(x: Floats, segments: NDArray[np.int64], limit: float) -> dict[str, Array]:
    doubles = x.astype(np.float64)
    used, segment = np.unique(segments, return_inverse=True)
    centres = np.stack([doubles[segment == number].mean(axis=0) for number in range(len(used))])
    within = doubles - centres[segment]
    covariance = within.T @ within / len(x)
    covariance[np.diag_indices(len(covariance))] += SMALLEST
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    return {
        "familiar/whiten": whiten.astype(np.float32),
        "familiar/centres": (centres @ whiten).astype(np.float32),
        "familiar/limit": np.array([limit], np.float32),
    }
