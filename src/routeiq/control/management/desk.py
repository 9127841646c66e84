"""What every endpoint of the management API works with: transactions, spend, who asks, and telling the workers."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from fastapi import Response
from sqlalchemy.exc import IntegrityError

from routeiq.control.auth import admin_name
from routeiq.core.errors import BadRequest, Forbidden, UnknownPath
from routeiq.core.periods import Period
from routeiq.store.compiled import durations

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.core.accounts import Accounts as Settings
    from routeiq.store.accounts import Accounts
    from routeiq.store.records import Limits, Spending

_encode = msgspec.json.Encoder().encode
E = TypeVar("E", bound=Callable[..., Any])


def answer(data: Any, status: int = 200) -> Response:
    """JSON."""
    return Response(_encode(data), status, media_type="application/json")


def missing(what: str, id: str) -> UnknownPath:
    """What is not there, or not for this caller to see: both in the same words."""
    return UnknownPath(f"There is no {what} {id!r}.")


def taken(what: str, id: str, param: str, status: int = 400) -> BadRequest:
    """An id or an alias that another one has."""
    return BadRequest(f"There is a {what} {id!r} already.", param=param, code="already_exists", status=status)


def denied(message: str, param: str | None = None) -> Forbidden:
    """Something the caller may not do with this object."""
    return Forbidden(message, code="not_allowed", param=param)


class Desk:
    """One plane, seen by the management API."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    @property
    def accounts(self) -> Accounts:
        """The database."""
        return self.plane.accounts

    @property
    def zone(self) -> str:
        """Whose calendar budgets go by."""
        return self.plane.current().auth.timezone

    @property
    def settings(self) -> Settings:
        """What the configuration says about accounts."""
        return self.plane.current().accounts

    def configured(self, digest: str) -> bool:
        """Whether the configuration has a key with this digest."""
        auth = self.plane.current().auth
        return digest in auth.keys or admin_name(digest, auth) is not None

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def published(self, keys: Iterable[str] = (), subjects: Iterable[str] = ()) -> None:
        """Tell the workers, after the transaction has committed."""
        self.plane.changes.publish(keys=tuple(keys), subjects=tuple(subjects))

    def reset_at(self, limits: Limits) -> float | None:
        """When the budget begins anew."""
        if not limits.budget_duration:
            return None
        return Period(limits.budget_duration, self.zone).bounds(self.now())[1]

    def spent(self, kind: str, id: str, limits: Limits, spending: Spending) -> int:
        """Nano-dollars in the current period of its budget, or ever."""
        return self._spent(kind, id, limits.budget_duration, spending)

    def _spent(self, kind: str, id: str, duration: str, spending: Spending) -> int:
        begin = Period(duration, self.zone).bounds(self.now())[0] if duration else 0.0
        carried = spending.carry.get(duration, 0) if spending.at >= begin else 0
        return self.plane.spend.spent(kind, id, begin) + carried

    def spent_many(self, kind: str, wanted: Iterable[tuple[str, Limits, Spending]]) -> dict[str, int]:
        """The same for many, in as few questions as there are periods."""
        by_duration: dict[str, dict[str, Spending]] = {}
        for id, limits, spending in wanted:
            by_duration.setdefault(limits.budget_duration, {})[id] = spending
        found: dict[str, int] = {}
        for duration, group in by_duration.items():
            begin = Period(duration, self.zone).bounds(self.now())[0] if duration else 0.0
            for id, amount in self.plane.spend.spent_many(kind, group, begin).items():
                spending = group[id]
                found[id] = amount + (spending.carry.get(duration, 0) if spending.at >= begin else 0)
        return found

    def set_spent(self, kind: str, id: str, who: str, amount: int) -> None:
        """Let what a subject has spent be `amount` nano-dollars from now on; the workers are to be told after this."""
        self.plane.spend.reset(kind, id, who, amount)
        if self.plane.leases is not None:
            self.plane.leases.renew([f"{kind}:{id}"])
        self.plane.changes.counted_anew([f"{kind}:{id}"])

    def carried(self, kind: str, id: str, limits: Limits, spending: Spending) -> dict[str, int]:
        """What a successor of this subject has spent already, by period."""
        carry = {duration: self._spent(kind, id, duration, spending) for duration in ("", *durations(limits))}
        return {duration: amount for duration, amount in carry.items() if amount}


def by(caller: Caller) -> str:
    """Who is noted as the author of a change."""
    return caller.user_id or caller.name or caller.digest[:12]


def unique(what: str) -> Callable[[E], E]:
    """Says what was taken, where the database refuses a second one."""

    def wrap(endpoint: E) -> E:
        @functools.wraps(endpoint)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return endpoint(*args, **kwargs)
            except IntegrityError as error:
                raise BadRequest(f"There is a {what} of that name already.", code="already_exists") from error

        return guarded  # type: ignore[return-value]

    return wrap
