"""A database at the newest schema, to be copied: a gateway's first start spends a fifth of its time on migrations."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing
from pathlib import Path

from routeiq.store.database import database_path
from routeiq.store.migrate import migrate


class _Template:
    """One migrated file, for as long as this process lives."""

    def __init__(self) -> None:
        directory = Path(tempfile.mkdtemp(prefix="riq-schema-"))
        weakref.finalize(self, shutil.rmtree, directory, True)
        self.file = database_path(directory)
        migrate(self.file)
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_template = functools.cache(_Template)


def put_database(state_dir: Path) -> None:
    """Give a state directory that is not there yet its database, as a gateway that ran before would have left it."""
    if not state_dir.exists():
        state_dir.mkdir(mode=0o700, parents=True)
        shutil.copy(_template().file, database_path(state_dir))
