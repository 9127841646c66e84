"""Prompts of three kinds and what became of them with three models, made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from routeiq.core.money import Prices
from routeiq.mlops.dataset import Dataset
from routeiq.routing.strategy import Candidate

SMALL, CODER, LARGE = "acme/small", "acme/coder", "acme/large"
KINDS: dict[str, tuple[tuple[str, ...], tuple[float, float, float]]] = {
    "chat": (("hello", "weather", "music", "holiday", "dinner", "friend", "story", "garden"), (0.9, 0.5, 0.92)),
    "code": (("python", "function", "compile", "pointer", "array", "bug", "class", "async"), (0.2, 0.9, 0.92)),
    "law": (("statute", "plaintiff", "liability", "court", "contract", "tort", "appeal", "jury"), (0.3, 0.3, 0.9)),
}
"""Words of each kind, and how good each model is at it."""
COSTS = (0.0001, 0.0004, 0.004)
OUTPUT = (100, 120, 150)


def prompt(kind: str, generator: random.Random) -> str:
    """A prompt of that kind, unlike the others."""
    words = KINDS[kind][0]
    return f"Please tell me about {' '.join(generator.choices(words, k=8))} {generator.randrange(10**6)}"


def outcomes(rows: int = 300, seed: int = 0, kinds: Sequence[str] = tuple(KINDS)) -> Dataset:
    """So many prompts, a third of them of split test."""
    generator = random.Random(seed)
    tasks = [generator.choice(kinds) for _ in range(rows)]
    good = np.array([[generator.random() < share for share in KINDS[kind][1]] for kind in tasks])
    return Dataset(
        models=(SMALL, CODER, LARGE),
        prompts=tuple(prompt(kind, generator) for kind in tasks),
        tasks=np.array(tasks),
        splits=np.array(["test" if row % 3 == 2 else "val" if row % 9 == 0 else "train" for row in range(rows)]),
        quality=good.astype(float),
        cost=np.tile(COSTS, (rows, 1)),
        output=np.tile(np.array(OUTPUT, float), (rows, 1)),
        input=np.full(rows, 20.0),
    )


class Idle:
    """The load of a candidate nobody has asked yet."""

    in_flight = 0
    tokens = 0
    chosen = 0
    kv_cache: float | None = None
    waiting: float | None = None

    def latency(self, quantile: float) -> float | None:
        return None


def candidate(name: str, prices: Prices | None = None, **more: Any) -> Candidate:
    """A candidate of that name."""
    return Candidate(name=name, prices=prices, load=more.pop("load", Idle()), **more)
