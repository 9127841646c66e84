"""Where the SQLite file is and how it is opened: raw for the ledger's writer, an Engine for everything else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

HEAD = "0004"
"""The schema this version reads and writes: the newest revision in `migrations/`."""
BUSY_SECONDS = 10.0


def database_path(state_dir: Path) -> Path:
    """The database of one installation."""
    return state_dir / "routeiq.db"


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one writing thread, in autocommit: transactions are begun by hand.

    `synchronous=NORMAL` in WAL mode survives the death of any process; a crash of the machine may lose the last
    commits, never the consistency.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that can't write. Raises `sqlite3.OperationalError` when there is no database."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def revision(path: Path) -> str | None:
    """The schema's revision in the file; `None` for a new one."""
    try:
        connection = connect_readonly(path)
    except sqlite3.OperationalError:
        return None
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return str(row[0]) if row else None


def engine(path: Path) -> Engine:
    """An Engine over a small pool, for repositories."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import URL

    made = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=2,
        max_overflow=2,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(made, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _prepare(connection)

    return made


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA journal_size_limit=67108864")
    connection.execute("PRAGMA foreign_keys=ON")
