"""Money without floats: costs are integer nano-dollars, prices integer pico-dollars per token.

Pico because list prices go below a nano-dollar per token (0.0375 USD per million tokens is 37.5 nano-dollars
each); a request's cost is summed in pico-dollars and rounded once, half up.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

NANO_PER_DOLLAR = 10**9
PICO_PER_DOLLAR = 10**12


class Prices(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unit prices in pico-dollars. A `None` falls back to the price named in its comment."""

    input: int = 0
    output: int = 0
    cache_read: int | None = None  # input
    cache_write: int | None = None  # input
    reasoning: int | None = None  # output
    request: int = 0
    source: str = ""
    """Where the prices come from: `config`, `genai-prices <version>`, `demo`."""

    def cost(self, prompt: int, completion: int, cached: int = 0, written: int = 0, reasoning: int = 0) -> int:
        """Nano-dollars for one request. `cached` and `written` are parts of `prompt`, `reasoning` of `completion`."""
        pico = self.request + prompt * self.input + completion * self.output
        if cached and self.cache_read is not None:
            pico += cached * (self.cache_read - self.input)
        if written and self.cache_write is not None:
            pico += written * (self.cache_write - self.input)
        if reasoning and self.reasoning is not None:
            pico += reasoning * (self.reasoning - self.output)
        return (pico + 500) // 1000


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
