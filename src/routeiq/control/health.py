"""LiteLLM's `GET /health`: the deployments, by whether they are served right now.

Nothing is called for it: a deployment is unhealthy while a worker holds it out, for a cooldown or an open circuit.
"""

from __future__ import annotations

import re
from typing import Any

from routeiq.control.access import Caller
from routeiq.control.auth import shows
from routeiq.core.counters import CounterTable
from routeiq.core.snapshot import Deployment, Snapshot
from routeiq.observe.metrics import ATTEMPTS, UNAVAILABLE

_LABELS = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def health(snapshot: Snapshot, table: CounterTable, caller: Caller, model: str | None = None) -> dict[str, Any]:
    """What the caller may see, narrowed to a public or upstream model name."""
    held, attempts = _counts(table)
    healthy: list[dict[str, Any]] = []
    unhealthy: list[dict[str, Any]] = []
    for deployment in snapshot.deployments:
        if not shows(caller, deployment):
            continue
        if model is not None and model not in (deployment.group, deployment.litellm_model):
            continue
        entry = _entry(deployment, attempts.get(deployment.id, {}))
        reasons = {reason: number for reason, number in held.get(deployment.id, {}).items() if number > 0}
        if reasons:
            entry["error"] = ", ".join(f"{reason} in {number} workers" for reason, number in sorted(reasons.items()))
        (unhealthy if reasons else healthy).append(entry)
    return {
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
        "healthy_count": len(healthy),
        "unhealthy_count": len(unhealthy),
    }


def _entry(deployment: Deployment, attempts: dict[str, int]) -> dict[str, Any]:
    return {
        "model": deployment.litellm_model,
        "model_name": deployment.group,
        "model_id": deployment.id,
        "api_base": deployment.api_base,
        "attempts": attempts,
    }


def _counts(table: CounterTable) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """By deployment: workers that hold it out, by reason; calls, by outcome."""
    held: dict[str, dict[str, int]] = {}
    attempts: dict[str, dict[str, int]] = {}
    for name, _, row in table.items():
        base, _, labels = name.partition("{")
        if base == UNAVAILABLE.name or base == ATTEMPTS.name:
            found = dict(_LABELS.findall(labels))
            where, label = (held, "reason") if base == UNAVAILABLE.name else (attempts, "outcome")
            where.setdefault(found.get("deployment", ""), {})[found.get(label, "")] = table.total(row)
    return held, attempts
