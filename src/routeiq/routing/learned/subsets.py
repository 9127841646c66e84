"""λ where filters leave only some of the models: what is promised then is a share of the best of those.

An artifact carries, for a sample of its training prompts, what was predicted out of fold and what happened. The λ of
some of its models is found on these, much as training finds that of all: in a few milliseconds, once for each set.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from routeiq.routing.learned.tensors import Array

Doubles = NDArray[np.float64]
SAMPLE = 1000
"""Prompts: their mean quality is known to about a point."""
STEPS = 48
REMEMBERED = 512
"""Sets of models, with targets."""


class Subsets:
    """Arrays of shape (prompts, models): `tried/quality` and `tried/cost` as predicted, `tried/reached` and
    `tried/spent` as they came.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._quality, self._cost = tensors["tried/quality"], tensors["tried/cost"]
        self._reached, self._spent = tensors["tried/reached"], tensors["tried/spent"]
        self._found: dict[tuple[tuple[int, ...], float], float] = {}

    def price_of_quality(self, columns: tuple[int, ...], target: float) -> float:
        """The highest λ at which these models' choices reach that share of their best one's quality, or the most there
        is.
        """
        known = self._found.get((columns, target))
        if known is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            known = self._found[columns, target] = self._find(list(columns), target)
        return known

    def _find(self, columns: list[int], target: float) -> float:
        quality, cost = self._quality[:, columns], self._cost[:, columns]
        reached, spent = self._reached[:, columns], self._spent[:, columns]
        mean = reached.mean(axis=0)
        best = int(np.argmax(mean))
        prices = np.concatenate(([0.0], np.geomspace(1e-3, 20.0, STEPS))) / float(spent[:, best].mean())
        rows = np.arange(len(quality))
        shares = np.array(
            [reached[rows, np.argmax(quality - np.float32(price) * cost, axis=1)].mean() for price in prices]
        )
        return float(prices[np.flatnonzero(shares >= min(target * mean[best], shares.max())).max()])


def tried_of(quality: Doubles, cost: Doubles, reached: Doubles, spent: Doubles) -> dict[str, Array]:
    """The arrays `Subsets` needs. What was not run is taken to be as good as predicted, at its model's mean cost."""
    rows = np.random.default_rng(0).permutation(len(quality))[:SAMPLE]
    arrays = {
        "quality": quality,
        "cost": cost,
        "reached": np.where(np.isnan(reached), quality, reached),
        "spent": np.where(np.isnan(spent), np.nanmean(spent, axis=0), spent),
    }
    return {f"tried/{name}": array[rows].astype(np.float32) for name, array in arrays.items()}
