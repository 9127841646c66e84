"""What somebody is to be told about budgets: noted once, sent by one gateway, tried again while it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, select, update

from routeiq.core.periods import FOR_EVER
from routeiq.store.database import insert_into
from routeiq.store.tables_alerts import alerts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine

KEEP_SECONDS = 400 * 86_400.0
"""How long an alert of a period is remembered; of a budget without periods for ever."""
CLAIM_SECONDS = 60.0
"""How long others leave an alert alone that one gateway is sending."""
_AT_ONCE = 20
_KEY = ("subject", "event", "period", "amount")


@dataclass(frozen=True, slots=True)
class Noted:
    """One alert."""

    subject: str
    event: str
    period: int
    amount: int
    body: str = ""
    tries: int = 0


class AlertRepository:
    """The `alerts` table. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def note(self, alert: Noted) -> bool:
        """Whether nobody has noted it before."""
        now = self._clock()
        values = {name: getattr(alert, name) for name in _KEY}
        values |= {"at": now, "body": alert.body, "due": now, "tries": 0}
        made = insert_into(self._engine, alerts).values(values).on_conflict_do_nothing().returning(alerts.c.subject)
        with self._engine.begin() as connection:
            old = and_(alerts.c.at < now - KEEP_SECONDS, alerts.c.period != FOR_EVER)
            connection.execute(delete(alerts).where(old))
            return connection.execute(made).first() is not None

    def claim(self) -> list[Noted]:
        """Those that are due, for this gateway to send; others may when it has not said within a minute what came."""
        now = self._clock()
        waiting = and_(alerts.c.body.is_not(None), alerts.c.due <= now)
        found = []
        with self._engine.begin() as connection:
            for row in connection.execute(select(alerts).where(waiting).order_by(alerts.c.at).limit(_AT_ONCE)).all():
                alert = Noted(row.subject, row.event, row.period, row.amount, row.body, row.tries)
                mine = update(alerts).where(_is(alert), waiting).values(due=now + CLAIM_SECONDS, tries=row.tries + 1)
                if connection.execute(mine).rowcount:
                    found.append(alert)
        return found

    def done(self, alert: Noted) -> None:
        """It was sent, or given up: it stays noted."""
        self._set(alert, {"body": None})

    def later(self, alert: Noted, seconds: float) -> None:
        """It is to be tried again."""
        self._set(alert, {"due": self._clock() + seconds})

    def _set(self, alert: Noted, values: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(alerts).where(_is(alert)).values(values))


def _is(alert: Noted) -> ColumnElement[bool]:
    return and_(*(alerts.c[name] == getattr(alert, name) for name in _KEY))
