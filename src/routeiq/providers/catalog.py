"""The provider catalog: who can be called and how, from `catalog.json` beside this file.

Base URLs, key variables and provider names follow LiteLLM 1.106's registry, so that its configurations work
unchanged; providers that are only names there are listed with `served: false` to be told from typing mistakes.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec

from routeiq.core.provider import ProviderSpec

__all__ = ["ProviderSpec", "load_catalog"]


def load_catalog() -> dict[str, ProviderSpec]:
    """Every provider by name."""
    data = files("routeiq.providers").joinpath("catalog.json").read_bytes()
    return {spec.name: spec for spec in msgspec.json.decode(data, type=list[ProviderSpec])}
