"""Prices: exact, from the configuration or the bundled table."""

from __future__ import annotations

import datetime
import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from config_helpers import NOW
from genai_prices.types import ModelPrice

from routeiq.config.prices import PriceTable, configured_prices, pico
from routeiq.config.schema.prices import PriceFields
from routeiq.core.money import Prices, pico_per_unit
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


def test_tiers_are_by_size_of_the_prompt() -> None:
    prices = TABLE.find("google", "gemini-2.5-pro")
    assert prices is not None
    assert (prices.input, prices.output) == (1_250_000, 10_000_000)
    assert prices.cost(Usage(200_000, 100, 50_000)) == 150_000 * 1250 + 50_000 * 125 + 100 * 10_000
    assert prices.cost(Usage(200_001, 100, 50_000)) == 150_001 * 2500 + 50_000 * 250 + 100 * 15_000
    batch = prices.cost(Usage(200_001, 100, service_tier="batch"))
    assert batch == 200_001 * 1250 + 100 * 7500


def test_an_hour_in_the_cache_costs_more_than_five_minutes() -> None:
    prices = TABLE.find("anthropic", "claude-sonnet-4-5")
    assert prices is not None
    usage = Usage(1000, 10, cached=100, written=200, written_1h=300, searches=1)
    assert prices.cost(usage) == 400 * 3000 + 100 * 300 + 200 * 3750 + 300 * 6000 + 10 * 15_000 + 10_000_000


def test_sound_is_billed_by_token_or_by_the_second() -> None:
    realtime, whisper = TABLE.find("openai", "gpt-4o-realtime-preview"), TABLE.find("openai", "whisper-1")
    assert realtime is not None
    assert whisper is not None
    usage = Usage(300, 200, cached=50, audio_in=200, audio_out=150, cached_audio=50)
    assert realtime.cost(usage) == 100 * 5000 + 150 * 40_000 + 50 * 2500 + 50 * 20_000 + 150 * 80_000
    assert whisper.cost(Usage(seconds=90.0)) == 9_000_000
    assert not whisper.timed


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "aws", "x-ai", "mistral"])
def test_costs_agree_with_the_table_s_own(provider: str) -> None:
    from genai_prices import Usage as Theirs
    from genai_prices.data import providers

    entry = next(entry for entry in providers if entry.id == provider)
    compared = 0
    for name, prices in TABLE.listing(provider).items():
        model = entry.find_model(name)
        if model is None or prices.second or not isinstance(model.prices, ModelPrice) or not prices.output:
            continue
        for prompt in (1_000, 250_001, 300_000):
            counts: dict[str, int] = {"input_tokens": prompt, "output_tokens": 77, "cache_read_tokens": 300}
            usage = Usage(prompt, 77, 300)
            if prices.cache_write is not None:
                counts["cache_write_tokens"] = usage.written = 200
            theirs = model.prices.calc_price(Theirs(**counts))["total_price"]
            assert abs(prices.cost(usage) - theirs * 10**9) <= Decimal("0.5"), name
            compared += 1
    assert compared > 10


def configured(text: str) -> Prices:
    prices = configured_prices(PriceFields.model_validate(json.loads(text)))
    assert prices is not None
    return prices


@pytest.mark.parametrize("name", sorted(PriceFields.model_fields))
def test_every_price_field_counts(name: str) -> None:
    value: Any = {"search_context_size_high": 2.0} if name == "search_context_cost_per_query" else 2.0
    assert configured(json.dumps({name: value})) != Prices(source="config")


def test_prices_in_litellm_s_words() -> None:
    prices = configured(
        """{
        "input_cost_per_token": 3e-6, "output_cost_per_token": 15e-6, "cache_read_input_token_cost": 3e-7,
        "input_cost_per_token_above_200k_tokens": 6e-6, "output_cost_per_token_above_200k_tokens": 22.5e-6,
        "cache_creation_input_token_cost_above_1hr": 6e-6, "input_cost_per_audio_token": 1e-5,
        "input_cost_per_token_above_272k_tokens": 7e-6, "output_cost_per_image": 0.04, "input_cost_per_query": 0.002,
        "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02},
        "input_cost_per_token_batches": 1.5e-6, "input_cost_per_token_priority": 4e-6,
        "input_cost_per_token_above_200k_tokens_priority": 8e-6
        }"""
    )
    assert prices.cost(Usage(1000, 10, 100)) == 900 * 3000 + 100 * 300 + 10 * 15_000
    assert prices.cost(Usage(250_000, 10)) == 250_000 * 6000 + 10 * 22_500
    assert prices.cost(Usage(280_000, 10)) == 280_000 * 7000 + 10 * 22_500
    assert prices.cost(Usage(100, 0, written_1h=40, audio_in=10)) == 50 * 3000 + 40 * 6000 + 10 * 10_000
    assert prices.cost(Usage(images=2, units=3)) == 2 * 40_000_000 + 3 * 2_000_000
    assert prices.cost(Usage(searches=1, searches_low=2, searches_high=3)) == (20 + 2 * 10 + 3 * 20) * 1_000_000
    assert prices.cost(Usage(100, 1, service_tier="batch")) == 100 * 1500 + 15_000
    assert prices.cost(Usage(100, 1, service_tier="priority")) == 100 * 4000 + 15_000
    assert prices.cost(Usage(200_001, 1, service_tier="priority")) == 200_001 * 8000 + 15_000
    assert prices.cost(Usage(100, 1, service_tier="flex")) == 100 * 3000 + 15_000


def test_of_two_prices_by_the_second_the_dearer_counts_once() -> None:
    prices = configured('{"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0003}')
    assert (prices.second, prices.timed) == (300_000_000, True)
    assert prices.cost(Usage(5, 5, seconds=1.5)) == 450_000


def test_what_the_parameters_say_wins_over_the_model_s_info() -> None:
    first, second = (
        PriceFields(input_cost_per_token=1e-6),
        PriceFields(input_cost_per_token=2e-6, output_cost_per_token=3e-6),
    )
    assert configured_prices(first, second) == Prices(1_000_000, 3_000_000, source="config")
    assert configured_prices(PriceFields()) is None


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
