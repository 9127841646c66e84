"""What every learned strategy reaches: trains each on train and val of every `*.parquet` of a directory, measures test.

    python bench/routing.py DIRECTORY [--artifacts KEPT] [--strategy NAME]... [--leave-out SET]... [--events 300]

Prints the tables of `docs/routing.md`. Artifacts that are there already are not trained again. With `--leave-out`, for
each task of that set, the default strategy is trained on the others and measured on it, before and after feedback.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from routeiq.mlops.dataset import Dataset, read_dataset
from routeiq.mlops.evaluate import evaluate
from routeiq.mlops.replay import Silent, leave_out, replay
from routeiq.mlops.strategies import DEFAULT, TRAINED
from routeiq.mlops.train import save, train
from routeiq.routing.learned import LEARNED
from routeiq.routing.learned.artifact import Artifact, read_artifact
from routeiq.routing.strategy import Candidate, Query, State

TARGETS = (1.0, 0.98, 0.95)
TIMED = 500
"""Prompts whose decisions are timed."""
LEAST = 40
"""Prompts of a task left to measure after the events."""


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--artifacts", type=Path, default=None)
    parser.add_argument("--strategy", action="append", default=[])
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--events", type=int, default=300)
    given = parser.parse_args()
    sets = {path.stem: read_dataset(path) for path in sorted(given.directory.glob("*.parquet"))}
    with tempfile.TemporaryDirectory() as place:
        kept = given.artifacts or Path(place)
        strategies = given.strategy or list(TRAINED)
        if not given.leave_out:
            table(sets, strategies, kept)
    for name in given.leave_out:
        unseen(name, sets[name], given.events)


def table(sets: dict[str, Dataset], strategies: Sequence[str], kept: Path) -> None:
    """Means over the sets by strategy, then the default strategy by set."""
    results: dict[str, list[dict[str, Any]]] = {}
    print("| strategy | quality, cost at 100 % | at 98 % | at 95 % | aiq | flips | decision p50, p99 |", flush=True)
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for strategy in strategies:
        timed: list[float] = []
        for name, data in sets.items():
            artifact = made(strategy, name, data, kept)
            test = data.split("test")
            results.setdefault(strategy, []).append(evaluate(artifact, test, TARGETS))
            timed += decisions(strategy, artifact, test)
        found = results[strategy]
        points = [
            " @ ".join(f"{mean([one['targets'][str(target)][part] for one in found]):.1f}" for part in PARTS)
            for target in TARGETS
        ]
        others = f"{mean([one['aiq'] for one in found]):.3f} | {mean([one['flip_rate'] for one in found]):.1f} %"
        times = f"{np.quantile(timed, 0.5) * 1e3:.2f}, {np.quantile(timed, 0.99) * 1e3:.2f} ms"
        print(f"| `{strategy}` | {' | '.join(points)} | {others} | {times} |", flush=True)
    if DEFAULT in results:
        print("\n| set | best single | at 100 % | at 98 % | at 95 % | zero router at 98 % | oracle |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, one in zip(sets, results[DEFAULT], strict=True):
            points = [" @ ".join(f"{one['targets'][str(t)][part]:.1f}" for part in PARTS) for t in TARGETS]
            known = one["baselines"]
            zero, oracle = known["zero_router"]["targets"]["0.98"], known["oracle"]
            print(
                f"| {name} | {known['best_single']['model']} | {' | '.join(points)} | {zero:.1f} "
                f"| {oracle['quality_pct']:.1f} @ {oracle['cost_pct']:.1f} |"
            )


PARTS = ("quality_pct", "cost_pct")


def made(strategy: str, name: str, data: Dataset, kept: Path) -> Artifact:
    """The artifact of that strategy for that set. Strategies that are trained alike share it."""
    twin = next(other for other, how in TRAINED.items() if how == TRAINED[strategy])
    if twin != strategy:
        shared = made(twin, name, data, kept)
        return msgspec.structs.replace(shared, router=msgspec.structs.replace(shared.router, strategy=strategy))
    place = kept / strategy / name
    if not place.exists():
        save(train(data, strategy, {"data": name}), place)
    return read_artifact(place)


def decisions(strategy: str, artifact: Artifact, data: Dataset) -> list[float]:
    """CPU seconds of whole decisions, from the prompt's text to the ranking."""
    module, _, function = LEARNED[strategy].partition(":")
    serving = getattr(import_module(module), function)({}, artifact)
    candidates = [Candidate(name=model, load=Silent()) for model in data.models]
    state = State(now=0.0, rng=random.Random(0))
    taken = []
    for prompt in data.prompts[:TIMED]:
        query = Query(prompt=prompt)
        start = time.thread_time()
        serving.rank(query, candidates, state)
        taken.append(time.thread_time() - start)
    return taken


def unseen(name: str, data: Dataset, events: int) -> None:
    """The default strategy on tasks it has not seen, and LinUCB after feedback."""
    found = leave_out(
        data,
        lambda others, own: replay(train(others, DEFAULT, {}), own, events, 0.98, {}),
        events + LEAST,
    )
    print(f"\n| task of {name} left out | no feedback | after {events} events |\n| --- | --- | --- |")
    for task, one in found.items():
        points = [" @ ".join(f"{one['reference'][when][part]:.1f}" for part in PARTS) for when in ("before", "after")]
        print(f"| {task} | {' | '.join(points)} |")
    before, after = (
        mean([one["reference"][when]["quality_pct"] for one in found.values()]) for when in ("before", "after")
    )
    print(f"| mean quality | {before:.1f} | {after:.1f} |", flush=True)


def mean(values: Sequence[float]) -> float:
    """Mean."""
    return float(np.mean(values))


if __name__ == "__main__":
    main()
