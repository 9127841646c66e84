"""What an artifact reaches on data, in % of the best single model of that data."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routeiq.mlops.calibrate import choose
from routeiq.mlops.dataset import BadData, Dataset, Matrix
from routeiq.mlops.strategies import trainer_of
from routeiq.mlops.train import encode, means_of
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch, Scale, bounded, guarded
from routeiq.routing.learned.familiar import Familiar

STEPS = 120
NOISED = 500
"""Prompts that the flip rate is measured on."""

Points = list[tuple[float, float]]
"""Cost and quality."""


def evaluate(artifact: Artifact, data: Dataset, targets: Sequence[float]) -> dict[str, Any]:
    """Quality and cost at each target's own λ, and baselines. Raises `BadData` where no model is in both.

    A prompt's models are those that were run on it. `perf_gain` is how far above the best single model the curve goes,
    in %; `cost_save` how much of its cost is saved at its quality, on the curve's hull, in %, `null` where that is not
    reached; `aiq` the mean quality under the hull from the cheapest model's cost to the best single's
    (https://arxiv.org/abs/2403.12031, section 3); `flip_rate` the % of decisions at the middle target that change when
    the prompt is written in lower case, with wider spaces, a typing error or a `please`.
    """
    names = [model.name for model in artifact.router.models]
    columns = [data.models.index(name) if name in data.models else None for name in names]
    if all(column is None for column in columns):
        raise BadData(f"no model of the artifact is in the data: {', '.join(names)}")
    scale = Scale(artifact.tensors)
    quality, cost = aligned(predict(artifact, scale.many(encode(data.prompts))), columns, len(data.models))
    available = ~np.isnan(data.quality) & ~np.isnan(data.cost) & np.isfinite(quality)
    rows = np.arange(len(data))
    best = best_single(data)
    whole_quality, whole_cost = float(np.nanmean(data.quality[:, best])), float(np.nanmean(data.cost[:, best]))

    def outcome(chosen: NDArray[np.int64]) -> tuple[float, float]:
        return (
            100 * float(np.nanmean(data.cost[rows, chosen])) / whole_cost,
            100 * float(np.nanmean(data.quality[rows, chosen])) / whole_quality,
        )

    reached: dict[str, Any] = {}
    for target in targets:
        chosen = choose(quality, cost, artifact.price_of_quality(target), available)
        percent_cost, percent_quality = outcome(chosen)
        share = np.bincount(chosen, minlength=len(data.models)) / len(data)
        reached[f"{target}"] = {
            "quality_pct": round(percent_quality, 3),
            "cost_pct": round(percent_cost, 3),
            "models": {
                data.models[place]: round(float(share[place]), 4) for place in np.argsort(-share) if share[place]
            },
        }
    prices = np.concatenate(([0.0], np.geomspace(1e-3, 100.0, STEPS))) / whole_cost
    curve = hull([outcome(choose(quality, cost, price, available)) for price in prices])
    singles = [
        (
            100 * float(np.nanmean(data.cost[:, column])) / whole_cost,
            100 * float(np.nanmean(data.quality[:, column])) / whole_quality,
        )
        for column in range(len(data.models))
    ]
    random_point = (float(np.mean([c for c, _ in singles])), float(np.mean([q for _, q in singles])))
    there = ~np.isnan(data.quality) & ~np.isnan(data.cost)
    oracle = outcome(choose(data.quality, data.cost, 1e-6 / whole_cost, there))
    at_par = cost_at(curve, 100.0)
    middle = sorted(targets)[len(targets) // 2]
    return {
        "targets": reached,
        "baselines": {
            "best_single": {
                "model": data.models[best],
                "quality": whole_quality,
                "cost": whole_cost,
                **_point((100.0, 100.0)),
            },
            "zero_router": {
                "targets": {str(target): _rounded(cost_at(hull(singles), 100 * target)) for target in targets}
            },
            "random": _point(random_point),
            "oracle": _point(oracle),
        },
        "aiq": round(area(curve, min(c for c, _ in singles)) * whole_quality / 100, 5),
        "perf_gain": round(max(q for _, q in curve) - 100, 3),
        "cost_save": None if at_par is None else round(100 - at_par, 3),
        "flip_rate": flip_rate(artifact, data, quality, cost, available, middle, columns),
        "prompts": len(data),
        "strategy": artifact.router.strategy,
        "curve": [{"cost_pct": round(c, 3), "quality_pct": round(q, 3)} for c, q in curve],
        "singles": {
            name: {"cost_pct": round(c, 3), "quality_pct": round(q, 3)}
            for name, (c, q) in zip(data.models, singles, strict=True)
        },
    }


def predict(artifact: Artifact, batch: Batch) -> tuple[Matrix, Matrix]:
    """Quality and cost as the artifact's strategy serves them."""
    predictor = trainer_of(artifact.router.strategy).predictor(artifact.tensors)
    means, costs = means_of(artifact.router.models)
    quality, cost = bounded(*predictor.predict(batch), costs)
    quality, cost = guarded(quality, cost, Familiar(artifact.tensors)(batch.x), means)
    return quality.astype(np.float64), cost.astype(np.float64)


def aligned(predicted: tuple[Matrix, Matrix], columns: Sequence[int | None], count: int) -> tuple[Matrix, Matrix]:
    """Predictions by the data's columns; NaN for models the artifact does not know."""
    made = []
    for matrix in predicted:
        wide = np.full((len(matrix), count), np.nan)
        for place, column in enumerate(columns):
            if column is not None:
                wide[:, column] = matrix[:, place]
        made.append(wide)
    return made[0], made[1]


def best_single(data: Dataset) -> int:
    """The model of the highest mean quality; of several the cheapest."""
    quality, cost = np.nanmean(data.quality, axis=0), np.nanmean(data.cost, axis=0)
    return int(np.lexsort((cost, -quality))[0])


def hull(points: Points) -> Points:
    """The points nothing cheaper or mixed of others is better than, by ascending cost."""
    upper: Points = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if upper and quality <= upper[-1][1]:
            continue
        while len(upper) > 1 and _slope(upper[-2], upper[-1]) <= _slope(upper[-2], (cost, quality)):
            upper.pop()
        upper.append((cost, quality))
    return upper


def _slope(first: tuple[float, float], second: tuple[float, float]) -> float:
    run = second[0] - first[0]
    return (second[1] - first[1]) / run if run else float("inf")


def cost_at(points: Points, quality: float) -> float | None:
    """What a quality costs on the hull; `None` where it is not reached."""
    if points[0][1] >= quality:
        return points[0][0]
    for first, second in pairwise(points):
        if second[1] >= quality:
            return first[0] + (quality - first[1]) / (second[1] - first[1]) * (second[0] - first[0])
    return None


def area(points: Points, cheapest: float) -> float:
    """Mean quality under the hull between the cheapest model's cost and the best single's; level beyond its ends."""
    grid = np.linspace(cheapest, 100.0, 401)
    if grid[-1] <= grid[0]:
        return points[-1][1]
    return float(np.interp(grid, [c for c, _ in points], [q for _, q in points]).mean())


def flip_rate(
    artifact: Artifact,
    data: Dataset,
    quality: Matrix,
    cost: Matrix,
    available: NDArray[np.bool_],
    target: float,
    columns: Sequence[int | None],
) -> float:
    """% of decisions that change when prompts are written a little differently."""
    price = artifact.price_of_quality(target)
    rows = np.arange(len(data))[:: max(len(data) // NOISED, 1)]
    before = choose(quality[rows], cost[rows], price, available[rows])
    scale = Scale(artifact.tensors)
    generator = random.Random(0)  # noqa: S311 - typing errors, not secrets
    changed = 0
    for noise in (str.lower, _wider, _please, lambda prompt: _mistyped(prompt, generator)):
        batch = scale.many(encode(tuple(noise(data.prompts[row]) for row in rows)))
        noisy = aligned(predict(artifact, batch), columns, len(data.models))
        changed += int((choose(*noisy, price, available[rows]) != before).sum())
    return round(100 * changed / (4 * len(rows)), 3)


def _wider(prompt: str) -> str:
    return prompt.replace(" ", "  ")


def _please(prompt: str) -> str:
    return f"Please answer this: {prompt}"


def _mistyped(prompt: str, generator: random.Random) -> str:
    """With two neighbouring characters in each other's place."""
    if len(prompt) < 2:
        return prompt
    place = generator.randrange(len(prompt) - 1)
    return prompt[:place] + prompt[place + 1] + prompt[place] + prompt[place + 2 :]


def _point(point: tuple[float, float]) -> dict[str, float]:
    return {"quality_pct": round(point[1], 3), "cost_pct": round(point[0], 3)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
