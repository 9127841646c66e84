"""Which strategies can be trained, and by what."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from routeiq.mlops.fit.rows import Rows
from routeiq.routing.learned.batch import Predictor
from routeiq.routing.learned.tensors import Array

DEFAULT = "routeiq-ridge"

TRAINED: dict[str, tuple[str, str]] = {
    "routeiq-ridge": ("routeiq.mlops.fit.ridge:fit", "routeiq.routing.learned.ridge:Ridge"),
}
"""By name: what fits it, and what predicts."""


class Trainer(msgspec.Struct, frozen=True):
    """The two halves of a learned strategy."""

    fit: Callable[[Rows], dict[str, Array]]
    predictor: Callable[[Mapping[str, Array]], Predictor]


def trainer_of(strategy: str) -> Trainer:
    """Its trainer. Raises `ValueError` for a strategy that is not trained."""
    if strategy not in TRAINED:
        raise ValueError(f"{strategy} is not a strategy that is trained; these are: {', '.join(TRAINED)}")
    fit, predictor = map(_find, TRAINED[strategy])
    return Trainer(fit, predictor)


def _find(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
