"""Brings a database to a revision of the schema.

Runs as `python -m routeiq.store.migrate PATH` in a process of its own, so that Alembic's memory is not the control
plane's to keep.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from routeiq.store.database import HEAD, engine, revision


class MigrationFailed(RuntimeError):
    """The database could not be brought to this version's schema."""


@contextlib.contextmanager
def migration_lock(path: Path) -> Iterator[None]:
    """One process migrates a database at a time."""
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def migrate(path: Path, target: str = "head") -> None:
    """Up or down to `target`: `head`, `base` or a revision. Each step is one transaction, so a cut one is repeated."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    database = engine(path)
    try:
        with migration_lock(path), database.begin() as connection:
            config.attributes["connection"] = connection
            current = revision(path)
            down = target == "base" or (target != "head" and current is not None and target < current)
            (command.downgrade if down else command.upgrade)(config, target)
    finally:
        database.dispose()
    os.chmod(path, 0o600)


def ensure_schema(path: Path) -> None:
    """Migrate in a child process unless the database is at this version's schema. Raises `MigrationFailed`."""
    try:
        found = revision(path)
    except sqlite3.DatabaseError as error:
        raise MigrationFailed(f"{path} can't be read: {error}") from error
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise MigrationFailed(f"{path} has schema {found}, newer than this version's {HEAD}")
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "routeiq.store.migrate", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise MigrationFailed(f"{path} could not be migrated to {HEAD}: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    migrate(Path(sys.argv[1]), *sys.argv[2:3])
