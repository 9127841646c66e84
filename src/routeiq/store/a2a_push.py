"""Webhooks of clients at rest, and what is still to be told there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, select, update

from routeiq.core.a2a_push import Delivery, KeptHook
from routeiq.store.database import insert_into
from routeiq.store.tables_a2a import a2a_deliveries, a2a_hooks

if TYPE_CHECKING:
    from sqlalchemy import Engine

CLAIM_SECONDS = 60.0
"""How long who has taken a delivery has for it, before somebody else may."""


class A2aPushRepository:
    """The `a2a_hooks` and `a2a_deliveries` tables. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def put_hook(self, hook: KeptHook, seconds: float) -> None:
        """Keep one for `seconds`, in the place of one of the same task and name."""
        values = {
            "token": hook.token, "agent": hook.agent, "owner": hook.owner, "id": hook.id, "task": hook.task,
            "sealed": hook.sealed, "expires_at": self._clock() + seconds,
        }  # fmt: skip
        table = a2a_hooks.c
        with self._engine.begin() as connection:
            if hook.task:
                before = and_(_of(hook.agent, hook.owner, hook.task), table.id == hook.id, table.token != hook.token)
                connection.execute(delete(a2a_hooks).where(before))
            statement = insert_into(self._engine, a2a_hooks).values(values)
            connection.execute(statement.on_conflict_do_update(index_elements=["token"], set_={"task": hook.task}))

    def hooks(self, agent: str, owner: str, task: str) -> list[KeptHook]:
        """Those of one task, by their names."""
        query = select(a2a_hooks).where(_of(agent, owner, task)).order_by(a2a_hooks.c.id)
        with self._engine.connect() as connection:
            return [_kept(row) for row in connection.execute(query)]

    def hook(self, token: str) -> KeptHook | None:
        """The one an agent calls for."""
        query = select(a2a_hooks).where(a2a_hooks.c.token == token, a2a_hooks.c.expires_at > self._clock())
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return _kept(row) if row is not None else None

    def remove_hook(self, token: str) -> None:
        """Forget one, with what was to be told there."""
        with self._engine.begin() as connection:
            connection.execute(delete(a2a_deliveries).where(a2a_deliveries.c.token == token))
            connection.execute(delete(a2a_hooks).where(a2a_hooks.c.token == token))

    def add(self, delivery: Delivery) -> None:
        """Something to be told, taken by who adds it."""
        values = {
            "id": delivery.id, "token": delivery.token, "body": delivery.body, "attempts": 0,
            "due_at": self._clock() + CLAIM_SECONDS,
        }  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(insert_into(self._engine, a2a_deliveries).values(values))

    def due(self, most: int) -> list[Delivery]:
        """Take what is due."""
        now, table = self._clock(), a2a_deliveries.c
        found = []
        with self._engine.begin() as connection:
            rows = connection.execute(select(a2a_deliveries).where(table.due_at <= now).limit(most)).all()
            for row in rows:
                mine = and_(table.id == row.id, table.due_at == row.due_at)  # nobody else has taken it meanwhile
                taken = connection.execute(update(a2a_deliveries).where(mine).values(due_at=now + CLAIM_SECONDS))
                sealed = connection.execute(select(a2a_hooks.c.sealed).where(a2a_hooks.c.token == row.token)).scalar()
                if sealed is None:
                    connection.execute(delete(a2a_deliveries).where(table.id == row.id))
                elif taken.rowcount:
                    found.append(
                        Delivery(id=row.id, token=row.token, body=row.body, attempts=row.attempts, sealed=sealed)
                    )
        return found

    def done(self, ident: str, again: float | None) -> None:
        """It was told, or is not to be told any more; else `again` in so many seconds."""
        here = a2a_deliveries.c.id == ident
        with self._engine.begin() as connection:
            if again is None:
                connection.execute(delete(a2a_deliveries).where(here))
            else:
                values = {"attempts": a2a_deliveries.c.attempts + 1, "due_at": self._clock() + again}
                connection.execute(update(a2a_deliveries).where(here).values(values))

    def purge(self) -> None:
        """Forget what has expired."""
        with self._engine.begin() as connection:
            connection.execute(delete(a2a_hooks).where(a2a_hooks.c.expires_at <= self._clock()))


def _of(agent: str, owner: str, task: str) -> Any:
    return and_(a2a_hooks.c.agent == agent, a2a_hooks.c.owner == owner, a2a_hooks.c.task == task)


def _kept(row: Any) -> KeptHook:
    return KeptHook(token=row.token, agent=row.agent, owner=row.owner, id=row.id, task=row.task, sealed=row.sealed)
