"""What the endpoints about spend have in common: dates, money, and whose requests a caller may see."""

from __future__ import annotations

import datetime
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Response

from routeiq.control.access import VIEWERS
from routeiq.core.errors import BadRequest, Forbidden
from routeiq.store.activity import ALL, Seen, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routeiq.control.access import Caller

EPOCH = datetime.date(1970, 1, 1)
MOST_DAYS = 20 * 366
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_encode = msgspec.json.Encoder(enc_hook=lambda value: value.isoformat()).encode


def answer(data: Any) -> Response:
    """JSON."""
    return Response(_encode(data), media_type="application/json")


def usd(nano: int) -> float:
    """Nano-dollars as dollars."""
    return nano / 1e9


def seen_by(caller: Caller) -> Seen:
    """An admin sees all; a user its own and what its key did; admins of teams and organizations what is in there."""
    if caller.sees_all:
        return ALL
    own = frozenset((caller.user_id,)) - {""}
    keys = frozenset((caller.digest,)) - {""}
    if caller.role in VIEWERS:
        return Seen(all=False, keys=keys, users=own)
    standing = caller.standing
    return Seen(all=False, keys=keys, users=own, teams=standing.admin_teams, organizations=standing.admin_organizations)


def need(allowed: bool, what: str) -> None:
    """Raises `Forbidden` for somebody else's spend."""
    if not allowed:
        raise Forbidden(f"This key may not see the spend of {what}.", code="not_allowed")


def day(text: str | None, name: str) -> int:
    """Days since 1970 of a date, which may have a time. Raises `BadRequest`."""
    if not text:
        raise BadRequest("Please provide start_date and end_date", param=name, code="missing_parameter")
    return moment(text, name) // 86_400_000_000


def moment(text: str, name: str, *, end: bool = False) -> int:
    """Unix microseconds of a date, or a date and time, in UTC; with `end` of a date's last moment.

    Raises `BadRequest`.
    """
    text = text.strip()
    try:
        found = datetime.date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return _micros(datetime.datetime.combine(found, datetime.time(), datetime.UTC)) + (86_399_999_999 if end else 0)
    for form in _FORMATS:
        try:
            when = datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
        return _micros(when) + (999_999 if end else 0)
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            f"{name} must be a date such as 2027-01-31, or a date and time such as 2027-01-31 12:00:00",
            param=name,
            code="invalid_parameter",
        ) from None
    return _micros(when if when.tzinfo else when.replace(tzinfo=datetime.UTC))


def _micros(when: datetime.datetime) -> int:
    return int((when - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) / datetime.timedelta(microseconds=1))


def days(start: str | None, end: str | None) -> tuple[int, int]:
    """The first and the last day asked for. Raises `BadRequest`."""
    first, last = day(start, "start_date"), day(end, "end_date")
    if last < first or last - first > MOST_DAYS:
        raise BadRequest("end_date must not be before start_date", param="end_date", code="invalid_parameter")
    return first, last


def iso_day(number: int) -> str:
    """`2027-01-31`."""
    return (EPOCH + datetime.timedelta(days=number)).isoformat()


def digest(key: str) -> str:
    """A key, or its hash, as its hash."""
    return hashlib.sha256(key.encode()).hexdigest() if key.startswith("sk-") else key


def listed(text: str | None) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else []


def wanted(
    caller: Caller,
    start: str | None,
    end: str | None,
    *,
    kind: str = "",
    only: Mapping[str, Sequence[str]] | None = None,
) -> Wanted:
    """What a caller asks for and may see. Filters without a value are none. Raises `BadRequest`."""
    first, last = days(start, end)
    given = {name: values for name, values in (only or {}).items() if values}
    return Wanted(first, last, seen_by(caller), kind, given)
