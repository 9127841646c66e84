"""Trains a strategy: encode, cross-validate, find λ for each target, fit on everything."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import routeiq
from routeiq.mlops.calibrate import Outcome, calibrate, measure, out_of_fold
from routeiq.mlops.dataset import LEARNED, LEAST_ROWS, BadData, Dataset
from routeiq.mlops.fit.rows import Rows
from routeiq.mlops.signing import describe as describe_files
from routeiq.mlops.stack import stacked
from routeiq.mlops.strategies import Trainer, trainer_of
from routeiq.routing.learned.artifact import FORMAT, ROUTER, TENSORS, Artifact, Model, Router
from routeiq.routing.learned.batch import Scale, bounded, guarded, scale_of
from routeiq.routing.learned.encoder import Encoding, Floats, load_encoder
from routeiq.routing.learned.familiar import familiar_of
from routeiq.routing.learned.online import online_of
from routeiq.routing.learned.ridge import EVEN, MIX, Ridge, mixed
from routeiq.routing.learned.subsets import tried_of
from routeiq.routing.learned.tensors import Array, write_tensors

MANY = 4000
"""Prompts from which on one cross-validation is enough."""
FEW_TIMES = 2
"""Cross-validations of fewer prompts."""
FOLDS = 10
MOST_SEGMENTS = 64
LEAST_OF_SEGMENT = 5
"""Prompts; smaller tasks are one segment together."""
CLUSTERS = 16
"""Segments where no tasks are told."""

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of the whole is, from 0 to 1."""


def silent(what: str, done: float) -> None:
    """Progress nobody looks at."""


def train(data: Dataset, strategy: str, origin: Mapping[str, Any], progress: Progress = silent) -> Artifact:
    """Train on the splits train and val. Raises `BadData`, `ValueError` for an unknown strategy."""
    with threadpool_limits(limits=1):  # the matrices are small: threads wait for each other ten times as long
        return _train(data, strategy, origin, progress)


def _train(data: Dataset, strategy: str, origin: Mapping[str, Any], progress: Progress) -> Artifact:
    trainer = trainer_of(strategy)
    learned = data.split(*LEARNED)
    if len(learned) < LEAST_ROWS:
        raise BadData(f"{len(learned)} prompts are too few to learn from: at least {LEAST_ROWS} are needed")
    encodings = encode(learned.prompts, lambda share: progress("encode", 0.2 * share))
    common = scale_of(encodings)
    rows = make_rows(learned, Scale(common), encodings)
    models = describe(learned)
    nearness, familiar = familiar_of(rows.batch.x, rows.segments)
    common |= nearness | online_of(rows.batch.x)
    repeats = cross_validate(rows, trainer, lambda share: progress("cross-validate", 0.2 + 0.6 * share))
    mixture: dict[str, Array] = {}
    if len(repeats[0].parts) > 1:
        mixture[MIX] = stacked([repeat.parts for repeat in repeats], rows.quality, EVEN)
    outcomes = [outcome_of(repeat, rows, models, mixture.get(MIX), familiar) for repeat in repeats]
    curve = measure(outcomes)
    places = calibrate(curve)
    progress("fit", 0.8)
    tensors: dict[str, Array] = {**common, **trainer.fit(rows), **mixture}
    one = outcomes[0]
    tensors |= tried_of(one.predicted_quality, one.predicted_cost, one.quality, one.cost)
    progress("done", 1.0)
    router = Router(
        format=FORMAT,
        strategy=strategy,
        models=models,
        targets={str(target): float(curve.price[place]) for target, place in places.items()},
        trained={
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "routeiq": routeiq.__version__,
            "prompts": len(learned),
            **origin,
        },
        expected={
            f"{target}": {
                "quality_pct": round(100 * float(curve.quality[place]), 2),
                "cost_pct": round(100 * float(curve.cost[place]), 2),
            }
            for target, place in places.items()
        },
    )
    return Artifact(router=router, tensors=tensors)


def encode(prompts: Sequence[str], progress: Callable[[float], None] | None = None) -> list[Encoding]:
    """Encodings of the prompts."""
    encoder = load_encoder()
    made = []
    for number, prompt in enumerate(prompts):
        made.append(encoder.encode(prompt))
        if progress is not None and number % 500 == 0:
            progress(number / len(prompts))
    return made


def make_rows(data: Dataset, scale: Scale, encodings: list[Encoding]) -> Rows:
    """What trainers take."""
    batch = scale.many(encodings)
    return Rows(batch=batch, quality=data.quality, cost=data.cost, segments=segments_of(data.tasks, batch.x))


def segments_of(tasks: NDArray[np.str_], x: NDArray[np.float32]) -> NDArray[np.int64]:
    """A number for each prompt: its task, or its cluster where there is but one task."""
    names, place, counts = np.unique(tasks, return_inverse=True, return_counts=True)
    if len(names) == 1:
        from sklearn.cluster import KMeans

        clusters = min(CLUSTERS, max(len(x) // 20, 1))
        labels: NDArray[np.int64] = KMeans(clusters, n_init=2, random_state=0).fit_predict(x).astype(np.int64)
        return labels
    largest = np.argsort(-counts, kind="stable")[: MOST_SEGMENTS - 1]
    kept = largest[counts[largest] >= LEAST_OF_SEGMENT]
    number = np.full(len(names), len(kept))
    number[kept] = np.arange(len(kept))
    return number[place].astype(np.int64)


def describe(data: Dataset) -> tuple[Model, ...]:
    """Each model's means and prices."""
    models = []
    for column, name in enumerate(data.models):
        quality, cost, output = data.quality[:, column], data.cost[:, column], data.output[:, column]
        known = ~np.isnan(cost) & ~np.isnan(output) & ~np.isnan(data.input)
        priced: dict[str, Any] = {}
        if known.sum() >= LEAST_ROWS:
            from scipy.optimize import nnls

            tokens = np.stack((data.input[known], output[known]), axis=1)
            prices, _ = nnls(tokens, cost[known])
            if prices[1] > 0:
                priced = {
                    "output_tokens": float(output[known].mean()),
                    "input_price": float(prices[0]),
                    "output_price": float(prices[1]),
                }
        tokens_in = float(np.nanmean(data.input)) if not np.isnan(data.input).all() else 0.0
        models.append(
            Model(
                name=name,
                quality=float(np.nanmean(quality)),
                cost=float(np.nanmean(cost)),
                input_tokens=tokens_in,
                **priced,
            )
        )
    return tuple(models)


def means_of(models: tuple[Model, ...]) -> tuple[Floats, Floats]:
    """Mean quality and cost of each."""
    return np.array([model.quality for model in models], np.float32), np.array([m.cost for m in models], np.float32)


class Repeat(msgspec.Struct, frozen=True):
    """One cross-validation."""

    parts: NDArray[Any]
    """Quality as each part of the strategy predicts it, shape (parts, prompts, models)."""
    cost: NDArray[Any]


def cross_validate(rows: Rows, trainer: Trainer, progress: Callable[[float], None]) -> list[Repeat]:
    """What the strategy would have predicted for prompts it has not seen."""
    times = 1 if len(rows) >= MANY else FEW_TIMES
    done = 0

    def fit_predict(learned: NDArray[np.int64], held: NDArray[np.int64]) -> tuple[Any, Any]:
        nonlocal done
        predictor = trainer.predictor(trainer.fit(rows.take(learned)))
        done += 1
        progress(done / (times * FOLDS))
        batch = rows.batch.take(held)
        if isinstance(predictor, Ridge):
            parts, cost = predictor.parts(batch)
            return parts.swapaxes(0, 1), cost
        quality, cost = predictor.predict(batch)
        return quality[:, None], cost

    repeats = []
    for seed in range(times):
        parts, cost = out_of_fold(len(rows), fit_predict, FOLDS, seed)
        repeats.append(Repeat(parts.swapaxes(0, 1), cost))
    return repeats


def outcome_of(
    repeat: Repeat, rows: Rows, models: tuple[Model, ...], mix: Floats | None, familiar: NDArray[np.bool_]
) -> Outcome:
    """What would have been served, beside what happened."""
    means, costs = means_of(models)
    predicted = repeat.parts[0] if mix is None else mixed(repeat.parts, means, mix)
    quality, cost = guarded(*bounded(predicted, repeat.cost, costs), familiar, means)
    return Outcome(quality.astype(np.float64), cost.astype(np.float64), rows.quality, rows.cost)


def save(artifact: Artifact, directory: Path) -> None:
    """Write the two files and an unsigned manifest of them. Raises `OSError`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ROUTER).write_bytes(msgspec.json.format(msgspec.json.encode(artifact.router), indent=2) + b"\n")
    (directory / TENSORS).write_bytes(write_tensors(artifact.tensors))
    describe_files(directory, (ROUTER, TENSORS), f"{artifact.router.strategy} of {len(artifact.router.models)} models")
