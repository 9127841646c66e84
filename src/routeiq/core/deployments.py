"""Deployments as answers show them."""

from __future__ import annotations

from routeiq.core.snapshot import Deployment

_SHOWN = ("rpm", "tpm", "weight", "max_parallel_requests", "timeout", "stream_timeout")


def shown_params(deployment: Deployment) -> dict[str, object]:
    """`litellm_params` without credentials."""
    params: dict[str, object] = {"model": deployment.litellm_model}
    if deployment.api_base:
        params["api_base"] = deployment.api_base
    params.update((name, value) for name in _SHOWN if (value := getattr(deployment, name)) is not None)
    return params
