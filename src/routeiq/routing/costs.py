"""What a candidate will probably cost, by its prices."""

from __future__ import annotations

from routeiq.core.money import NANO_PER_DOLLAR, PICO_PER_DOLLAR
from routeiq.routing.strategy import UNKNOWN, Candidate, Query

EXPECTED_OUTPUT = 256
"""Tokens of an answer nobody knows more about."""


def expected(candidate: Candidate, query: Query, output: float | None = None) -> float:
    """US dollars for the query with an answer of `output` tokens; `UNKNOWN` without prices."""
    if candidate.prices is None:
        return UNKNOWN
    tokens = EXPECTED_OUTPUT if output is None else round(output)
    if query.max_output is not None:
        tokens = min(tokens, query.max_output)
    return candidate.prices.estimate(query.tokens, tokens) / NANO_PER_DOLLAR


def per_thousand(candidate: Candidate) -> float:
    """US dollars for a thousand tokens, half of them in and half out; `UNKNOWN` without prices."""
    if candidate.prices is None:
        return UNKNOWN
    return (candidate.prices.input + candidate.prices.output) / 2 * 1000 / PICO_PER_DOLLAR
