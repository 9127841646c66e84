"""Any prices and any usage a provider may report, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from routeiq.core.money import Prices, Tier
from routeiq.core.usage import Usage

PRICE = st.integers(0, 10**9)
MAYBE = st.none() | PRICE
FLAT: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("input", "output", "request", "images_in", "images", "search", "unit", "second"), PRICE),
    **dict.fromkeys(
        (
            "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_in", "audio_out", "cached_audio",
            "image_in", "image_out", "cached_image", "search_low", "search_high",
        ),
        MAYBE,
    ),
}  # fmt: skip
FLAT_PRICES = st.builds(Prices, **FLAT)
TIERS = st.lists(st.tuples(st.integers(0, 2000), FLAT_PRICES), max_size=3, unique_by=lambda tier: tier[0]).map(
    lambda tiers: tuple(Tier(start, prices) for start, prices in sorted(tiers, key=lambda tier: -tier[0]))
)
SERVICES = st.dictionaries(st.sampled_from(["batch", "flex", "priority"]), st.builds(Prices, **FLAT, above=TIERS))
PRICES = st.builds(Prices, **FLAT, above=TIERS, services=SERVICES)
PART = st.integers(0, 300)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """What a provider may say: parts that fit in their totals."""
    parts: dict[str, Any] = {name: draw(PART) for name in ("cached", "written", "written_1h", "audio_in", "image_in")}
    out: dict[str, Any] = {name: draw(PART) for name in ("reasoning", "audio_out", "image_out")}
    cached_audio = draw(st.integers(0, min(parts["audio_in"], parts["cached"])))
    cached_image = draw(st.integers(0, min(parts["image_in"], parts["cached"] - cached_audio)))
    counts: dict[str, Any] = {
        name: draw(PART) for name in ("images_in", "images", "searches", "searches_low", "searches_high")
    }
    return Usage(
        prompt=sum(parts.values()) + draw(PART),
        completion=sum(out.values()) + draw(PART),
        cached_audio=cached_audio,
        cached_image=cached_image,
        requests=draw(st.integers(0, 3)),
        units=draw(PART),
        seconds=draw(st.integers(0, 10**9)) / 10**6,
        service_tier=draw(st.sampled_from(["", "batch", "flex", "priority", "default"])),
        **parts,
        **out,
        **counts,
    )
