"""Prices at compile time: the configuration's own, else the table bundled with genai-prices. Never the network.

genai-prices (MIT) lists US dollars per million tokens with tiers by prompt size; the base tier is taken.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import Any

from routeiq.config.schema.model_list import PriceFields
from routeiq.core.money import Prices, pico_per_unit

DEMO_PRICES = Prices(input=150_000, output=600_000, cache_read=75_000, source="demo")
"""What the embedded provider pretends to cost: 0.15 and 0.60 dollars per million tokens."""
PICO_PER_MTOK_DOLLAR = 10**6
PICO_PER_KCOUNT_DOLLAR = 10**9


def configured_prices(*sections: PriceFields) -> Prices | None:
    """Prices from the configuration; a section that comes first wins, field by field. `None` when it has none."""

    def first(name: str) -> int | None:
        values = (getattr(section, name) for section in sections)
        return next((pico_per_unit(value) for value in values if value is not None), None)

    found = {name: first(name) for name in PriceFields.model_fields}
    if all(value is None for value in found.values()):
        return None
    return Prices(
        input=found["input_cost_per_token"] or 0,
        output=found["output_cost_per_token"] or 0,
        cache_read=found["cache_read_input_token_cost"],
        cache_write=found["cache_creation_input_token_cost"],
        reasoning=found["output_cost_per_reasoning_token"],
        request=found["input_cost_per_request"] or 0,
        source="config",
    )


class PriceTable:
    """The bundled table, read on the first question. `now` chooses among prices with a start date."""

    def __init__(self, now: datetime.datetime) -> None:
        self._now = now

    @cached_property
    def _providers(self) -> Sequence[Any]:
        # genai_prices.data is 1.6 MB of Python: 0.2 s to import, so not before a price is asked for.
        providers: Sequence[Any] = importlib.import_module("genai_prices.data").providers
        return providers

    @cached_property
    def _source(self) -> str:
        return f"genai-prices {version('genai-prices')}"

    def find(self, provider: str | None, model: str) -> Prices | None:
        """Prices of a provider's model, by genai-prices' id of the provider; `None` when it is not listed."""
        if provider is None:
            return None
        entry = self._entry(provider)
        found = entry.find_model(model, all_providers=self._providers) if entry is not None else None
        return self._prices(found) if found is not None else None

    def listing(self, provider: str) -> dict[str, Prices]:
        """Every model the table names for a provider, with prices: what a wildcard's requests are priced by."""
        out: dict[str, Prices] = {}
        entry = self._entry(provider)
        if entry is None:
            return out
        for each in (entry, *map(self._entry, entry.fallback_model_providers or ())):
            for name in (name for model in each.models for name in (model.id, *_literals(model.match))):
                found = each.find_model(name)
                prices = self._prices(found) if found is not None else None
                if prices is not None:
                    out.setdefault(name, prices)
        return out

    def find_anywhere(self, model: str) -> Prices | None:
        """Prices of a model that says nothing of its provider (`base_model: gpt-4o`), as its maker asks."""
        for entry in self._providers:
            if entry.model_match is not None and entry.model_match.is_match(model.lower()):
                found = entry.find_model(model)
                if found is not None:
                    return self._prices(found)
        return None

    def _entry(self, provider: str) -> Any:
        return next((entry for entry in self._providers if entry.id == provider), None)

    def _prices(self, model: Any) -> Prices | None:
        own = self._active(model.prices)
        if own is None:
            return None
        values = {key: value for key, value in vars(own).items() if value is not None}
        per_token = {key: pico(value, PICO_PER_MTOK_DOLLAR) for key, value in values.items() if key.endswith("_mtok")}
        request = values.get("requests_kcount")
        if "input_mtok" not in per_token and "output_mtok" not in per_token and request is None:
            return None
        return Prices(
            input=per_token.get("input_mtok", 0),
            output=per_token.get("output_mtok", 0),
            cache_read=per_token.get("cache_read_mtok"),
            cache_write=per_token.get("cache_write_mtok"),
            reasoning=per_token.get("output_reasoning_mtok"),
            request=pico(request, PICO_PER_KCOUNT_DOLLAR) if request is not None else 0,
            source=self._source,
        )

    def _active(self, prices: Any) -> Any:
        """The price in force now: the last whose date has come. Of prices by time of day the dearest is taken, since a
        Snapshot lives longer than that and a budget must not be overrun.
        """
        if not isinstance(prices, list):
            return prices
        return max(self._candidates(prices), key=_dearness, default=None)

    def _candidates(self, prices: Sequence[Any]) -> Iterator[Any]:
        for conditional in reversed(prices):
            constraint = conditional.constraint
            if constraint is not None and not hasattr(constraint, "start_date"):
                yield conditional.prices
            elif constraint is None or constraint.active(self._now):
                yield conditional.prices
                return
        if prices:
            yield prices[0].prices


def _dearness(price: Any) -> Decimal:
    values = vars(price)
    known = (values.get(name) for name in ("input_mtok", "output_mtok"))
    return sum((Decimal(getattr(value, "base", value)) for value in known if value is not None), Decimal())


def _literals(clause: Any) -> Iterator[str]:
    """The names a match clause spells out."""
    for inner in getattr(clause, "or_", ()):
        yield from _literals(inner)
    for name in ("equals", "starts_with"):
        value = getattr(clause, name, None)
        if value is not None:
            yield value


def pico(value: Any, scale: int) -> int:
    """A listed price in pico-dollars for one unit; of tiers, the base."""
    base = getattr(value, "base", value)
    return int((Decimal(base) * scale).to_integral_value())
