"""How the database is opened: raw for the ledger's writer, an Engine for everything else."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routeiq.core.database import DATABASE_URL_ENV, Database, parse_database

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Engine, Table

    from routeiq.core.database import Postgres

HEAD = "0022"
"""The schema this version reads and writes: the newest revision in `migrations/`."""
BUSY_SECONDS = 10.0
POSTGRES_DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "routeiq",
    "client_encoding": "UTF8",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Where the URL says nothing: a server that is gone without a word is noticed within a minute."""


def database_path(state_dir: Path) -> Path:
    """The database of an installation that names none."""
    return state_dir / "routeiq.db"


def handed_over(state_dir: Path, environ: Mapping[str, str] = os.environ) -> Database:
    """The database the supervisor names in the environment. Raises `ValueError`."""
    url = environ.get(DATABASE_URL_ENV)
    return parse_database(url) if url else database_path(state_dir)


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


def connect_postgres(database: Postgres, **more: Any) -> psycopg.Connection[Any]:
    """A connection. `more` are arguments of `psycopg.connect`; nothing is prepared, for the sake of poolers."""
    import psycopg

    return psycopg.connect(**{**POSTGRES_DEFAULTS, **database.parameters, "prepare_threshold": None, **more})


def revision(database: Database) -> str | None:
    """The schema's revision; `None` in a new database. Raises the driver's errors for one that can't be read."""
    if isinstance(database, Path):
        return _file_revision(database)
    from psycopg import errors

    with connect_postgres(database, autocommit=True) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except errors.UndefinedTable:
            return None
    return str(row[0]) if row else None


def _file_revision(path: Path) -> str | None:
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


def engine(database: Database) -> Engine:
    """An Engine over a small pool, for repositories. What its errors say has no values in it."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import URL

    if not isinstance(database, Path):
        # The driver alone knows the password: the Engine's URL is empty.
        return create_engine(
            URL.create("postgresql+psycopg"),
            creator=lambda: connect_postgres(database),
            pool_size=4,
            max_overflow=4,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    made = create_engine(
        URL.create("sqlite", database=str(database)),
        pool_size=2,
        max_overflow=2,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(made, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        _prepare(connection)

    return made


def insert_into(opened: Engine | Connection, table: Table) -> Any:
    """An INSERT that knows what to do on a conflict, which both databases say in the same words."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (postgresql if opened.dialect.name == "postgresql" else sqlite).insert(table)


def _prepare(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        # Of a new file; asking it of one that is there would wait for whoever writes to it.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA journal_size_limit=67108864")
    connection.execute("PRAGMA foreign_keys=ON")
