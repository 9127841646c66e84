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

_FIT, _LEARNED = "routeiq.mlops.fit", "routeiq.routing.learned"
TRAINED: dict[str, tuple[str, str]] = {
    "routeiq-ridge": (f"{_FIT}.ridge:fit", f"{_LEARNED}.ridge:Ridge"),
    "llmrouter-linucb": (f"{_FIT}.ridge:fit", f"{_LEARNED}.ridge:Ridge"),
    "llmrouter-knn": (f"{_FIT}.simple:neighbours", f"{_LEARNED}.neighbours:Neighbours"),
    "llmrouter-svm": (f"{_FIT}.simple:svm", f"{_LEARNED}.svm:Svm"),
    "llmrouter-mlp": (f"{_FIT}.simple:mlp", f"{_LEARNED}.mlp:Mlp"),
    "llmrouter-mf": (f"{_FIT}.simple:factors", f"{_LEARNED}.factors:Factors"),
    "llmrouter-elo": (f"{_FIT}.simple:elo", f"{_LEARNED}.elo:Elo"),
    "llmrouter-hybrid": (f"{_FIT}.simple:hybrid", f"{_LEARNED}.hybrid:Hybrid"),
    "llmrouter-routerdc": (f"{_FIT}.structured:contrastive", f"{_LEARNED}.contrastive:Contrastive"),
    "llmrouter-graph": (f"{_FIT}.structured:graph", f"{_LEARNED}.graph:Graph"),
    "llmrouter-gmt": (f"{_FIT}.structured:graph", f"{_LEARNED}.graph:Graph"),
    "llmrouter-causallm": (f"{_FIT}.structured:language", f"{_LEARNED}.language:Language"),
    "llmrouter-nadirclaw-centroid": (f"{_FIT}.structured:centroids", f"{_LEARNED}.centroid:Centroids"),
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
