"""Finds strategies by name and makes them. A module is imported when a strategy of it is configured, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from routeiq.core.routing import Choosing
from routeiq.core.snapshot import Snapshot
from routeiq.routing.learned import LEARNED
from routeiq.routing.strategy import Strategy

_HERE, _PLAYS = "routeiq.routing.strategies", "routeiq.routing.plays"
PLAIN: dict[str, str] = {
    "llmrouter-smallest": f"{_HERE}.extremes:smallest",
    "llmrouter-largest": f"{_HERE}.extremes:largest",
    "llmrouter-least-busy": f"{_HERE}.load:least_busy",
    "llmrouter-usage-based": f"{_HERE}.load:usage_based",
    "llmrouter-latency-sla": f"{_HERE}.load:latency_sla",
    "llmrouter-kv-cache-aware": f"{_HERE}.load:kv_cache_aware",
    "llmrouter-tag-regex-ua": f"{_HERE}.rules:tag_regex_ua",
    "llmrouter-custom": f"{_HERE}.custom:build",
    "llmrouter-semantic-intent": f"{_HERE}.intent:build",
    "llmrouter-r1": f"{_PLAYS}.reasoning:build",
}
"""Made of their arguments alone."""
COMBINED: dict[str, str] = {
    "llmrouter-cost-aware": f"{_HERE}.cost_aware:build",
    "routeiq-ensemble": f"{_HERE}.combine:ensemble",
    "routeiq-pipeline": f"{_HERE}.combine:pipeline",
    "llmrouter-cost-cascade": f"{_PLAYS}.cascade:cost_cascade",
    "llmrouter-automix": f"{_PLAYS}.cascade:automix",
    "llmrouter-knn-multiround": f"{_PLAYS}.rounds:with_strategy",
    "llmrouter-llm-multiround": f"{_PLAYS}.rounds:by_model",
}
"""Made of other strategies too."""


def make(choosing: Choosing) -> Strategy:
    """The strategy as configured. Raises `ValueError` that says what is wrong with its arguments."""
    name = choosing.strategy
    if name in LEARNED:
        artifact = None
        if choosing.artifact is not None:
            read = import_module("routeiq.routing.learned.artifact").read_artifact
            artifact = read(choosing.artifact.path, choosing.artifact.files)
        learned: Strategy = _function(LEARNED[name])(choosing.args, artifact)
        return learned
    if choosing.artifact is not None:
        raise ValueError(f"{name} takes no model_path: nothing is trained for it")
    if name in COMBINED:
        combined: Strategy = _function(COMBINED[name])(choosing.args, [make(one) for one in choosing.within])
        return combined
    if name in PLAIN:
        plain: Strategy = _function(PLAIN[name])(choosing.args)
        return plain
    raise ValueError(f"there is no strategy {name}")


class Strategies:
    """The strategies of a worker. One whose configuration stays the same is kept over a reload, with what it knows."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Choosing, Strategy]] = {}

    def adopt(self, snapshot: Snapshot) -> Mapping[str, Strategy]:
        """Those a Snapshot asks for, by `auto:NAME` and `group:NAME`. Raises `ValueError`, and changes nothing then."""
        wanted = {f"auto:{name}": auto.choosing for name, auto in snapshot.auto_models.items()}
        wanted |= {f"group:{name}": one.choosing for name, one in snapshot.groups.items() if one.choosing is not None}
        made: dict[str, tuple[Choosing, Strategy]] = {}
        for name, choosing in wanted.items():
            before = self._made.get(name)
            made[name] = before if before is not None and before[0] == choosing else (choosing, make(choosing))
        self._made = made
        return {name: strategy for name, (_, strategy) in made.items()}


def _function(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
