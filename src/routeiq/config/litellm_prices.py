"""Prices of the providers that LiteLLM's SDK calls: those of the list it brings, of the version that is installed.

The file's fields: https://docs.litellm.ai/docs/provider_registration/add_model_pricing
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from routeiq.config.prices import configured_prices
from routeiq.config.schema.prices import PriceFields
from routeiq.core.money import Prices

FILE = "model_prices_and_context_window_backup.json"
SOURCE = "litellm"


def litellm_prices(provider: str, model: str) -> Prices | None:
    """What a model costs; `None` when it is not in the list, or stands there without a price."""
    rows = _rows()
    row = rows.get(f"{provider}/{model}") or rows.get(model)
    if row is None or row.get("litellm_provider") != provider:
        return None
    # A cost of 0 on both sides says that nobody knows it: these providers give nothing away.
    named = {name: row[name] for name in PriceFields.model_fields if row.get(name)}
    try:
        found = configured_prices(PriceFields.model_validate(named))
    except ValidationError:
        return None
    return msgspec.structs.replace(found, source=SOURCE) if found is not None else None


@functools.cache
def _rows() -> dict[str, dict[str, Any]]:
    """The list, read on the first question; empty where there is none."""
    try:
        found = importlib.util.find_spec("litellm")
        if found is None or found.origin is None:
            return {}
        return msgspec.json.decode((Path(found.origin).parent / FILE).read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, ImportError, ValueError):
        return {}
