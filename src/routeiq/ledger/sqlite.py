"""The ledger in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from routeiq.ledger import rollup
from routeiq.ledger.columns import CONTEXT, HEAD, SIDES
from routeiq.ledger.target import Row


def _insert(table: str, columns: Iterable[str]) -> str:
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


_INSERT_ROW = _insert("event_rows", ("context", *HEAD))
_INSERT_CONTEXT = _insert("event_contexts", CONTEXT)
_INSERT_SIDES = {table: _insert(table, ("seq", *columns)) for table, columns in SIDES.items()}
_FIND_CONTEXT = "SELECT id FROM event_contexts WHERE " + " AND ".join(f'"{name}" = ?' for name in CONTEXT)  # noqa: S608
_REACH = (
    "INSERT INTO journal_positions (node, segment, offset) VALUES (?, ?, ?)"
    " ON CONFLICT (node, segment) DO UPDATE SET offset = excluded.offset"
)


def _parameter(name: str) -> str:
    return f":{name}"


_DELTA = f"INSERT INTO temp.delta {rollup.delta(_parameter)}"
_LABELS = f"INSERT INTO temp.labels {rollup.labels(_parameter, 'sqlite')}"
_POSITION = "SELECT seq, (SELECT coalesce(max(seq), 0) FROM event_rows) FROM ledger_positions WHERE name = :name"


class SqliteTarget:
    """A `Target` over a connection in autocommit, which it closes."""

    unfit: tuple[type[Exception], ...] = (OverflowError,)

    def __init__(self, connection: sqlite3.Connection, node: str) -> None:
        self._connection = connection
        self._node = node
        self._staged = False

    def offsets(self, segments: Iterable[str]) -> dict[str, int]:
        run, there = self._connection, set(segments)
        rows = run.execute("SELECT node, segment, offset FROM journal_positions").fetchall()
        mine = {segment: offset for node, segment, offset in rows if node == self._node}
        # Written by a version that knew of one journal only.
        older = {segment: offset for node, segment, offset in rows if not node and segment in there - mine.keys()}
        run.executemany(
            "UPDATE journal_positions SET node = ? WHERE node = '' AND segment = ?",
            [(self._node, segment) for segment in older],
        )
        gone = [(self._node, segment) for segment in mine.keys() - there]
        run.executemany("DELETE FROM journal_positions WHERE node = ? AND segment = ?", gone)
        return {segment: offset for segment, offset in (mine | older).items() if segment in there}

    def prepare(self, data: bytes) -> bytes:
        return data

    def begin(self, segment: str, offset: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self, segment: str, offset: int) -> None:
        self._connection.execute(_REACH, (self._node, segment, offset))
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # it is closed next, which undoes it too

    def find_context(self, values: Row) -> int | None:
        found = self._connection.execute(_FIND_CONTEXT, values).fetchone()
        return int(found[0]) if found is not None else None

    def insert_context(self, values: Row) -> int:
        made = self._connection.execute(_INSERT_CONTEXT, values).lastrowid
        assert made is not None
        return made

    def insert_rows(self, rows: Iterable[Row]) -> int:
        self._connection.executemany(_INSERT_ROW, rows)
        # Nobody else can insert during a transaction, so its rows are the last and without gaps.
        newest = self._connection.execute("SELECT max(seq) FROM event_rows").fetchone()[0]
        return int(newest or 0)

    def insert_side(self, table: str, rows: list[Row]) -> None:
        self._connection.executemany(_INSERT_SIDES[table], rows)

    def roll(self, most: int) -> int:
        run = self._connection
        if not self._staged:
            run.execute("PRAGMA temp_store = MEMORY")
            for table, columns in (("delta", rollup.DELTA), ("labels", rollup.LABELS)):
                run.execute(f"CREATE TEMP TABLE {table} ({', '.join(columns)})")
            self._staged = True
        # Nobody else adds up, so what is read before the transaction holds in it.
        at, newest = run.execute(_POSITION, {"name": rollup.SPEND}).fetchone()
        reach = {"lo": at, "hi": min(newest, at + most)}
        if reach["hi"] <= at:
            return 0
        run.execute("BEGIN IMMEDIATE")
        try:
            run.execute(_DELTA, reach)
            run.execute(_LABELS, reach)
            for statement in rollup.ADDITIONS:
                run.execute(statement)
            run.execute("DELETE FROM temp.delta")
            run.execute("DELETE FROM temp.labels")
            run.execute("UPDATE ledger_positions SET seq = ? WHERE name = ?", (reach["hi"], rollup.SPEND))
            run.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise
        return int(reach["hi"] - at)

    def ping(self) -> None:
        pass  # a file does not go away while it is open

    def durable(self) -> bool:
        return not self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0]

    def forget(self, segment: str) -> None:
        self._connection.execute("DELETE FROM journal_positions WHERE node = ? AND segment = ?", (self._node, segment))

    def close(self) -> None:
        self._connection.close()
