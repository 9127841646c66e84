"""Extremely randomized trees, walked all at once: https://doi.org/10.1007/s10994-006-6226-1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array

ROWS = 256
"""Walked at once: the leaves of more would not fit in a cache."""


class Forest:
    """Arrays over all nodes of all trees: `forest/feature`, `forest/threshold`, `forest/left`, `forest/right`; a leaf
    is its own child and has its place among `forest/values` (leaves, outputs) in `forest/leaf`. `forest/roots` (trees).
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._feature, self._threshold = tensors["forest/feature"], tensors["forest/threshold"]
        # The right child of a node at twice its place, the left one after it.
        self._below = np.stack((tensors["forest/right"], tensors["forest/left"]), axis=1).ravel()
        self._leaf, self._values = tensors["forest/leaf"], tensors["forest/values"]
        self._roots = tensors["forest/roots"]
        self._depth = self._deepest()

    def predict(self, x: Floats) -> Floats:
        """Mean over the trees, shape (n, outputs)."""
        parts = [self._walk(x[start : start + ROWS]) for start in range(0, len(x), ROWS)]
        return np.concatenate(parts)

    def _walk(self, x: Floats) -> Floats:
        flat, width = x.ravel(), x.shape[1]
        first = np.repeat(np.arange(len(x)) * width, len(self._roots))
        node = np.tile(self._roots, len(x))
        for _ in range(self._depth):
            node = self._below[2 * node + (flat[first + self._feature[node]] <= self._threshold[node])]
        reached = self._values[self._leaf[node]].reshape(len(x), len(self._roots), -1)
        mean: Floats = reached.mean(axis=1, dtype=np.float32)
        return mean

    def _deepest(self) -> int:
        """Steps from the roots until all are at leaves."""
        depth, level = 0, self._roots
        while True:
            below = np.unique(np.concatenate((self._below[2 * level], self._below[2 * level + 1])))
            # Leaves are below themselves.
            level = below[self._below[2 * below] != below]
            depth += 1
            if not len(level):
                return depth
