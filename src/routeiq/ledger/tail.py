"""The end of the ledger, read straight from its database by another process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routeiq.core.database import Database
from routeiq.store.database import connect_postgres, connect_readonly

if TYPE_CHECKING:
    from routeiq.core.database import Postgres

Values = dict[str, Any]
Query = Callable[[str, Values], list[dict[str, Any]]]


class LedgerUnreadable(Exception):
    """The ledger is not there, or can't be read."""


class LedgerTail:
    """Reads rows in the order of ingestion. `model` is a requested name or a group, `key` a digest or a name.

    Each method raises `LedgerUnreadable`.
    """

    def __init__(self, database: Database, *, model: str | None = None, key: str | None = None) -> None:
        self._query, self.close = _open_file(database) if isinstance(database, Path) else _open_postgres(database)
        self._where = "seq > :after"
        self._values: Values = {"after": 0}
        if model is not None:
            self._where += ' AND (model = :model OR "group" = :model)'
            self._values["model"] = model
        if key is not None:
            self._where += ' AND ("key" = :key OR key_name = :key)'
            self._values["key"] = key

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest `count` rows, oldest first. `more` goes on after them."""
        # Asked first, so that `more` begins right after what is read here.
        newest = self._query("SELECT max(seq) AS newest FROM event_rows", {})[0]["newest"] or 0
        rows = self._read(f"{self._where} AND seq <= :newest", "DESC", count, newest=newest)
        self._values["after"] = newest
        return rows[::-1]

    def more(self, limit: int = 1000) -> list[dict[str, Any]]:
        """What came since, oldest first."""
        rows = self._read(self._where, "ASC", limit)
        if rows:
            self._values["after"] = rows[-1]["seq"]
        return rows

    def _read(self, where: str, order: str, limit: int, **more: int) -> list[dict[str, Any]]:
        query = f"SELECT * FROM events WHERE {where} ORDER BY seq {order} LIMIT :limit"  # noqa: S608 - constants only
        return self._query(query, {**self._values, **more, "limit": limit})


def _open_file(path: Path) -> tuple[Query, Callable[[], None]]:
    if not path.exists():
        raise LedgerUnreadable(f"there is no ledger at {path}; DATABASE_URL or --database may name another")
    try:
        connection = connect_readonly(path)
    except sqlite3.Error as error:
        raise LedgerUnreadable(f"the ledger can't be read: {error}") from error
    connection.row_factory = sqlite3.Row

    def query(text: str, values: Values) -> list[dict[str, Any]]:
        try:
            return [dict(row) for row in connection.execute(text, values)]
        except sqlite3.Error as error:
            raise LedgerUnreadable(f"the ledger can't be read: {error}") from error

    return query, connection.close


def _open_postgres(database: Postgres) -> tuple[Query, Callable[[], None]]:
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ImportError:
        raise LedgerUnreadable("PostgreSQL needs the extra: pip install 'routeiq[postgres]'") from None
    try:
        connection = connect_postgres(database, autocommit=True, row_factory=dict_row)
        connection.read_only = True
    except psycopg.Error as error:
        raise LedgerUnreadable(f"{database} can't be reached: {str(error).partition(chr(10))[0]}") from error

    def query(text: str, values: Values) -> list[dict[str, Any]]:
        for name in values:
            text = text.replace(f":{name}", f"%({name})s")
        try:
            return list(connection.execute(text, values))
        except psycopg.Error as error:
            raise LedgerUnreadable(f"the ledger can't be read: {str(error).partition(chr(10))[0]}") from error

    return query, connection.close
