"""Prices: exact, from the configuration or the bundled table."""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal

import pytest
from config_helpers import NOW

from routeiq.config.prices import PriceTable, pico
from routeiq.core.money import pico_per_unit
from routeiq.core.usage import Usage

TABLE = PriceTable(NOW)


@pytest.mark.parametrize(
    ("provider", "model", "prompt", "completion", "cached", "nanos"),
    [
        ("openai", "gpt-4o", 1000, 500, 0, 7_500_000),
        ("openai", "gpt-4o", 1000, 500, 400, 7_000_000),
        ("openai", "gpt-4o-mini", 1, 1, 0, 750),
        ("openai", "gpt-4o-2024-08-06", 3, 7, 0, 77_500),
        ("openai", "text-embedding-3-small", 7, 0, 0, 140),
        ("azure", "gpt-4o", 1000, 0, 0, 2_500_000),
    ],
)
def test_costs_to_the_nano_dollar(
    provider: str, model: str, prompt: int, completion: int, cached: int, nanos: int
) -> None:
    prices = TABLE.find(provider, model)
    assert prices is not None
    assert prices.cost(Usage(prompt, completion, cached)) == nanos
    assert prices.source.startswith("genai-prices ")


def test_tiers_give_their_base() -> None:
    prices = TABLE.find("google", "gemini-2.5-pro")
    assert prices is not None
    assert (prices.input, prices.output) == (1_250_000, 10_000_000)


def test_prices_with_a_start_date_wait_for_it() -> None:
    early = PriceTable(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    assert early.find("openai", "o3") is not None
    assert early.find("openai", "o3") != TABLE.find("openai", "o3")


def test_of_prices_by_time_of_day_the_dearest_counts() -> None:
    prices = TABLE.find("deepseek", "deepseek-chat")
    assert prices is not None
    assert (prices.input, prices.output, prices.cache_read) == (270_000, 1_100_000, 70_000)


@pytest.mark.parametrize(("provider", "model"), [(None, "gpt-4o"), ("nobody", "gpt-4o"), ("openai", "no-such-model")])
def test_what_is_not_listed_has_no_price(provider: str | None, model: str) -> None:
    assert TABLE.find(provider, model) is None


def test_a_base_model_is_found_at_its_maker() -> None:
    assert TABLE.find_anywhere("gpt-4o") == TABLE.find("openai", "gpt-4o")
    assert TABLE.find_anywhere("nothing of the kind") is None


def test_listings_hold_what_find_finds() -> None:
    listing = TABLE.listing("openai")
    assert len(listing) > 50
    assert listing["gpt-4o"] == TABLE.find("openai", "gpt-4o")
    assert TABLE.listing("nobody") == {}


def test_units() -> None:
    assert pico(Decimal("0.0375"), 10**6) == 37_500
    assert pico_per_unit("0.0000000375") == 37_500


def test_the_table_is_not_read_before_it_is_asked() -> None:
    before = "genai_prices.data" in sys.modules
    PriceTable(NOW)
    assert ("genai_prices.data" in sys.modules) == before
