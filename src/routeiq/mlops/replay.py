"""What a strategy that learns while serving makes of feedback: outcomes are played to it, one prompt after the other.

After each of the first events it is told the quality of the model it chose, and of no other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from routeiq.core.routing import Wishes
from routeiq.mlops.dataset import Dataset
from routeiq.mlops.evaluate import best_single
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.linucb import LinUCB
from routeiq.routing.strategy import Candidate, Feedback, Query, State, Strategy


class Silent:
    """The load of a candidate that serves nobody else."""

    in_flight = 0
    tokens = 0
    chosen = 0
    kv_cache: float | None = None
    waiting: float | None = None

    def latency(self, quantile: float) -> float | None:
        """Unknown."""
        return None


def replay(artifact: Artifact, data: Dataset, events: int, target: float, args: Mapping[str, Any]) -> dict[str, Any]:
    """Quality and cost of the prompts after the events: with what was learned from the events, and without.

    In % of `reference`, the model that was best in training, and of `best_single`, the one that is best of those
    prompts. Raises `ValueError` where none are left.
    """
    order = np.random.default_rng(0).permutation(len(data))
    first, rest = data.take(order[:events]), data.take(order[events:])
    if not len(rest):
        raise ValueError(f"{len(data)} prompts leave none to measure after {events} events")
    untouched = LinUCB(artifact, {**args, "alpha": 0})
    taught = LinUCB(artifact, args)
    play(taught, first, target, learn=True)
    best = best_single(rest)
    reference = rest.models.index(artifact.router.models[artifact.best].name)

    def told(chosen: Sequence[int], of: int) -> dict[str, float]:
        rows = np.arange(len(rest))
        quality, cost = rest.quality[rows, chosen].mean(), rest.cost[rows, chosen].mean()
        return {
            "quality_pct": round(100 * float(quality / np.nanmean(rest.quality[:, of])), 3),
            "cost_pct": round(100 * float(cost / np.nanmean(rest.cost[:, of])), 3),
        }

    before, after = play(untouched, rest, target, learn=False), play(taught, rest, target, learn=False)
    return {
        "events": len(first),
        "measured": len(rest),
        "target": target,
        "best_single": {"model": rest.models[best], "before": told(before, best), "after": told(after, best)},
        "reference": {
            "model": rest.models[reference],
            "before": told(before, reference),
            "after": told(after, reference),
        },
    }


def play(strategy: Strategy, data: Dataset, target: float, *, learn: bool) -> list[int]:
    """The model chosen for each prompt, of those it was run with."""
    everyone = [Candidate(name=name, load=Silent()) for name in data.models]
    state = State(now=0.0, rng=random.Random(0))  # noqa: S311 - choices, not secrets
    chosen = []
    for prompt, quality in zip(data.prompts, data.quality, strict=True):
        there = np.flatnonzero(~np.isnan(quality))
        candidates = [everyone[place] for place in there]
        query = Query(prompt=prompt, wishes=Wishes(target_quality=target))
        place = int(there[strategy.rank(query, candidates, state).order[0]])
        chosen.append(place)
        if learn:
            strategy.update(Feedback(candidate=everyone[place], query=query, quality=float(quality[place])))
    return chosen


def leave_out(
    data: Dataset, measure: Callable[[Dataset, Dataset], dict[str, Any]], least: int
) -> dict[str, dict[str, Any]]:
    """What `measure(others, own)` finds for each task of at least so many prompts: rows of all others, and its own."""
    found = {}
    for task in sorted(set(data.tasks.tolist())):
        own = data.tasks == task
        if own.sum() >= least:
            found[task] = measure(data.take(~own), data.take(own))
    return found
