"""How the models of requests were chosen: decisions beside the requests they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import or_, select

from routeiq.core.decisions import Decision, decode
from routeiq.store.activity import ALL, Seen
from routeiq.store.tables import event_decisions, events

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine

MOST = 1000


class Decided(NamedTuple):
    """A decision and the row of `events` of its request."""

    decision: Decision
    event: dict[str, Any]


class DecisionRepository:
    """The table `event_decisions`. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, id: str, seen: Seen = ALL) -> Decided | None:
        """The decision with this id, where it may be seen."""
        found = self._select([event_decisions.c.decision_id == id], seen, 1)
        return found[0] if found else None

    def page(
        self, *, limit: int, before: int | None = None, model: str | None = None, seen: Seen = ALL
    ) -> list[Decided]:
        """The newest first, with `seq` under `before`; of one auto model or group, where given."""
        where: list[ColumnElement[bool]] = []
        if before is not None:
            where.append(event_decisions.c.seq < before)
        if model is not None:
            where.append(events.c.model == model)
        return self._select(where, seen, max(1, min(limit, MOST)))

    def _select(self, where: list[ColumnElement[bool]], seen: Seen, limit: int) -> list[Decided]:
        query = select(event_decisions.c.decision, events).join(events, events.c.seq == event_decisions.c.seq)
        if not seen.all:
            where = [*where, or_(*(events.c[name].in_(allowed) for name, allowed in seen.columns().items()))]
        query = query.where(*where).order_by(event_decisions.c.seq.desc()).limit(limit)
        found = []
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                event = dict(row)
                found.append(Decided(decode(event.pop("decision")), event))
        return found
