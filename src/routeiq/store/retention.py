"""Lets old rows of the ledger go. Their sums stay, and so does the newest row: it is where the next one goes on from.

In PostgreSQL whole partitions are dropped; what is left of a partition, and everything in a file, goes in small batches
that hold up nobody for long. The last row that has gone is written in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text

from routeiq.store.partitions import BOUNDS, TABLES, upper_bound
from routeiq.store.tables_spend import QUARTER_SECONDS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BATCH = 5_000
LOCK = 0x726F757465697104
"""PostgreSQL's advisory lock for letting rows go: "routeiq", 4."""
PATIENCE_MILLISECONDS = 2_000
"""How long a dropped partition waits for those who read it; they come first."""
VACUUM_PAGES = 2_000


class Retention:
    """Over one database. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, *, batch: int = BATCH) -> None:
        self._engine = engine
        self._batch = batch

    def step(self, before: float) -> int:
        """Let some rows go that arrived before Unix time `before`; how many. 0: there are none, or another is at it.

        A quarter hour goes when all of it is over, and never before it is added up. Raises SQLAlchemy's errors.
        """
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif not connection.execute(text(f"SELECT pg_try_advisory_xact_lock({LOCK})")).scalar():
                return 0
            pruned, horizon = _horizon(connection, before)
            if horizon <= pruned:
                return 0
            reached = self._drop(connection, pruned, horizon) or self._delete(connection, pruned, horizon)
            for table in ("event_prompts", "event_decisions"):
                connection.execute(text(f"DELETE FROM {table} WHERE seq <= :seq"), {"seq": reached})
            kept = "SELECT 1 FROM event_decisions AS d WHERE d.decision_id = routing_feedback.decision_id"
            connection.execute(text(f"DELETE FROM routing_feedback WHERE NOT EXISTS ({kept})"))
            connection.execute(text("UPDATE ledger_positions SET seq = :seq WHERE name = 'pruned'"), {"seq": reached})
            connection.commit()
        return reached - pruned

    def step_prompts(self, before: float) -> int:
        """The same for prompts and answers; how many went."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            _, horizon = _horizon(connection, before)
            oldest = f"SELECT seq FROM event_prompts WHERE seq <= :last ORDER BY seq LIMIT {self._batch}"
            query = text(f"DELETE FROM event_prompts WHERE seq IN ({oldest})")
            count = connection.execute(query, {"last": horizon}).rowcount
            connection.commit()
        return count

    def step_runs(self, before: float) -> int:
        """Forget the sums of some runs that were over by then: there is no end to their names. How many."""
        over = (
            "SELECT id FROM spend_totals WHERE kind = 'run' AND quarter >= 0"
            f" GROUP BY id HAVING max(quarter) < :quarter LIMIT {self._batch}"
        )
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            values = {"quarter": int(before // QUARTER_SECONDS)}
            ids = list(connection.execute(text(over), values).scalars())
            for table in ("spend_totals", "spend_labels") if ids else ():
                gone = text(f"DELETE FROM {table} WHERE kind = 'run' AND id IN :ids")
                connection.execute(gone.bindparams(bindparam("ids", expanding=True)), {"ids": ids})
            connection.commit()
        return len(ids)

    def give_back(self) -> None:
        """Give free pages of a file back to the disk, some at a time. PostgreSQL does so by itself."""
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect() as connection:
                file = connection.connection.driver_connection
                assert file is not None
                file.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")  # `execute` would free one page

    def _drop(self, connection: Connection, pruned: int, horizon: int) -> int:
        """Drop the oldest partition where nothing of it is kept; the last row it could have had, or 0."""
        if self._engine.dialect.name != "postgresql":
            return 0
        bounds = {name: upper_bound(words) for name, words in connection.execute(text(BOUNDS.format(table=TABLES[0])))}
        ends = sorted(end for end in bounds.values() if pruned < end - 1 <= horizon)
        if not ends:
            return 0
        connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MILLISECONDS}"))
        for table in TABLES:
            for name, words in connection.execute(text(BOUNDS.format(table=table))).all():
                if upper_bound(words) <= ends[0]:
                    connection.execute(text(f'DROP TABLE "{name}"'))
        return ends[0] - 1

    def _delete(self, connection: Connection, pruned: int, horizon: int) -> int:
        reached = min(horizon, pruned + self._batch)
        for table in TABLES:
            connection.execute(
                text(f"DELETE FROM {table} WHERE seq > :first AND seq <= :last"), {"first": pruned, "last": reached}
            )
        return reached


def _horizon(connection: Connection, before: float) -> tuple[int, int]:
    """The last row that has gone, and the last that may go."""
    positions = {name: int(seq) for name, seq in connection.execute(text("SELECT name, seq FROM ledger_positions"))}
    newest = connection.execute(text("SELECT coalesce(max(seq), 0) FROM event_rows")).scalar() or 0
    young = connection.execute(
        text("SELECT min(first_seq) FROM spend_quarters WHERE quarter >= :quarter"),
        {"quarter": int(before // QUARTER_SECONDS)},
    ).scalar()
    last = min(positions.get("spend", 0), int(newest) - 1)
    return positions.get("pruned", 0), min(last, int(young) - 1) if young is not None else last
