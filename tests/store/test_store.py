"""Migrations and repositories, on a file and on a PostgreSQL server."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from routeiq import store
from routeiq.core.database import DATABASE_URL_ENV, Database, Postgres, parse_database
from routeiq.store import migrate as migrations
from routeiq.store.database import HEAD, connect, connect_readonly, engine, revision
from routeiq.store.tables import METADATA, events
from support.addresses import free_port
from support.postgres import PASSWORD, QUOTED, PostgresServer


@pytest.fixture
def opened(database: Database) -> Iterator[Engine]:
    made = engine(database)
    yield made
    made.dispose()


def execute(opened: Engine, *statements: str) -> None:
    with opened.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


PARTITION = re.compile(r"event_(rows|details|usage)_p\d+(_pkey)?")


def differences(opened: Engine) -> list[Any]:
    """Between the database and the declared tables. Comments are for readers of the code; an index or a constraint
    of one database only is told apart by its name."""
    elsewhere = "uq_event_contexts" if opened.dialect.name == "postgresql" else "ix_event_contexts_key"
    for module in pkgutil.iter_modules(store.__path__):
        if module.name.startswith("tables"):
            importlib.import_module(f"routeiq.store.{module.name}")
    with opened.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda _, name, *__: name != elsewhere and not PARTITION.fullmatch(name or "")},
        )
        found = compare_metadata(context, METADATA)
    return [item for item in found if not (isinstance(item, list) and item[0][0] == "modify_comment")]


def test_the_newest_migration_is_the_one_this_version_expects() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).with_name("migrations")))
    assert script.get_current_head() == HEAD


def test_up_gives_the_declared_tables_and_down_gives_none(database: Database, opened: Engine) -> None:
    assert revision(database) is None
    migrations.migrate(database)
    assert revision(database) == HEAD
    if isinstance(database, Path):
        assert database.stat().st_mode & 0o077 == 0
    assert differences(opened) == []
    with opened.connect() as connection:
        assert inspect(connection).get_view_names() == ["events"]
        assert [column["name"] for column in inspect(connection).get_columns("events")] == events.columns.keys()
    migrations.migrate(database, "base")
    assert revision(database) is None
    with opened.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert inspect(connection).get_view_names() == []
    migrations.migrate(database)
    assert revision(database) == HEAD


def test_each_step_goes_down_and_up_again(database: Database, opened: Engine) -> None:
    migrations.migrate(database)
    for number in range(int(HEAD) - 1, 0, -1):
        migrations.migrate(database, f"{number:04}")
        assert revision(database) == f"{number:04}"
        execute(opened, "SELECT * FROM events")
    for number in range(2, int(HEAD) + 1):
        migrations.migrate(database, f"{number:04}")
        execute(opened, "SELECT * FROM events")
    assert differences(opened) == []


def test_positions_are_taken_along(database: Database, opened: Engine) -> None:
    migrations.migrate(database, "0004")
    execute(opened, "INSERT INTO journal_offsets (segment, \"offset\") VALUES ('w1-1-1-0.jsonl', 77)")
    migrations.migrate(database)
    with opened.connect() as connection:
        assert connection.execute(text("SELECT * FROM journal_positions")).all() == [("", "w1-1-1-0.jsonl", 77)]
    migrations.migrate(database, "0004")
    with opened.connect() as connection:
        assert connection.execute(text("SELECT * FROM journal_offsets")).all() == [("w1-1-1-0.jsonl", 77)]


CONTEXT = """INSERT INTO event_contexts (endpoint, "key", key_name, "group", deployment, provider, upstream_model,
strategy, stream, estimated, tags, revision, worker{}) VALUES ('chat', 'k', '', '', 'd', '', '', '', false, false, '',
'r', 1{})"""


def test_contexts_that_differ_in_who_they_are_for_stay_apart(database: Database, opened: Engine) -> None:
    migrations.migrate(database)
    execute(opened, *(CONTEXT.format(", user_id, team_id", f", '{user}', 't'") for user in ("", "u1", "u2")))
    migrations.migrate(database, "0005")
    with opened.connect() as connection:
        found = connection.execute(text("SELECT revision FROM event_contexts ORDER BY id")).all()
    assert [row[0] for row in found] == ["r", "r#2", "r#3"]
    execute(opened, CONTEXT.replace("'r'", "'older'").format("", ""))
    migrations.migrate(database)
    with opened.connect() as connection:
        found = connection.execute(text("SELECT user_id, team_id, organization_id FROM event_contexts")).all()
    assert found == [("", "", "")] * 4


def test_a_child_process_migrates_and_a_newer_schema_is_refused(database: Database, opened: Engine) -> None:
    migrations.ensure_schema(database)
    migrations.ensure_schema(database)
    execute(
        opened,
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_compatibility SET oldest = '9998'",
    )
    with pytest.raises(migrations.MigrationFailed, match="newer"):
        migrations.ensure_schema(database)
    execute(opened, "DROP TABLE schema_compatibility")
    with pytest.raises(migrations.MigrationFailed, match="newer"):
        migrations.ensure_schema(database)


def test_a_newer_schema_that_serves_this_version_is_left_as_it_is(database: Database, opened: Engine) -> None:
    migrations.migrate(database)
    execute(opened, "UPDATE alembic_version SET version_num = '9999'")
    migrations.ensure_schema(database)
    migrations.migrate(database)
    assert revision(database) == "9999"


START = """
import os
from routeiq.core.database import DATABASE_URL_ENV, parse_database
from routeiq.store.migrate import ensure_schema
ensure_schema(parse_database(os.environ[DATABASE_URL_ENV]))
"""


def test_nodes_that_start_at_once_migrate_once(database: Database) -> None:
    url = f"sqlite:///{database}" if isinstance(database, Path) else database.url
    starts = [
        subprocess.Popen([sys.executable, "-c", START], env={DATABASE_URL_ENV: url}, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [(start.communicate(timeout=60)[1], start.returncode) for start in starts]
    assert ends == [("", 0)] * 4
    assert revision(database) == HEAD


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(migrations.MigrationFailed):
        migrations.ensure_schema(path)


def test_a_server_that_is_not_there_may_come_later(postgres: PostgresServer) -> None:
    gone = parse_database(f"postgresql://u:{QUOTED}@127.0.0.1:{free_port()}/d")
    with pytest.raises(migrations.Unreachable, match="can't be reached") as caught:
        migrations.ensure_schema(gone)
    assert "hunter2" not in str(caught.value)
    wrong = parse_database(postgres.database().replace("hunter2", "hunter3"))
    with pytest.raises(migrations.Unreachable, match="password authentication failed") as caught:
        migrations.ensure_schema(wrong)
    assert "hunter" not in str(caught.value)


def test_a_database_that_can_not_be_used_says_why(postgres: PostgresServer) -> None:
    latin = parse_database(postgres.database("ENCODING LATIN1 TEMPLATE template0"))
    with pytest.raises(migrations.MigrationFailed, match="encoding is LATIN1; it must be UTF8"):
        migrations.ensure_schema(latin)
    with postgres.admin() as connection:
        connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    guest = parse_database(postgres.database().replace("//routeiq:", "//guest:"))
    with pytest.raises(migrations.MigrationFailed, match="permission denied for schema public") as caught:
        migrations.ensure_schema(guest)
    assert not isinstance(caught.value, migrations.Unreachable)
    assert "hunter2" not in str(caught.value)


def test_readonly_means_it(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    migrations.migrate(path)
    connection = connect_readonly(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM event_rows")
    with closing(connect(path)) as writing:
        writing.execute("DELETE FROM event_rows")


def test_a_schema_of_its_own_and_an_engine_without_a_password(postgres: PostgresServer) -> None:
    url = postgres.database()
    plain = parse_database(url)
    own = parse_database(f"{url}?schema=gateway&sslmode=prefer")
    assert isinstance(plain, Postgres)
    assert isinstance(own, Postgres)
    with psycopg.connect(**plain.parameters, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA gateway")
    migrations.ensure_schema(own)
    assert (revision(own), revision(plain)) == (HEAD, None)
    opened = engine(own)
    assert PASSWORD not in repr(opened.url) + repr(own) + str(own)
    opened.dispose()


def test_a_connection_opens_while_another_one_writes(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    migrations.migrate(file)
    with closing(connect(file)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("UPDATE stored_revision SET number = 1")
        begun = time.monotonic()
        connect(file).close()
        assert time.monotonic() - begun < 5
        writing.execute("COMMIT")
