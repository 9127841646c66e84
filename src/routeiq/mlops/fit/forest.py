"""Grows the trees of `routing.learned.forest`."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from routeiq.mlops.fit.rows import Doubles
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array

TREES = 100
LEAF = 15
"""Prompts in a leaf, at least."""
DEPTH = 16
LOOKED_AT = 0.3
"""Share of the features a split is chosen from."""


def grow(x: Floats, y: Doubles) -> dict[str, Array]:
    """The arrays of `Forest`, which predicts every column of `y`."""
    forest = ExtraTreesRegressor(
        TREES, min_samples_leaf=min(LEAF, max(len(x) // 10, 1)), max_depth=DEPTH, max_features=LOOKED_AT, random_state=0
    ).fit(x, y)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    left, right = (
        np.concatenate([_below(side, root) for side, root in zip(sides, roots, strict=True)])
        for sides in ([tree.children_left for tree in trees], [tree.children_right for tree in trees])
    )
    leaf = left == np.arange(len(left))
    values = np.concatenate([tree.value[:, :, 0] for tree in trees])[leaf]
    return {
        "forest/feature": np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.int16),
        "forest/threshold": np.concatenate([tree.threshold for tree in trees]).astype(np.float32),
        "forest/left": left.astype(np.int32),
        "forest/right": right.astype(np.int32),
        "forest/leaf": (np.cumsum(leaf) - 1).astype(np.int32),
        "forest/values": values.astype(np.float16),
        "forest/roots": roots.astype(np.int32),
    }


def _below(children: Array, root: int) -> Array:
    """Children by their place among all nodes; a leaf is its own."""
    return np.where(children < 0, np.arange(len(children)), children) + root
