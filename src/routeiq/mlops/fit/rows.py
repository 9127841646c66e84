"""Training data as trainers take it, and the regression most of them use."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from routeiq.mlops.dataset import Matrix
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.tensors import Array

Doubles = NDArray[np.float64]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Encoded prompts and their outcomes."""

    batch: Batch
    quality: Matrix
    """NaN where the model was not run."""
    cost: Matrix
    segments: NDArray[np.int64]
    """Number of the task, or of the cluster, each prompt belongs to."""

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Any) -> Rows:
        """Some of the prompts: places, or a mask."""
        places = np.arange(len(self))[rows]
        return Rows(
            batch=self.batch.take(places),
            quality=self.quality[places],
            cost=self.cost[places],
            segments=self.segments[places],
        )


def ridge(x: Doubles, y: Matrix, alpha: float) -> tuple[Doubles, Doubles]:
    """Weights and bias of the regression of each column of `y` where it is known.

    Minimises `Σ (x · w + b - y)² + alpha · |w|²`, with the bias free.
    """
    weights = np.zeros((x.shape[1], y.shape[1]))
    bias = np.zeros(y.shape[1])
    whole = ~np.isnan(y).any(axis=0)
    groups = [(np.ones(len(y), bool), np.flatnonzero(whole))]
    groups += [(~np.isnan(y[:, column]), np.array([column])) for column in np.flatnonzero(~whole)]
    for rows, columns in groups:
        if len(columns):
            solved = _solve(x[rows], y[np.ix_(rows, columns)], alpha)
            weights[:, columns], bias[columns] = solved
    return weights, bias


def _solve(x: Doubles, y: Doubles, alpha: float) -> tuple[Doubles, Doubles]:
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    gram = centred.T @ centred
    gram[np.diag_indices(len(gram))] += alpha
    weights = np.linalg.solve(gram, centred.T @ (y - mean))
    return weights, mean - middle @ weights


def means(y: Matrix, segments: NDArray[np.int64], count: int, prior: float) -> Doubles:
    """Mean of each column by segment, shape (segments, columns), drawn to the whole mean as by `prior` more rows."""
    whole = np.nanmean(y, axis=0)
    table = np.tile(whole, (count, 1))
    for segment in range(count):
        own = y[segments == segment]
        known = (~np.isnan(own)).sum(axis=0)
        table[segment] = (np.nansum(own, axis=0) + prior * whole) / (known + prior)
    return table


COST_ALPHA = 10.0
QUALITY_ALPHA = 30.0
"""Of regressions on embedding and counts."""


def fit_costs(rows: Rows) -> dict[str, Array]:
    """The arrays of `Costs`."""
    weights, bias = ridge(rows.batch.x.astype(np.float64), rows.cost, COST_ALPHA)
    return {"cost/weights": weights.astype(np.float32), "cost/bias": bias.astype(np.float32)}


def filled(rows: Rows, prior: float = 5.0) -> Doubles:
    """Quality, with the mean of a prompt's segment where a model was not run."""
    used, segment = np.unique(rows.segments, return_inverse=True)
    table = means(rows.quality, segment, len(used), prior)
    return np.where(np.isnan(rows.quality), table[segment], rows.quality)


def calibrated(scores: Doubles, quality: Doubles) -> tuple[Doubles, Doubles]:
    """Slope and bias by column that make scores of any unit expected quality; no slope is negative."""
    middle, mean = scores.mean(axis=0), quality.mean(axis=0)
    spread = np.maximum(((scores - middle) ** 2).sum(axis=0), 1e-12)
    slope = np.maximum(((scores - middle) * (quality - mean)).sum(axis=0) / spread, 0.0)
    return slope, mean - slope * middle


def outcomes_of(rows: Rows) -> tuple[Doubles, Doubles]:
    """Quality and cost side by side, in units that are alike, and those units: costs in that of their mean."""
    unit = np.concatenate((np.ones(rows.quality.shape[1]), np.maximum(np.nanmean(rows.cost, axis=0), 1e-12)))
    return np.hstack((rows.quality, rows.cost)) / unit, unit
