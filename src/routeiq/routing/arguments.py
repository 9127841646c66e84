"""Reads `routing_strategy_args`: every argument is checked, and one nobody knows is a mistake."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any


class Arguments:
    """The arguments of one strategy. Every method raises `ValueError` that names the argument."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        self._args = args
        self._known: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """As it is written."""
        self._known.add(name)
        value = self._args.get(name)
        return default if value is None else value

    def number(self, name: str, default: float, least: float = -math.inf, most: float = math.inf) -> float:
        """A finite number in a range."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number")
        if not least <= value <= most:
            raise ValueError(f"{name} must be from {least:g} to {most:g}")
        return float(value)

    def count(self, name: str, default: int, least: int = 0) -> int:
        """A whole number."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number, {least} or more")
        return value

    def text(self, name: str, default: str = "") -> str:
        """Text."""
        value = self.get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
        return value

    def one_of(self, name: str, words: tuple[str, ...]) -> str:
        """One of these words, the first where it is not given."""
        value = self.text(name, words[0])
        if value not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}")
        return value

    def patterns(self, name: str) -> dict[str, tuple[str, ...]]:
        """Model patterns, in order, by a name: a list, or one alone."""
        value = self.get(name, {})
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be a map of names to model patterns")
        return {str(key): _listed(f"{name}.{key}", patterns) for key, patterns in value.items()}

    def names(self, name: str) -> tuple[str, ...]:
        """A list of texts, or one alone."""
        return _listed(name, self.get(name, []))

    def done(self) -> None:
        """Nothing else may have been given."""
        unknown = sorted(set(self._args) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known)) or "none"
            raise ValueError(f"{unknown[0]} is not an argument of this strategy (they are: {known})")


def regex(name: str, pattern: str) -> re.Pattern[str]:
    """A pattern, compiled without regard to case."""
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{name}: {pattern!r} is not a regular expression: {error}") from None


def _listed(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{name} must be a list of texts")
    return tuple(value)
