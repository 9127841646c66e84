"""Brings a database to a revision of the schema.

Runs as `python -m routeiq.store.migrate` in a process of its own, so that Alembic's memory is not the control plane's
to keep. The database's URL is in the environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from routeiq.core.database import DATABASE_URL_ENV, Database, Postgres, parse_database
from routeiq.store.database import HEAD, connect_postgres, connect_readonly, engine, revision

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCK = 0x726F757465697101
"""PostgreSQL's advisory lock for migrations: "routeiq", 1."""
_OLDEST = "SELECT min(oldest) FROM schema_compatibility"


class MigrationFailed(RuntimeError):
    """The database could not be brought to this version's schema."""


class Unreachable(MigrationFailed):
    """The database does not answer; later it may."""


@contextlib.contextmanager
def migration_lock(path: Path) -> Iterator[None]:
    """One process migrates a file at a time."""
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def migrate(database: Database, target: str = "head") -> None:
    """Up or down to `target`: `head`, `base` or a revision. A step that is cut off is done again."""
    opened = engine(database)
    try:
        if isinstance(database, Path):
            with migration_lock(database), opened.begin() as connection:
                _run(connection, target)
            os.chmod(database, 0o600)
        else:
            with opened.begin() as connection:
                # Until the end of the transaction, which everything happens in.
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
                encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
                if encoding != "UTF8":
                    raise MigrationFailed(f"the database's encoding is {encoding}; it must be UTF8")
                _run(connection, target)
    finally:
        opened.dispose()


def _run(connection: Connection, target: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    if target == "head" and current is not None and current > HEAD:
        return  # a newer version has been here since we looked
    down = target == "base" or (target != "head" and current is not None and target < current)
    (command.downgrade if down else command.upgrade)(config, target)


def ensure_schema(database: Database) -> None:
    """Migrate in a child process unless the database is at this version's schema, or at a newer one that serves it.

    Raises `MigrationFailed`; `Unreachable` where it is worth another try.
    """
    try:
        if current(database):
            return
    except sqlite3.DatabaseError as error:
        raise MigrationFailed(f"{database} can't be read: {error}") from error
    named = f"sqlite:///{database}" if isinstance(database, Path) else database.url
    done = subprocess.run(
        [sys.executable, "-m", "routeiq.store.migrate"], capture_output=True, text=True, check=False,
        env={**os.environ, DATABASE_URL_ENV: named},
    )  # fmt: skip
    if done.returncode != 0:
        why = done.stderr.strip()[-2000:]
        lost = isinstance(database, Postgres) and "OperationalError" in why
        raise (Unreachable if lost else MigrationFailed)(f"{database} could not be migrated to {HEAD}: {why}")


def current(database: Database) -> bool:
    """Whether this version can work with the schema there is; False where it has to be migrated first.

    Raises `MigrationFailed` for a newer schema that does not serve this version, `Unreachable`.
    """
    if isinstance(database, Postgres):
        if importlib.util.find_spec("psycopg") is None:
            raise MigrationFailed("PostgreSQL needs the extra: pip install 'routeiq[postgres]'")
        import psycopg

        try:
            found = revision(database)
            oldest = _oldest(database) if found is not None and found > HEAD else None
        except psycopg.OperationalError as error:
            raise Unreachable(f"{database} can't be reached: {first_line(error)}") from error
        except psycopg.Error as error:
            raise MigrationFailed(f"{database} can't be used: {first_line(error)}") from error
    else:
        found = revision(database)
        oldest = _oldest(database) if found is not None and found > HEAD else None
    if found is not None and found > HEAD and (oldest is None or oldest > HEAD):
        raise MigrationFailed(
            f"{database} has schema {found}, newer than this version's {HEAD}, which it does not serve any more"
        )
    return found is not None and found >= HEAD


def first_line(error: Exception) -> str:
    """What a driver says, without the values it quotes in the lines that follow."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _oldest(database: Database) -> str | None:
    """The oldest version of the code a newer schema serves, by the revision that was its head; `None`: unknown."""
    if isinstance(database, Path):
        with contextlib.closing(connect_readonly(database)) as file:
            try:
                row = file.execute(_OLDEST).fetchone()
            except sqlite3.OperationalError:
                return None
    else:
        from psycopg import errors

        with connect_postgres(database, autocommit=True) as connection:
            try:
                row = connection.execute(_OLDEST).fetchone()
            except errors.UndefinedTable:
                return None
    return str(row[0]) if row and row[0] else None


def main() -> None:
    """Migrate the database in the environment. Ends the process with what the database says, where it refuses."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        migrate(parse_database(os.environ[DATABASE_URL_ENV]))
    except (SQLAlchemyError, MigrationFailed) as error:
        sys.exit(f"{type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    main()
