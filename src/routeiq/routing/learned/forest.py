"""Extremely randomized trees, walked all at once: https://doi.org/10.1007/s10994-006-6226-1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array


class Forest:
    """Arrays over all nodes of all trees: `forest/feature`, `forest/threshold`, `forest/left`, `forest/right`; a leaf
    is its own child and has its place among `forest/values` (leaves, outputs) in `forest/leaf`. `forest/roots` (trees).
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._feature, self._threshold = tensors["forest/feature"], tensors["forest/threshold"]
        self._left, self._right = tensors["forest/left"], tensors["forest/right"]
        self._leaf, self._values = tensors["forest/leaf"], tensors["forest/values"]
        self._roots = tensors["forest/roots"]

    def predict(self, x: Floats) -> Floats:
        """Mean over the trees, shape (n, outputs)."""
        rows = np.arange(len(x))[:, None]
        node = np.tile(self._roots, (len(x), 1))
        while True:
            below = np.where(x[rows, self._feature[node]] <= self._threshold[node], self._left[node], self._right[node])
            if (below == node).all():
                break
            node = below
        total: Floats = np.zeros((len(x), self._values.shape[1]), np.float32)
        for tree in self._leaf[node].T:
            total += self._values[tree]
        total /= len(self._roots)
        return total
