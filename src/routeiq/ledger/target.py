"""Where the ingester writes to, and how one is opened for a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from routeiq.core.database import Database

Row = tuple[Any, ...]


class Target(Protocol):
    """One connection to a ledger, of one thread. Everything between `begin` and `commit` comes to be, or nothing.

    Each method raises the driver's errors; after one only `rollback` and `close` may be called.
    """

    unfit: tuple[type[Exception], ...]
    """What is raised for values the database has no place for."""

    def offsets(self, segments: Iterable[str]) -> dict[str, int]:
        """How far each of this journal's segments has been taken over. Forgets those of segments that are gone."""

    def prepare(self, data: bytes) -> bytes:
        """Lines of the journal, with nothing in them the database can't hold."""

    def begin(self, segment: str, offset: int) -> None:
        """Begin a transaction. Raises `Moved` where the ledger has the segment up to somewhere else."""

    def commit(self, segment: str, offset: int) -> None:
        """End the transaction, and with it note how far the segment has come."""

    def rollback(self) -> None:
        """Undo the transaction, if one is under way. Raises nothing."""

    def find_context(self, values: Row) -> int | None:
        """The id of the context with these values, in the order of `rows.CONTEXT`."""

    def insert_context(self, values: Row) -> int:
        """Its new id."""

    def insert_rows(self, rows: Iterable[Row]) -> int:
        """Insert into `event_rows`; the `seq` of the last, the others' being those before it without a gap."""

    def insert_side(self, table: str, rows: list[Row]) -> None:
        """Insert into a table of `columns.SIDES`, `seq` first."""

    def roll(self, most: int) -> int:
        """Add up to `most` rows that came since to the sums, in a transaction of its own; how many. 0 also where
        another node is at it.
        """

    def ping(self) -> None:
        """Raises the driver's error when the database is no longer there."""

    def durable(self) -> bool:
        """Whether all that was committed would survive the loss of power. Does what is needed for it."""

    def forget(self, segment: str) -> None:
        """Forget the offset of a segment that has gone."""

    def close(self) -> None:
        """Close the connection."""


class Moved(RuntimeError):
    """The ledger has more or less of a segment than was thought: another has written, or a commit came late."""


Opener = Callable[[str], Target]
"""Given the name of the node the journal is of."""


def opener(database: Database) -> Opener:
    """How the ledger in this database is opened."""

    def opened(node: str) -> Target:
        if isinstance(database, Path):
            from routeiq.ledger.sqlite import SqliteTarget
            from routeiq.store.database import connect

            return SqliteTarget(connect(database), node)
        from routeiq.ledger.postgres import PostgresTarget
        from routeiq.store.database import connect_postgres

        return PostgresTarget(connect_postgres(database), node)

    return opened
