"""A public model name as LiteLLM's `/model_group/info` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routeiq.core.money import PICO_PER_DOLLAR
from routeiq.core.snapshot import Deployment, Group


def model_group(group: Group, deployments: Sequence[Deployment]) -> dict[str, Any]:
    """Providers, the highest prices in dollars a token, and what the deployments take together."""
    prices = [deployment.prices for deployment in deployments if deployment.prices is not None]
    return {
        "model_group": group.name,
        "providers": list(dict.fromkeys(deployment.provider for deployment in deployments)),
        "mode": deployments[0].mode if deployments else None,
        "input_cost_per_token": max((price.input for price in prices), default=0) / PICO_PER_DOLLAR,
        "output_cost_per_token": max((price.output for price in prices), default=0) / PICO_PER_DOLLAR,
        "tpm": _total(deployment.tpm for deployment in deployments),
        "rpm": _total(deployment.rpm for deployment in deployments),
    }


def _total(values: Any) -> int | None:
    """The sum, where every deployment has a limit."""
    found = list(values)
    return None if not found or None in found else sum(found)
