"""The ledger in PostgreSQL, which several nodes may write to: their transactions follow one another.

An advisory lock makes them do so, and so the order of `seq` is that of the commits: who reads on from the newest
misses nothing. https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg

from routeiq.ledger import rollup
from routeiq.ledger.columns import CONTEXT, HEAD, SIDES
from routeiq.ledger.target import Moved, Row
from routeiq.store import partitions

LOCK = 0x726F757465697102
"""PostgreSQL's advisory lock for writing to the ledger: "routeiq", 2."""
ADDING = 0x726F757465697103
"""The same for adding up: "routeiq", 3. Other nodes go on writing meanwhile."""
WAIT_MILLISECONDS = 60_000
"""How long a statement may take, the wait for another node with it, and how long a node that fell silent is held."""

_BEGIN = (
    f"BEGIN; SET LOCAL statement_timeout = {WAIT_MILLISECONDS};"
    f" SET LOCAL idle_in_transaction_session_timeout = {WAIT_MILLISECONDS}; SELECT pg_advisory_xact_lock({LOCK})"
)
# A statement of its own: it sees what was committed before the lock was there.
_STATE = (
    "SELECT (SELECT coalesce(max(seq), 0) FROM event_rows),"
    ' (SELECT "offset" FROM journal_positions WHERE node = %s AND segment = %s)'
)
_REACH = (
    'INSERT INTO journal_positions (node, segment, "offset") VALUES (%s, %s, %s)'
    ' ON CONFLICT (node, segment) DO UPDATE SET "offset" = excluded."offset"'
)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


_COPY_ROWS = f"COPY event_rows ({_names(('seq', 'context', *HEAD))}) FROM STDIN"
_COPY_SIDES = {table: f"COPY {table} ({_names(('seq', *columns))}) FROM STDIN" for table, columns in SIDES.items()}
_FIND_CONTEXT = "SELECT id FROM event_contexts WHERE " + " AND ".join(f'"{name}" = %s' for name in CONTEXT)
_INSERT_CONTEXT = (
    f"INSERT INTO event_contexts ({_names(CONTEXT)}) VALUES ({', '.join(['%s'] * len(CONTEXT))}) RETURNING id"
)


def _parameter(name: str) -> str:
    return f"%({name})s::bigint"


def _adding() -> str:
    """One statement for all of it: what is added up first is its own, and seen by no one else."""
    parts = [
        f"delta ({', '.join(rollup.DELTA)}) AS MATERIALIZED ({rollup.delta(_parameter)})",
        f"labels ({', '.join(rollup.LABELS)}) AS MATERIALIZED ({rollup.labels(_parameter, 'postgresql')})",
        *(f"a{number} AS ({text})" for number, text in enumerate(rollup.ADDITIONS)),
    ]
    return f"WITH {', '.join(parts)} UPDATE ledger_positions SET seq = %(hi)s WHERE name = '{rollup.SPEND}'"


_ADD = _adding()
_BEGIN_ADDING = (
    f"BEGIN; SET LOCAL statement_timeout = {WAIT_MILLISECONDS};"
    f" SET LOCAL idle_in_transaction_session_timeout = {WAIT_MILLISECONDS}"
)
# Rows become visible in the order of `seq`, so up to the newest there is none that comes late.
_POSITION = "SELECT seq, (SELECT coalesce(max(seq), 0) FROM event_rows) FROM ledger_positions WHERE name = %s"
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class PostgresTarget:
    """A `Target` over a connection, which it closes."""

    unfit: tuple[type[Exception], ...] = (psycopg.DataError, OverflowError, UnicodeEncodeError)

    def __init__(self, connection: psycopg.Connection[Any], node: str) -> None:
        """Transactions are begun by hand, so the connection is put in autocommit."""
        connection.autocommit = True
        self._connection = connection
        self._node = node
        self._newest = 0
        self._edge = 0
        """The first `seq` there is no partition for; 0: not known yet."""

    def offsets(self, segments: Iterable[str]) -> dict[str, int]:
        there = set(segments)
        rows = self._connection.execute(
            'SELECT segment, "offset" FROM journal_positions WHERE node = %s', (self._node,)
        ).fetchall()
        gone = [segment for segment, _ in rows if segment not in there]
        if gone:
            self._connection.execute(
                "DELETE FROM journal_positions WHERE node = %s AND segment = ANY(%s)", (self._node, gone)
            )
        return {segment: offset for segment, offset in rows if segment in there}

    def prepare(self, data: bytes) -> bytes:
        """U+0000 becomes U+FFFD: PostgreSQL's text can't hold it, and JSON has it as an escape only."""
        return _NUL.sub(rb"\1\\ufffd", data) if b"\\u0000" in data else data

    def begin(self, segment: str, offset: int) -> None:
        """Begin, alone: no other node's transaction is under way until this one ends."""
        self._connection.execute(_BEGIN)
        newest, known = self._connection.execute(_STATE, (self._node, segment)).fetchone() or (0, None)
        if (known or 0) != offset:
            self.rollback()
            raise Moved(f"the ledger has {segment} up to {known or 0}, not {offset}")
        self._newest = newest

    def commit(self, segment: str, offset: int) -> None:
        self._connection.execute(_REACH, (self._node, segment, offset))
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        try:
            self._connection.rollback()
        except psycopg.Error:
            pass  # it is gone, and the transaction with it

    def find_context(self, values: Row) -> int | None:
        found = self._connection.execute(_FIND_CONTEXT, values).fetchone()
        return int(found[0]) if found is not None else None

    def insert_context(self, values: Row) -> int:
        made = self._connection.execute(_INSERT_CONTEXT, values).fetchone()
        assert made is not None
        return int(made[0])

    def insert_rows(self, rows: Iterable[Row]) -> int:
        with self._connection.cursor() as cursor, cursor.copy(_COPY_ROWS) as copy:
            for number, row in enumerate(rows, self._newest + 1):
                copy.write_row((number, *row))
                self._newest = number
        if self._newest > self._edge - partitions.AHEAD:
            self._extend()
        return self._newest

    def insert_side(self, table: str, rows: list[Row]) -> None:
        self._copy(_COPY_SIDES[table], rows)

    def roll(self, most: int) -> int:
        run = self._connection
        run.execute(_BEGIN_ADDING)
        try:
            # A statement of its own: the next one sees what was committed before the lock was there.
            mine = run.execute(f"SELECT pg_try_advisory_xact_lock({ADDING})").fetchone()
            at, newest = run.execute(_POSITION, (rollup.SPEND,)).fetchone() or (0, 0)
            hi = min(newest, at + most)
            if not (mine and mine[0]) or hi <= at:
                run.execute("ROLLBACK")
                return 0
            run.execute(_ADD, {"lo": at, "hi": hi})
            run.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise
        return int(hi - at)

    def ping(self) -> None:
        self._connection.execute("SELECT 1")

    def durable(self) -> bool:
        """What is committed is on the server's disk, as far as its `synchronous_commit` says."""
        return True

    def forget(self, segment: str) -> None:
        self._connection.execute(
            "DELETE FROM journal_positions WHERE node = %s AND segment = %s", (self._node, segment)
        )

    def close(self) -> None:
        self._connection.close()

    def _extend(self) -> None:
        """Make the partitions the next rows will need, alone as every writer is."""
        for table in partitions.TABLES:
            found = self._connection.execute(partitions.BOUNDS.format(table=table)).fetchall()
            edge = max((partitions.upper_bound(words) for _, words in found), default=0)
            while edge < self._newest + partitions.AHEAD:
                for statement in partitions.made(table, edge, edge + partitions.SIZE):
                    self._connection.execute(statement)
                edge += partitions.SIZE
            self._edge = edge

    def _copy(self, statement: str, rows: list[Row]) -> None:
        if rows:
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
