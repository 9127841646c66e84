"""Parameters as answers show them: secrets by their ends, as LiteLLM does."""

from __future__ import annotations

from typing import Any

from routeiq.config.references import MASK, PREFIX, is_secret, masked
from routeiq.config.report import NOWHERE, Report
from routeiq.config.source import Node, from_value

SHORT = 20
"""Characters: of a shorter secret nothing is shown."""


def mask(secret: str) -> str:
    """`sk-...wxyz`."""
    return f"{secret[:3]}...{secret[-4:]}" if len(secret) >= SHORT else MASK


def masked_params(params: dict[str, Any]) -> dict[str, Any]:
    """`litellm_params`, or the values of a credential. References to the environment are shown as they are."""
    out: dict[str, Any] = {}
    for name, value in params.items():
        node = from_value(value, (name,), Report()) or Node(None, NOWHERE)
        if isinstance(value, str) and value.startswith(PREFIX):
            out[name] = value
        elif isinstance(value, str) and is_secret((name,), node):
            out[name] = mask(value)
        else:
            out[name] = masked(node, (name,))
    return out
