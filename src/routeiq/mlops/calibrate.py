"""Which λ reaches which share of the best single model's quality, found without the data it will be measured on.

Predictions are out of fold: each prompt's come from a model that has not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from routeiq.mlops.dataset import Matrix

TARGETS = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.5)
GAIN = 0.001
"""Quality, as share of the best single model's, that a strategy fitted to all prompts has above those of the folds.
On six public sets, fitting to nine tenths instead of half of the prompts gave 0.003 at the same λ.
"""
STEPS = 400
Doubles = NDArray[np.float64]


class Curve(msgspec.Struct, frozen=True):
    """What each λ of a grid leads to; λ in quality per US dollar, the rest as share of the best single model's."""

    price: Doubles
    quality: Doubles
    cost: Doubles


class Outcome(msgspec.Struct, frozen=True):
    """Predictions out of fold beside what happened; arrays of shape (prompts, models)."""

    predicted_quality: Matrix
    predicted_cost: Matrix
    quality: Matrix
    cost: Matrix


def choose(quality: Matrix, cost: Matrix, price: float, available: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The model of the highest `quality - price · cost` of those that are available, by prompt."""
    chosen: NDArray[np.int64] = np.argmax(np.where(available, quality - price * cost, -np.inf), axis=1)
    return chosen


def measure(outcomes: Sequence[Outcome]) -> Curve:
    """The mean of the outcomes' curves: repeated cross-validations of the same data.

    What a model that was not run on a prompt would have answered is taken to be as good as was predicted.
    """
    first = outcomes[0]
    mean, spent = np.nanmean(first.quality, axis=0), np.nanmean(first.cost, axis=0)
    best = int(np.argmax(mean))
    good, dear = float(mean[best]), float(spent[best])
    prices = np.concatenate(([0.0], np.geomspace(1e-3, 20.0, STEPS))) / dear
    everyone = np.ones(first.quality.shape, bool)
    cost = np.where(np.isnan(first.cost), spent, first.cost)
    rows = np.arange(len(cost))
    points = np.zeros((2, len(prices)))
    for outcome in outcomes:
        quality = np.where(np.isnan(first.quality), outcome.predicted_quality, first.quality)
        for place, price in enumerate(prices):
            chosen = choose(outcome.predicted_quality, outcome.predicted_cost, price, everyone)
            points[:, place] += quality[rows, chosen].mean() / good, cost[rows, chosen].mean() / dear
    qualities, costs = points / len(outcomes)
    return Curve(prices, falling(qualities) + GAIN, falling(costs))


def falling(values: Doubles) -> Doubles:
    """The nearest curve, in least squares, that never rises: who pays less gets no more. What rises is chance."""
    fitted: Doubles = isotonic_regression(values, increasing=False).x
    return fitted


def calibrate(curve: Curve, targets: Sequence[float] = TARGETS) -> dict[float, int]:
    """For each target the place on the curve of the highest λ that reaches it, or else the best there is."""
    highest = curve.quality.max()
    return {target: int(np.flatnonzero(curve.quality >= min(target, highest)).max()) for target in targets}


def out_of_fold(
    count: int,
    fit_predict: Callable[[NDArray[np.int64], NDArray[np.int64]], tuple[Matrix, Matrix]],
    folds: int,
    seed: int,
) -> tuple[Matrix, Matrix]:
    """Predictions for all prompts, each by a model fitted without it. `fit_predict(learned, held)` gives those held."""
    fold = np.random.default_rng(seed).permutation(count) % folds
    quality, cost = [], []
    order = []
    for number in range(folds):
        held = np.flatnonzero(fold == number)
        predicted = fit_predict(np.flatnonzero(fold != number), held)
        quality.append(predicted[0])
        cost.append(predicted[1])
        order.append(held)
    back = np.argsort(np.concatenate(order))
    return np.concatenate(quality)[back], np.concatenate(cost)[back]
