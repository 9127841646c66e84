"""Tasks of agents at rest: what their client may ask after, and nobody else."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Raw
from sqlalchemy import and_, delete, func, or_, select

from routeiq.core.a2a_tasks import KeptTask, TaskPage, TaskQuery
from routeiq.store.a2a_push import A2aPushRepository
from routeiq.store.database import insert_into
from routeiq.store.tables_a2a import a2a_contexts, a2a_tasks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_FAST = 1
"""zlib's level: JSON shrinks to a third at ten times the speed of the usual one."""

_CHANGES = ("context", "inner", "state", "final", "updated_at", "expires_at", "task")
"""What a task that is put again changes."""


class A2aTaskRepository:
    """The `a2a_tasks` and `a2a_contexts` tables. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self.pushes = A2aPushRepository(engine, clock)
        """What their clients are told of them."""

    def put(self, tasks: Sequence[KeptTask], seconds: float) -> list[bool]:
        """Keep some for `seconds`; of each whether it is kept: not where another owner has it."""
        expires = self._clock() + seconds
        with self._engine.begin() as connection:
            return [done for some in _apart(tasks) for done in self._put(connection, some, expires)]

    def _put(self, connection: Connection, tasks: Sequence[KeptTask], expires: float) -> list[bool]:
        """Each of another id. What the gateway has ended stays so."""
        rows = [
            {
                "agent": task.agent, "id": task.id, "owner": task.owner, "context": task.context, "inner": task.inner,
                "state": task.state, "final": task.final, "updated_at": task.updated, "expires_at": expires,
                "task": zlib.compress(bytes(task.task), _FAST),
            }
            for task in tasks
        ]  # fmt: skip
        statement = insert_into(self._engine, a2a_tasks)
        new, old = statement.excluded, a2a_tasks.c
        statement = statement.on_conflict_do_update(
            index_elements=["agent", "id"],
            set_={name: new[name] for name in _CHANGES},
            where=and_(old.owner == new.owner, or_(old.final.is_(False), old.state == new.state)),
        )
        done = {tuple(row) for row in connection.execute(statement.returning(old.agent, old.id), rows)}
        return [(task.agent, task.id) in done or self._is_of(connection, task) for task in tasks]

    def _is_of(self, connection: Connection, task: KeptTask) -> bool:
        owner = connection.execute(select(a2a_tasks.c.owner).where(_is(task.agent, task.id))).scalar()
        return owner == task.owner

    def find(self, agent: str, owner: str, ident: str) -> KeptTask | None:
        """One of this owner's."""
        query = select(a2a_tasks).where(
            _is(agent, ident), a2a_tasks.c.owner == owner, a2a_tasks.c.expires_at > self._clock()
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return _kept(row) if row is not None else None

    def list(self, query: TaskQuery) -> TaskPage:
        """Those of one owner, the newest first."""
        table = a2a_tasks.c
        where = [table.agent == query.agent, table.owner == query.owner, table.expires_at > self._clock()]
        if query.context:
            where.append(table.context == query.context)
        if query.state:
            where.append(table.state == query.state)
        if query.after:
            where.append(table.updated_at >= query.after)
        count = select(func.count()).select_from(a2a_tasks).where(*where)
        if query.before is not None:
            when, ident = query.before
            where.append(or_(table.updated_at < when, and_(table.updated_at == when, table.id < ident)))
        rows = select(a2a_tasks).where(*where).order_by(table.updated_at.desc(), table.id.desc()).limit(query.most + 1)
        with self._engine.connect() as connection:
            total = connection.execute(count).scalar_one()
            found = [_kept(row) for row in connection.execute(rows)]
        return TaskPage(tasks=found[: query.most], total=total, more=len(found) > query.most)

    def keep_context(self, agent: str, owner: str, context: str, seconds: float) -> None:
        """The agent has named a conversation with this owner."""
        expires = self._clock() + seconds
        statement = insert_into(self._engine, a2a_contexts).values(
            agent=agent, owner=owner, context=context, expires_at=expires
        )
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["agent", "owner", "context"], set_={"expires_at": expires}
                )
            )

    def has_context(self, agent: str, owner: str, context: str) -> bool:
        """Whether the agent has, by itself or by a task in it."""
        now = self._clock()
        named = select(a2a_contexts.c.context).where(
            a2a_contexts.c.agent == agent, a2a_contexts.c.owner == owner, a2a_contexts.c.context == context,
            a2a_contexts.c.expires_at > now,
        )  # fmt: skip
        with_task = select(a2a_tasks.c.id).where(
            a2a_tasks.c.agent == agent, a2a_tasks.c.owner == owner, a2a_tasks.c.context == context,
            a2a_tasks.c.inner == context, a2a_tasks.c.expires_at > now,
        )  # fmt: skip
        with self._engine.connect() as connection:
            return any(connection.execute(query.limit(1)).first() is not None for query in (named, with_task))

    def purge(self) -> None:
        """Forget what has expired."""
        now = self._clock()
        with self._engine.begin() as connection:
            connection.execute(delete(a2a_tasks).where(a2a_tasks.c.expires_at <= now))
            connection.execute(delete(a2a_contexts).where(a2a_contexts.c.expires_at <= now))
        self.pushes.purge()


def _apart(tasks: Sequence[KeptTask]) -> Iterator[list[KeptTask]]:
    """The tasks in their order, in lists in which no id is there twice: no statement may change a row twice."""
    some: dict[tuple[str, str], KeptTask] = {}
    for task in tasks:
        if (task.agent, task.id) in some:
            yield list(some.values())
            some = {}
        some[task.agent, task.id] = task
    if some:
        yield list(some.values())


def _is(agent: str, ident: str) -> Any:
    return and_(a2a_tasks.c.agent == agent, a2a_tasks.c.id == ident)


def _kept(row: Any) -> KeptTask:
    return KeptTask(
        agent=row.agent,
        id=row.id,
        owner=row.owner,
        context=row.context,
        inner=row.inner,
        state=row.state,
        final=row.final,
        updated=row.updated_at,
        task=Raw(zlib.decompress(row.task)),
    )
