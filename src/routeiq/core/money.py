"""Money without floats: costs are integer nano-dollars, prices integer pico-dollars per token or other unit.

Pico because list prices go below a nano-dollar per token (0.0375 USD per million tokens is 37.5 nano-dollars
each); a request's cost is summed in pico-dollars and rounded once, half up.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from routeiq.core.usage import Usage

NANO_PER_DOLLAR = 10**9
PICO_PER_DOLLAR = 10**12
_MICRO = 10**6


class Tier(msgspec.Struct, frozen=True):
    """The prices of a request whose prompt has more than `start` tokens: of all its tokens, not of those above."""

    start: int
    prices: Prices


class Prices(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unit prices in pico-dollars, each for the count of `Usage` it is named after or that stands beside it. Where it
    is `None`, the price named beside it counts.
    """

    input: int = 0  # prompt
    output: int = 0  # completion
    cache_read: int | None = None  # cached; input
    cache_write: int | None = None  # written; input
    reasoning: int | None = None  # output
    request: int = 0  # requests
    source: str = ""
    """Where the prices come from: `config`, `genai-prices <version>`, `demo`."""
    cache_write_1h: int | None = None  # written_1h; cache_write
    audio_in: int | None = None  # input
    audio_out: int | None = None  # output
    cached_audio: int | None = None  # cache_read
    image_in: int | None = None  # input
    image_out: int | None = None  # output
    cached_image: int | None = None  # cache_read
    images_in: int = 0
    images: int = 0
    search: int = 0  # searches
    search_low: int | None = None  # searches_low; search
    search_high: int | None = None  # searches_high; search
    unit: int = 0  # units
    second: int = 0  # seconds
    timed: bool = False
    """`second` is for computing: of a request that has no `seconds` it is the provider's time that counts."""
    above: tuple[Tier, ...] = ()
    """By size of the prompt, the highest `start` first; their prices have no tiers and no services of their own."""
    services: dict[str, Prices] = {}
    """By `Usage.service_tier`; what is not here costs the same as usual."""
    plain: bool = True
    """Nothing is set but `input`, `output` and `cache_read`. Worked out, whatever is given."""

    def __post_init__(self) -> None:
        optional = (
            self.cache_write, self.reasoning, self.cache_write_1h, self.audio_in, self.audio_out, self.cached_audio,
            self.image_in, self.image_out, self.cached_image, self.search_low, self.search_high,
        )  # fmt: skip
        numbers = (self.request, self.images_in, self.images, self.search, self.unit, self.second)
        plain = not (any(price is not None for price in optional) or any(numbers) or self.above or self.services)
        msgspec.structs.force_setattr(self, "plain", plain)

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for one request."""
        if not self.plain:
            return self._full(usage)
        pico = usage.prompt * self.input + usage.completion * self.output
        if usage.cached and self.cache_read is not None:
            pico += usage.cached * (self.cache_read - self.input)
        return (pico + 500) // 1000

    def estimate(self, prompt: int, completion: int) -> int:
        """Nano-dollars for a request to come, by its tokens alone."""
        if self.plain:
            return (prompt * self.input + completion * self.output + 500) // 1000
        return self._full(Usage(prompt, completion))

    def _full(self, usage: Usage) -> int:
        rates = self
        if usage.service_tier and self.services:
            rates = self.services.get(usage.service_tier, self)
        if rates.above:
            for tier in rates.above:
                if usage.prompt > tier.start:
                    rates = tier.prices
                    break
        input, output = rates.input, rates.output
        pico = usage.requests * rates.request + usage.prompt * input + usage.completion * output
        read = input if rates.cache_read is None else rates.cache_read
        if usage.cached:
            pico += usage.cached * (read - input)
        if usage.written and rates.cache_write is not None:
            pico += usage.written * (rates.cache_write - input)
        if usage.reasoning and rates.reasoning is not None:
            pico += usage.reasoning * (rates.reasoning - output)
        if usage.rare:
            pico += rates._rare(usage, input, output, read)
        return (pico + 500) // 1000

    def _rare(self, usage: Usage, input: int, output: int, read: int) -> int:
        """Pico-dollars that come on top for the parts few requests have."""
        write = _or(self.cache_write_1h, _or(self.cache_write, input))
        audio, image = _or(self.audio_in, input), _or(self.image_in, input)
        micros = round(usage.seconds * _MICRO)
        return (
            usage.written_1h * (write - input)
            + (usage.audio_in - usage.cached_audio) * (audio - input)
            + usage.cached_audio * (_or(self.cached_audio, read) - read)
            + (usage.image_in - usage.cached_image) * (image - input)
            + usage.cached_image * (_or(self.cached_image, read) - read)
            + usage.audio_out * (_or(self.audio_out, output) - output)
            + usage.image_out * (_or(self.image_out, output) - output)
            + usage.images_in * self.images_in
            + usage.images * self.images
            + usage.searches * self.search
            + usage.searches_low * _or(self.search_low, self.search)
            + usage.searches_high * _or(self.search_high, self.search)
            + usage.units * self.unit
            + (micros * self.second + _MICRO // 2) // _MICRO
        )


def _or(price: int | None, other: int) -> int:
    return other if price is None else price


def pico_per_unit(dollars: Decimal | float | str) -> int:
    """A price in dollars per token (or per request) as pico-dollars, rounded half even."""
    value = dollars if isinstance(dollars, Decimal) else Decimal(str(dollars))
    return int((value * PICO_PER_DOLLAR).to_integral_value())


def nano(dollars: Decimal | float | str) -> int:
    """An amount in dollars as nano-dollars."""
    value = dollars if isinstance(dollars, Decimal) else Decimal(str(dollars))
    return int((value * NANO_PER_DOLLAR).to_integral_value())


def dollars(nanos: int) -> str:
    """Nano-dollars as a plain decimal string without trailing zeros: `0.0000015`."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    whole, part = divmod(nanos, NANO_PER_DOLLAR)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".") if part else f"{sign}{whole}"
