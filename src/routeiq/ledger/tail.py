"""The end of the ledger, read straight from its file by another process."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from routeiq.store.database import connect_readonly

_WHERE = (
    ' WHERE seq > :after AND (:model IS NULL OR model = :model OR "group" = :model)'
    ' AND (:key IS NULL OR "key" = :key OR key_name = :key)'
)


class LedgerTail:
    """Reads rows in the order of ingestion. `model` is a requested name or a group, `key` a digest or a name."""

    def __init__(self, path: Path, *, model: str | None = None, key: str | None = None) -> None:
        """Raises `FileNotFoundError` when there is no ledger."""
        if not path.exists():
            raise FileNotFoundError(f"there is no ledger at {path}")
        self._connection = connect_readonly(path)
        self._connection.row_factory = sqlite3.Row
        self._filter = {"model": model, "key": key}
        self._after = 0

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest `count` rows, oldest first. `more` goes on after them."""
        self._connection.execute("BEGIN")  # one view for both
        rows = self._read(" ORDER BY seq DESC LIMIT :limit", count)
        newest = self._connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        self._connection.execute("COMMIT")
        self._after = newest or 0
        return rows[::-1]

    def more(self, limit: int = 1000) -> list[dict[str, Any]]:
        """What came since, oldest first."""
        rows = self._read(" ORDER BY seq LIMIT :limit", limit)
        if rows:
            self._after = rows[-1]["seq"]
        return rows

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _read(self, tail: str, limit: int) -> list[dict[str, Any]]:
        query = f"SELECT * FROM events{_WHERE}{tail}"  # noqa: S608 - constants only
        values = {**self._filter, "after": self._after, "limit": limit}
        return [dict(row) for row in self._connection.execute(query, values)]
