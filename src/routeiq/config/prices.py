"""Prices at compile time: the configuration's own, else the table bundled with genai-prices. Never the network.

genai-prices (MIT) lists US dollars per million tokens, thousand searches or hours of audio, with tiers by the size of
the prompt and variants by service tier.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import Any

import msgspec

from routeiq.config.schema.prices import PriceFields, SearchPrices
from routeiq.core.money import PICO_PER_DOLLAR, Prices, Tier, pico_per_unit

DEMO_PRICES = Prices(input=150_000, output=600_000, cache_read=75_000, source="demo")
"""What the embedded provider pretends to cost: 0.15 and 0.60 dollars per million tokens."""
PER_MTOK = Decimal(10**6)
"""Pico-dollars for one token at one dollar per million."""
PER_THOUSAND = Decimal(10**9)
PER_HOUR = Decimal(PICO_PER_DOLLAR) / 3600
LISTED = {
    "input_mtok": ("input", PER_MTOK),
    "output_mtok": ("output", PER_MTOK),
    "cache_read_mtok": ("cache_read", PER_MTOK),
    "cache_write_mtok": ("cache_write", PER_MTOK),
    "cache_write_1h_mtok": ("cache_write_1h", PER_MTOK),
    "output_reasoning_mtok": ("reasoning", PER_MTOK),
    "input_audio_mtok": ("audio_in", PER_MTOK),
    "output_audio_mtok": ("audio_out", PER_MTOK),
    "cache_audio_read_mtok": ("cached_audio", PER_MTOK),
    "input_image_mtok": ("image_in", PER_MTOK),
    "output_image_mtok": ("image_out", PER_MTOK),
    "cache_image_read_mtok": ("cached_image", PER_MTOK),
    "requests_kcount": ("request", PER_THOUSAND),
    "web_searches_kcount": ("search", PER_THOUSAND),
    "audio_hours": ("second", PER_HOUR),
    "input_audio_hours": ("second", PER_HOUR),
}
"""The table's names: ours, and pico-dollars for one unit at one dollar of the table's."""
CONTEXTS = ("processing", "service_tier", "speed")
"""What the table's variants depend on that is a service tier to us."""


TOKENS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
"""LiteLLM's names of the prices that depend on the prompt's size and the service tier, by ours."""
OTHERS = {
    "reasoning": "output_cost_per_reasoning_token",
    "request": "input_cost_per_request",
    "audio_in": "input_cost_per_audio_token",
    "audio_out": "output_cost_per_audio_token",
    "cached_audio": "cache_read_input_audio_token_cost",
    "image_in": "input_cost_per_image_token",
    "image_out": "output_cost_per_image_token",
    "cached_image": "cache_read_input_image_token_cost",
    "images_in": "input_cost_per_image",
    "images": "output_cost_per_image",
    "unit": "input_cost_per_query",
}
SEARCHES = {"search": "medium", "search_low": "low", "search_high": "high"}
"""Sizes of `search_context_cost_per_query`."""
SECONDS = ("input_cost_per_second", "output_cost_per_second")
THRESHOLDS = (128, 200, 256, 272)
"""Of `_above_200k_tokens` and its like, in thousands of tokens."""
SERVICES = {"batch": "_batches", "flex": "_flex", "priority": "_priority"}
"""Endings of LiteLLM's names by `Usage.service_tier`."""


def configured_prices(*sections: PriceFields) -> Prices | None:
    """Prices from the configuration; a section that comes first wins, field by field. `None` when it has none."""
    found: dict[str, int] = {}
    for section in reversed(sections):
        for name in PriceFields.model_fields:
            value = getattr(section, name)
            if isinstance(value, SearchPrices):
                sizes = ((size, getattr(value, f"search_context_size_{size}")) for size in SEARCHES.values())
                found.update((f"search_{size}", pico_per_unit(cost)) for size, cost in sizes if cost is not None)
            elif value is not None:
                found[name] = pico_per_unit(value)
    if not found:
        return None
    seconds = [found[name] for name in SECONDS if name in found]
    usual = (
        _named(found, TOKENS)
        | _named(found, OTHERS)
        | _named(found, {ours: f"search_{size}" for ours, size in SEARCHES.items()})
        | {"second": max(seconds, default=0), "timed": bool(seconds), "source": "config"}
    )
    services = {}
    for tier, ending in SERVICES.items():
        own = _named(found, TOKENS, ending)
        above = _above(found, usual | own, ending)
        if own or above:
            services[tier] = Prices(**usual | own, above=above)
    return Prices(**usual, above=_above(found, usual), services=services)


def _named(found: Mapping[str, int], names: Mapping[str, str], ending: str = "") -> dict[str, Any]:
    return {ours: found[theirs + ending] for ours, theirs in names.items() if theirs + ending in found}


def _above(found: Mapping[str, int], usual: dict[str, Any], ending: str = "") -> tuple[Tier, ...]:
    """The tiers by size of the prompt, each with what the one below it has."""
    tiers: list[Tier] = []
    for thousands in THRESHOLDS:
        own = _named(found, TOKENS, f"_above_{thousands}k_tokens{ending}")
        if own:
            usual = usual | own
            tiers.insert(0, Tier(thousands * 1000, Prices(**usual)))
    return tuple(tiers)


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

    def context_window(self, provider: str | None, model: str) -> int | None:
        """Tokens a provider's model takes at once; `None` when the table does not say."""
        entry = self._entry(provider) if provider is not None else None
        found = entry.find_model(model, all_providers=self._providers) if entry is not None else None
        return found.context_window if found is not None else None

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
        usual = _known(own)
        prices = self._tiered(usual)
        if not usual.keys() & {"input", "output", "request", "second"}:
            return None
        services: dict[str, Prices] = {}
        for variant in model.price_variants or ():
            ((context, value), *others) = variant.when.items()
            if context in CONTEXTS and not others and self._in_force(variant.constraint):
                services[value] = self._tiered(usual | _known(variant.prices))
        return msgspec.structs.replace(prices, services=services)

    def _tiered(self, values: Mapping[str, tuple[Any, Decimal]]) -> Prices:
        """Prices with their tiers: over a tier's start all tokens cost what it says."""
        starts = sorted({tier.start for value, _ in values.values() for tier in getattr(value, "tiers", ())})

        def at(start: int) -> dict[str, Any]:
            return {name: pico(value, scale, start) for name, (value, scale) in values.items()}

        above = tuple(Tier(start, Prices(**at(start), source=self._source)) for start in reversed(starts))
        return Prices(**at(-1), source=self._source, above=above)

    def _in_force(self, constraint: Any) -> bool:
        return constraint is None or bool(constraint.active(self._now))

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
            elif self._in_force(constraint):
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


def _known(price: Any) -> dict[str, tuple[Any, Decimal]]:
    """What the table says that we bill by: the price as listed and pico-dollars per listed dollar, by our names."""
    listed = {key: value for key, value in vars(price).items() if value is not None}
    return {name: (listed[key], scale) for key, (name, scale) in LISTED.items() if key in listed}


def pico(value: Any, scale: Decimal | int, start: int = -1) -> int:
    """A listed price in pico-dollars for one unit; of tiers, the last that starts at `start` or below, or the base."""
    price = getattr(value, "base", value)
    for tier in getattr(value, "tiers", ()):
        if tier.start <= start:
            price = tier.price
    return int((Decimal(price) * scale).to_integral_value())
