"""Costs: every part of a bill by its own price, exact, rounded once."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.money import Prices, Tier
from routeiq.core.usage import MOST_TOKENS, Usage
from support.bills import MAYBE, PART, PRICE, PRICES, usages

COUNTS = [name for name, kind in Usage.__annotations__.items() if kind == "int" and name != "requests"]


def bill(prices: Prices, usage: Usage) -> Fraction:
    """The same, line by line as on an invoice, in pico-dollars."""
    rates = prices.services.get(usage.service_tier, prices)
    rates = next((tier.prices for tier in rates.above if usage.prompt > tier.start), rates)

    def price(name: str, *others: str) -> int:
        own = getattr(rates, name)
        return price(*others) if own is None else int(own)

    audio, image = usage.audio_in - usage.cached_audio, usage.image_in - usage.cached_image
    cached = usage.cached - usage.cached_audio - usage.cached_image
    text = usage.prompt - cached - usage.written - usage.written_1h - usage.audio_in - usage.image_in
    said = usage.completion - usage.reasoning - usage.audio_out - usage.image_out
    return Fraction(
        text * price("input")
        + cached * price("cache_read", "input")
        + usage.written * price("cache_write", "input")
        + usage.written_1h * price("cache_write_1h", "cache_write", "input")
        + audio * price("audio_in", "input")
        + usage.cached_audio * price("cached_audio", "cache_read", "input")
        + image * price("image_in", "input")
        + usage.cached_image * price("cached_image", "cache_read", "input")
        + said * price("output")
        + usage.reasoning * price("reasoning", "output")
        + usage.audio_out * price("audio_out", "output")
        + usage.image_out * price("image_out", "output")
        + usage.images_in * rates.images_in
        + usage.images * rates.images
        + usage.requests * rates.request
        + usage.searches * rates.search
        + usage.searches_low * price("search_low", "search")
        + usage.searches_high * price("search_high", "search")
        + usage.units * rates.unit
    ) + Fraction(round(usage.seconds * 10**6) * rates.second, 10**6)


@given(PRICES, usages())
def test_a_cost_is_the_bill_to_the_nano_dollar(prices: Prices, usage: Usage) -> None:
    assert abs(prices.cost(usage) - bill(prices, usage) / 1000) <= Fraction(501, 1000)


@given(PRICES, PART, PART)
def test_an_estimate_is_the_cost_of_those_tokens(prices: Prices, prompt: int, completion: int) -> None:
    assert prices.estimate(prompt, completion) == prices.cost(Usage(prompt, completion))


@given(PRICE, PRICE, MAYBE, st.builds(Usage, prompt=PART, completion=PART, cached=PART))
def test_the_short_way_and_the_long_one_agree(input: int, output: int, read: int | None, usage: Usage) -> None:
    plain = Prices(input, output, read)
    full = Prices(input, output, read, unit=1)
    assert (plain.plain, full.plain) == (True, False)
    assert plain.cost(usage) == full.cost(usage)


@given(PRICES)
def test_prices_survive_the_way_to_a_worker(prices: Prices) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(prices), type=Prices) == prices


@pytest.mark.parametrize(("prompt", "nanos"), [(200_000, 200_000 * 1250 + 10_000), (200_001, 200_001 * 2500 + 15_000)])
def test_over_the_threshold_all_tokens_cost_the_tier(prompt: int, nanos: int) -> None:
    prices = Prices(1_250_000, 10_000_000, above=(Tier(200_000, Prices(2_500_000, 15_000_000)),))
    assert prices.cost(Usage(prompt, 1)) == nanos


@pytest.mark.parametrize("name", [name for name in Usage.__struct_fields__ if name not in (
    "prompt", "completion", "cached", "written", "reasoning", "estimated")])  # fmt: skip
def test_what_is_rare_is_known_as_such(name: str) -> None:
    usage = Usage(1, 2, 3, 4, 5)
    assert not usage.rare
    setattr(usage, name, "batch" if name == "service_tier" else 2)
    assert usage.rare


ANY = st.integers(-(10**19), 10**19) | st.integers(-5, 50)


@given(st.builds(Usage, **dict.fromkeys(COUNTS, ANY)), PRICES)
def test_whatever_is_said_adds_up(usage: Usage, prices: Prices) -> None:
    usage.bound()
    fresh_audio, fresh_image = usage.audio_in - usage.cached_audio, usage.image_in - usage.cached_image
    assert usage.cached + usage.written + usage.written_1h + fresh_audio + fresh_image <= usage.prompt <= MOST_TOKENS
    assert usage.cached_audio + usage.cached_image <= usage.cached
    assert usage.reasoning + usage.audio_out + usage.image_out <= usage.completion <= MOST_TOKENS
    assert all(0 <= getattr(usage, name) <= MOST_TOKENS for name in COUNTS)
    assert min(fresh_audio, fresh_image) >= 0
    assert prices.cost(usage) >= 0


@given(usages())
def test_what_adds_up_stays(usage: Usage) -> None:
    before = msgspec.structs.replace(usage)
    usage.bound()
    assert usage == before


def test_audio_that_can_not_be_fresh_was_cached() -> None:
    usage = Usage(prompt=100, cached=90, audio_in=30)
    usage.bound()
    assert usage == Usage(prompt=100, cached=90, audio_in=30, cached_audio=20)
