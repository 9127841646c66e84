"""How much each part of a strategy's prediction counts: stacked regression (https://doi.org/10.1007/BF00117832).

The parts' predictions are out of fold; their weights are not negative, and need not sum to one. What counts is how far
models are apart on a prompt, since that is what a choice is made by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from routeiq.mlops.dataset import Matrix
from routeiq.routing.learned.encoder import Floats

PRIOR = 20.0
"""Prompts that the equal weights count as: they stay where nearly every prompt was run with one model alone."""


def stacked(repeats: Sequence[NDArray[Any]], quality: Matrix, before: Floats) -> Floats:
    """Weights of the parts, shape (parts,), from repeated cross-validations, each of shape (parts, prompts, models).

    `before`: the weights where the data says nothing.
    """
    known = ~np.isnan(quality)
    mean = np.nanmean(quality, axis=0)
    target = _apart(np.where(known, quality - mean, 0.0), known)
    gram = np.zeros((len(before), len(before)))
    product = np.zeros(len(before))
    for parts in repeats:
        apart = np.stack([_apart(np.where(known, part - mean, 0.0), known)[known] for part in parts])
        gram += apart @ apart.T / len(repeats)
        product += apart @ target[known] / len(repeats)
    strength = PRIOR * np.trace(gram) / (len(before) * len(quality)) + 1e-12
    gram[np.diag_indices(len(gram))] += strength
    # Least squares of the same normal equations.
    root = np.linalg.cholesky(gram).T
    weights: Floats = nnls(root, np.linalg.solve(root.T, product + strength * before))[0].astype(np.float32)
    return weights


def _apart(values: Matrix, known: NDArray[np.bool_]) -> Matrix:
    """Each row less its mean over the models it was run with."""
    mean = values.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, values - mean, 0.0)
