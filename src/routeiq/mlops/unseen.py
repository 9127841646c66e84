"""What a strategy reaches on tasks it was not trained on: each task in turn is left out of training and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routeiq.mlops.dataset import LEAST_ROWS, BadData, Dataset
from routeiq.mlops.evaluate import best_single, evaluate
from routeiq.mlops.replay import leave_out
from routeiq.mlops.train import Progress, train


def evaluate_unseen(data: Dataset, strategy: str, targets: Sequence[float], progress: Progress) -> dict[str, Any]:
    """`tasks` has what `evaluate` finds for all prompts of each task, by strategies trained on the others; `targets`
    all tasks together, in % of the model that is best for them together. Raises `BadData` where there are no tasks.
    """

    def measure(others: Dataset, own: Dataset) -> dict[str, Any]:
        return evaluate(train(others, strategy, {}, progress), own, targets)

    if (np.unique(data.tasks, return_counts=True)[1] >= LEAST_ROWS).sum() < 2:
        raise BadData(f"leaving out tasks needs a column `task` with two of at least {LEAST_ROWS} prompts")
    found = leave_out(data, measure, LEAST_ROWS)
    measured = data.take(np.isin(data.tasks, list(found)))
    best = best_single(measured)
    whole = {
        "quality_pct": float(np.nanmean(measured.quality[:, best])),
        "cost_pct": float(np.nanmean(measured.cost[:, best])),
    }
    shares = {task: one["prompts"] / len(measured) for task, one in found.items()}

    def together(target: float, part: str) -> float:
        of = part.removesuffix("_pct")
        reached: float = sum(
            shares[task] * one["targets"][f"{target}"][part] * one["baselines"]["best_single"][of]
            for task, one in found.items()
        )
        return round(reached / whole[part], 3)

    return {
        "strategy": strategy,
        "best_single": data.models[best],
        "targets": {f"{target}": {part: together(target, part) for part in whole} for target in targets},
        "tasks": found,
    }
