"""Periods of budgets, by the calendar of a time zone.

`1d` begins at midnight, `7d` and `1w` on Mondays, `30d` and `1mo` on the first of a month; hours, minutes and seconds
on multiples since midnight: as LiteLLM resets budgets (https://docs.litellm.ai/docs/proxy/users#reset-budgets). Of
other numbers of days, weeks and months the periods lie on a grid that begins on Monday, 5 January 1970.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FOR_EVER = 1
"""The number of the one period of a budget without a duration."""
_DURATION = re.compile(r"([1-9]\d{0,8})(mo|[smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAY = 86_400
_FIRST = date(1970, 1, 5)
_MOST_DAYS = 36_600
"""A century."""


def check_duration(text: str) -> None:
    """Raise `ValueError` for what is no duration of a budget."""
    _parsed(text)


def _parsed(text: str) -> tuple[int, str]:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("must be a number and s, m, h, d, w or mo: 30s, 5m, 2h, 1d, 7d, 30d, 1mo")
    number, unit = int(found[1]), found[2]
    if unit in _SECONDS and number * _SECONDS[unit] >= _DAY:
        number, rest = divmod(number * _SECONDS[unit], _DAY)
        if rest:
            raise ValueError("must be a whole number of days where it is longer than one")
        unit = "d"
    if unit == "w":
        number, unit = 7 * number, "d"
    if number * {"d": 1, "mo": 31}.get(unit, 0) > _MOST_DAYS:
        raise ValueError("must not be longer than a century")
    if (number, unit) == (30, "d"):
        number, unit = 1, "mo"
    return number, unit


class Period:
    """The periods of one duration in one time zone. Times are Unix seconds; not to be shared between threads."""

    __slots__ = ("_begin", "_end", "_number", "_unit", "_zone", "duration")

    def __init__(self, duration: str, zone: str = "UTC") -> None:
        """An empty `duration` is for ever. Raises `ValueError`, or `ZoneInfoNotFoundError` for an unknown zone."""
        self.duration = duration
        self._zone = ZoneInfo(zone)
        self._number, self._unit = _parsed(duration) if duration else (0, "")
        self._begin, self._end = (0.0, float("inf")) if not duration else (0.0, 0.0)

    def number(self, now: float) -> int:
        """What names the period: the second it began at, or `FOR_EVER`."""
        if not self._begin <= now < self._end:
            self._begin, self._end = self._find(now)
        return int(self._begin) or FOR_EVER

    def bounds(self, now: float) -> tuple[float, float]:
        """The beginning of the period and that of the next; (0, infinity) for ever."""
        self.number(now)
        return self._begin, self._end

    def _find(self, now: float) -> tuple[float, float]:
        number, unit = self._number, self._unit
        today = datetime.fromtimestamp(now, self._zone).date()
        if unit == "mo":
            month = (today.year * 12 + today.month - 1) // number * number
            return self._midnight(_month(month)), self._midnight(_month(month + number))
        if unit == "d":
            first = today - timedelta(days=(today - _FIRST).days % number)
            return self._midnight(first), self._midnight(first + timedelta(days=number))
        length = number * _SECONDS[unit]
        begin = self._midnight(today)
        begin += (now - begin) // length * length
        return begin, min(begin + length, self._midnight(today + timedelta(days=1)))

    def _midnight(self, day: date) -> float:
        return datetime.combine(day, time(), self._zone).timestamp()


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)
