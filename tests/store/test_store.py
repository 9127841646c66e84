"""Migrations and repositories on a real file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from routeiq.core.snapshot import Key
from routeiq.store import migrate as migrations
from routeiq.store.database import HEAD, connect, connect_readonly, engine, revision
from routeiq.store.keys import KeyRepository
from routeiq.store.tables import METADATA, events


def test_the_newest_migration_is_the_one_this_version_expects() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).with_name("migrations")))
    assert script.get_current_head() == HEAD


def test_up_gives_the_declared_tables_and_down_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "a % b.db"
    assert revision(path) is None
    migrations.migrate(path)
    assert revision(path) == HEAD
    assert path.stat().st_mode & 0o077 == 0
    with engine(path).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert inspect(connection).get_view_names() == ["events"]
        assert [column["name"] for column in inspect(connection).get_columns("events")] == events.columns.keys()
    migrations.migrate(path, "base")
    assert revision(path) is None
    tables = {row[0] for row in connect(path).execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    assert tables == {"alembic_version"}
    migrations.migrate(path)
    assert revision(path) == HEAD


def test_a_child_process_migrates_and_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    migrations.ensure_schema(path)
    migrations.ensure_schema(path)
    connect(path).execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrations.MigrationFailed, match="newer"):
        migrations.ensure_schema(path)


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(migrations.MigrationFailed):
        migrations.ensure_schema(path)


def test_readonly_means_it(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    migrations.migrate(path)
    connection = connect_readonly(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM event_rows")


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    migrations.migrate(path)
    repository = KeyRepository(engine(path), clock=lambda: 5.0)
    key = Key(id="ab" * 32, name="team", models=("gpt-*",), rpm=7)
    assert repository.find(key.id) is None
    repository.put(key)
    assert repository.find(key.id) == key
    repository.put(Key(id=key.id, blocked=True))
    assert repository.find(key.id) == Key(id=key.id, blocked=True)
    assert repository.remove(key.id)
    assert not repository.remove(key.id)
