"""Field types shared by the sections. Text from the environment counts as the number or flag it spells."""

from __future__ import annotations

import datetime
import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from routeiq.core.periods import check_duration

DAY = 86_400
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY, "mo": 30 * DAY}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|mo|s|m|h|d|w)")
_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b|)", re.I)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_BIGGEST = 2**53


class Section(BaseModel):
    """Base of every section: names that are not declared are refused, types are not guessed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
        populate_by_name=True,
    )


def _number(value: Any) -> float:
    """A finite number, or text that spells one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    if not math.isfinite(value) or abs(value) > _BIGGEST:
        raise ValueError("must be a finite number")
    return value


def _whole(value: Any) -> int:
    """A whole number, or text that spells one."""
    number = _number(value)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def seconds(value: Any) -> float:
    """A duration in seconds from a number of seconds or text such as `500ms`, `30s`, `5m`, `1h`, `30d`, `1mo`.

    A month is 30 days.
    """
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found:
            return _number(float(found[1]) * _UNITS[found[2]])
        if not _NUMBER.fullmatch(value.strip()):
            raise ValueError("must be seconds, or a duration such as 500ms, 30s, 5m, 1h, 30d or 1mo")
    return _number(value)


def budget_duration(value: Any) -> str:
    """A period of a budget as `core.periods` has it: text such as `1d`, or a number of seconds."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or _NUMBER.fullmatch(text):
        text = f"{_whole(value)}s"
    check_duration(text)
    return text


def size(value: Any) -> int:
    """Bytes from a number or text such as `10MB` (10^7) or `10MiB` (10 * 2^20)."""
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found and found[2].lower() in _SIZES:
            return _whole(round(float(found[1]) * _SIZES[found[2].lower()]))
        raise ValueError("must be bytes, or a size such as 512KiB or 10MB")
    return _whole(value)


def _flag(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _printable(value: str) -> str:
    if not value or len(value) > 512 or any(not " " <= c <= "~" for c in value):
        raise ValueError("must be 1 to 512 printable ASCII characters")
    return value


def moment(value: Any) -> float:
    """Unix seconds of an ISO 8601 date or date and time; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            when = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("must be an ISO 8601 date such as 2027-01-31 or 2027-01-31T12:00:00Z") from None
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
    raise ValueError("must be an ISO 8601 date such as 2027-01-31 or 2027-01-31T12:00:00Z")


Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_printable)]
"""A name that may stand in a header."""
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Positive = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Amount = Annotated[float, BeforeValidator(_number), Field(ge=0)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
PositiveSeconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
BudgetDuration = Annotated[str, BeforeValidator(budget_duration)]
Bytes = Annotated[int, BeforeValidator(size), Field(ge=1)]
Port = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=65_535)]
Moment = Annotated[float, BeforeValidator(moment)]
