"""The Journal into the ledger: every Event once, whatever dies or breaks on the way."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from routeiq.core.database import DATABASE_URL_ENV, Database, Postgres, parse_database
from routeiq.core.usage import Usage
from routeiq.ledger.columns import COLUMNS, DECISIONS, PROMPTS
from routeiq.ledger.event import Event, LineTemplate, decode_line, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.rows import salvage
from routeiq.ledger.sqlite import SqliteTarget
from routeiq.ledger.target import opener
from routeiq.store.database import connect, connect_postgres, database_path, engine
from routeiq.store.migrate import migrate
from routeiq.store.requests import RequestRepository
from routeiq.store.tables import events


@dataclass
class State:
    """A state directory, and the database its journal goes to."""

    directory: Path
    database: Database
    engine: Engine

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


@contextmanager
def state_of(directory: Path, database: Database) -> Iterator[State]:
    (directory / "journal").mkdir(parents=True)
    migrate(database)
    made = State(directory, database, engine(database))
    yield made
    made.engine.dispose()


@pytest.fixture
def state(tmp_path: Path, database: Database) -> Iterator[State]:
    with state_of(tmp_path / "state", database) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database of the module's own, with the schema."""
    made: Database = tmp_path_factory.mktemp("empty") / "routeiq.db"
    if request.param == "postgresql":
        made = parse_database(request.getfixturevalue("postgres").database())
    migrate(made)
    return made


def wiped(empty: Database, state: Path) -> Database:
    """A database that nothing has been written to."""
    if isinstance(empty, Path):
        return Path(shutil.copy(empty, database_path(state)))
    with connect_postgres(empty, autocommit=True) as connection:
        connection.execute("TRUNCATE event_rows, event_contexts, event_details, event_usage, journal_positions")
    return empty


def kept_as(value: Any) -> Any:
    """What becomes of a value in PostgreSQL, whose text can't hold U+0000; in JSON it has another name."""
    return value.replace("\\u0000", "\ufffd").replace("\x00", "\ufffd") if isinstance(value, str) else value


class Writer:
    """A journal writer as workers have them: one locked segment at a time."""

    def __init__(self, journal: Path, column: int = 1) -> None:
        self.journal = journal
        self.column = column
        self.seq = 0
        self.fd = -1
        self.rotate()

    def rotate(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        name = f"w{self.column}-{int(time.time() * 1000)}-{os.getpid()}-{self.seq}.jsonl"
        self.seq += 1
        self.fd = os.open(self.journal / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def write(self, *ids: str, **fields: Any) -> None:
        for id in ids:
            os.write(self.fd, line(id, **fields))


def line(id: str, **fields: Any) -> bytes:
    return encode_line(Event(id=id, at=fields.pop("at", 1_700_000_000_000_000), **fields)) + b"\n"


def ids(state: State) -> list[str]:
    return [row[0] for row in state.ask("SELECT id FROM events ORDER BY seq")]


@pytest.fixture
def ingester(state: State) -> Iterator[Ingester]:
    made = Ingester(state / "journal", opener(state.database))
    yield made
    made.close()


def test_every_field_arrives(state: State, ingester: Ingester) -> None:
    writer = Writer(state / "journal")
    full = Event(
        id="a", at=5, request_id="r", endpoint="chat", key="k", key_name="n", model="m", group="g", deployment="d",
        provider="p", upstream_model="u", strategy="s", status=429, error="limited", stream=True, prompt_tokens=1,
        completion_tokens=2, cached_tokens=3, reasoning_tokens=4, estimated=True, cost=6, duration=7, ttft=8,
        overhead=9, retries=10, fallbacks=11, hedged=True, user="ü\u2028\x00", tags=("x", "y"), revision="v", worker=2,
        written_tokens=12, written_1h_tokens=13, audio_in_tokens=14, audio_out_tokens=15, cached_audio_tokens=16,
        image_in_tokens=17, image_out_tokens=18, cached_image_tokens=19, images_in=20, images=21, requests=22,
        searches=23, searches_low=24, searches_high=25, units=26, seconds=0.1, service_tier="batch", run_id="run",
        request_tags=("ü", "z"), prompt="asked\x00", answer="told", decision_id="d", decision="{}",
        user_id="u1", team_id="t1", organization_id="o1",
    )  # fmt: skip
    os.write(writer.fd, encode_line(full) + b"\n")
    writer.write("b")
    ingester.drain(5)
    newest, oldest = RequestRepository(state.engine).page()
    said = "asked\ufffd" if isinstance(state.database, Postgres) else "asked\x00"
    assert state.ask("SELECT * FROM event_prompts") == [(1, said, "told")]
    assert state.ask("SELECT * FROM event_decisions") == [(1, "d", "{}")]
    expected = {
        name: value for name, value in msgspec.structs.asdict(full).items() if name not in PROMPTS + DECISIONS
    } | {
        "tags": '["x","y"]',
        "request_tags": '["ü","z"]',
        "seq": 1,
    }
    if isinstance(state.database, Postgres):
        expected["user"] = kept_as(full.user)
    assert oldest == expected
    assert newest["cost"] is None
    assert newest["tags"] is newest["request_tags"] is None
    assert newest["status"] == 200


def test_columns_are_those_of_the_table() -> None:
    assert sorted(column.name for column in events.columns) == sorted({"seq", *COLUMNS} - {*PROMPTS, *DECISIONS})


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.just('a,"endpoint":"b')
COUNT = st.integers(0, 2**40)
CONSTANTS = st.builds(
    Event, id=st.just(""), at=st.just(0), endpoint=st.sampled_from(["chat", "embeddings", ""]), key=TEXT, key_name=TEXT,
    group=TEXT, deployment=TEXT, provider=TEXT, upstream_model=TEXT, strategy=TEXT,
    tags=st.lists(TEXT, max_size=2).map(tuple), revision=TEXT, worker=st.integers(0, 9), user_id=TEXT, team_id=TEXT,
    organization_id=TEXT,
)  # fmt: skip
PLAIN = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str), "at": COUNT, "model": TEXT, "stream": st.booleans(), "prompt_tokens": COUNT,
        "completion_tokens": COUNT, "cached_tokens": st.just(0) | COUNT, "reasoning_tokens": st.just(0) | COUNT,
        "written_tokens": st.just(0) | COUNT,
        "estimated": st.booleans(), "cost": st.none() | COUNT, "duration": COUNT, "ttft": COUNT, "overhead": COUNT,
    }
)  # fmt: skip
DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "request_id": TEXT, "status": st.integers(200, 599), "error": TEXT, "retries": COUNT, "fallbacks": COUNT,
        "hedged": st.booleans(), "user": TEXT, "run_id": TEXT, "request_tags": st.lists(TEXT, max_size=2).map(tuple),
        "written_1h_tokens": COUNT, "audio_in_tokens": COUNT, "requests": COUNT,
        "seconds": st.floats(0, 1e6), "service_tier": TEXT,
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.tuples(CONSTANTS, st.lists(st.tuples(PLAIN, st.none() | DETAILS), min_size=1)), max_size=4),
    data=st.data(),
)
def test_all_kinds_of_lines_give_their_events_in_order(empty: Database, groups: list[Any], data: st.DataObject) -> None:
    postgres = not isinstance(empty, Path)
    written = data.draw(st.permutations([(constant, *fields) for constant, some in groups for fields in some]))
    lines: list[bytes] = []
    expected: list[dict[str, Any]] = []
    for constant, plain, details in written:
        event = msgspec.structs.replace(constant, **plain, **(details or {}))
        usage = Usage(
            prompt=event.prompt_tokens, completion=event.completion_tokens, cached=event.cached_tokens,
            written=event.written_tokens, reasoning=event.reasoning_tokens, estimated=event.estimated,
        )  # fmt: skip
        template = LineTemplate(constant).line(
            event.id, event.at, msgspec.json.encode(event.model), event.stream, usage, event.cost, event.duration,
            event.ttft, event.overhead,
        )  # fmt: skip
        lines.append(template if details is None else encode_line(event))
        assert decode_line(lines[-1]) == event
        lists = {
            name: msgspec.json.encode(value).decode() if value else None
            for name, value in (("tags", event.tags), ("request_tags", event.request_tags))
        }
        row = {"seq": len(lines), **msgspec.structs.asdict(event), **lists}
        for name in (*PROMPTS, *DECISIONS):
            del row[name]
        expected.append({name: kept_as(value) if postgres else value for name, value in row.items()})
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        (state / "journal").mkdir()
        where = wiped(empty, state)
        (state / "journal" / "w1-1-1-0.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        ingester = Ingester(state / "journal", opener(where), batch_bytes=2000)
        assert ingester.drain(20)
        ingester.close()
        assert not (state / "journal" / "quarantine").exists()
        database = engine(where)
        assert RequestRepository(database).page(limit=1000)[::-1] == expected
        database.dispose()


def test_contexts_are_kept_once(state: State) -> None:
    common = {"endpoint": "chat", "key": "k", "deployment": "d", "tags": ("a",)}
    template = LineTemplate(Event(id="", at=0, upstream_model="u", **common))  # type: ignore[arg-type]
    writer = Writer(state / "journal")
    for start in (0, 100):
        for number in range(start, start + 100):
            os.write(writer.fd, template.line(f"id-{number}", 1, b'"m"', False, Usage(), None, 1, 1, 1) + b"\n")
            writer.write(f"wild-{number}", upstream_model=f"u-{number}", **common)
        ingester = Ingester(state / "journal", opener(state.database))
        assert ingester.drain(5)
        ingester.close()
    assert state.ask("SELECT count(*) FROM event_contexts") == [(2,)]
    assert state.ask("SELECT count(*) FROM event_details") == [(200,)]
    assert state.ask("SELECT upstream_model FROM events WHERE id = 'wild-199'") == [("u-199",)]
    assert state.ask("SELECT upstream_model FROM events WHERE id = 'id-199'") == [("u",)]


def test_an_undone_transaction_leaves_no_context_remembered(state: State) -> None:
    template = LineTemplate(Event(id="", at=0, endpoint="chat", key="k"))
    good = template.line("a", 1, b'"m"', False, Usage(), None, 1, 1, 1)
    too_much = template.line("b", 1, b'"m"', False, Usage(prompt=2**63), None, 1, 1, 1)
    two = template.line('c","at":1} {"id":"d', 1, b'"m"', False, Usage(), None, 1, 1, 1)
    (state / "journal" / "w1-1-1-0.jsonl").write_bytes(b"\n".join([good, too_much, two, b"", good, b""]))
    ingester = Ingester(state / "journal", opener(state.database))
    assert ingester.drain(5)
    ingester.close()
    rows = RequestRepository(state.engine).page()
    assert [(row["id"], row["key"]) for row in rows] == [("a", "k"), ("d", "k"), ("a", "k")]


def test_reading_starts_at_the_end_and_looks_things_up(tmp_path: Path) -> None:
    migrate(tmp_path / "routeiq.db")
    connection = connect(tmp_path / "routeiq.db")
    for query in (
        "SELECT * FROM events ORDER BY seq DESC LIMIT 9",
        "SELECT * FROM events WHERE seq < 5 ORDER BY seq DESC LIMIT 9",
        "SELECT * FROM events WHERE seq > 5 ORDER BY seq LIMIT 9",
        "SELECT * FROM events WHERE \"key\" = 'k' OR key_name = 'k' ORDER BY seq DESC LIMIT 9",
        "SELECT * FROM events WHERE (model = 'm' OR \"group\" = 'm') AND status = 500 ORDER BY seq DESC LIMIT 9",
        "SELECT max(seq) FROM events",
    ):
        first, *others = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert first.split()[1] == "r"
        assert ("rowid" in first) == ("WHERE seq" in query)
        assert [step.split(" (rowid=?)")[0] for step in others] == [
            "SEARCH c USING INTEGER PRIMARY KEY",
            "SEARCH d USING INTEGER PRIMARY KEY",
            "SEARCH u USING INTEGER PRIMARY KEY",
        ]


def test_an_unfinished_line_waits_and_a_finished_segment_goes(state: State, ingester: Ingester) -> None:
    writer = Writer(state / "journal")
    whole = line("b")
    writer.write("a")
    os.write(writer.fd, whole[:20])
    ingester.drain(5)
    assert ids(state) == ["a"]
    os.write(writer.fd, whole[20:])
    ingester.drain(5)
    assert ids(state) == ["a", "b"]
    old = list((state / "journal").glob("w*"))
    writer.rotate()
    writer.write("c")
    ingester.drain(5)
    ingester.step()
    assert ids(state) == ["a", "b", "c"]
    left = list((state / "journal").glob("w*"))
    assert len(left) == 1
    assert left != old
    assert len(state.ask("SELECT * FROM journal_positions")) == 1


def test_a_torn_tail_is_set_aside(state: State) -> None:
    seen: list[tuple[int, int, int]] = []
    ingester = Ingester(state / "journal", opener(state.database), observe=lambda *n: seen.append(n))
    writer = Writer(state / "journal")
    writer.write("a")
    os.write(writer.fd, line("torn")[:30])
    os.close(writer.fd)
    ingester.drain(5)
    ingester.step()
    assert ids(state) == ["a"]
    assert list((state / "journal").glob("w*")) == []
    (kept,) = (state / "journal" / "quarantine").iterdir()
    assert kept.read_bytes() == line("torn")[:30] + b"\n"
    assert [sum(column) for column in zip(*seen, strict=True)][:2] == [1, 1]
    ingester.close()


def test_an_event_behind_a_cut_write_is_kept() -> None:
    good, bad = salvage(line("first", user='{"id":"x"}')[:40] + line("second"))
    assert [row[0] for row in good] == ["second"]
    assert bad == [line("first", user='{"id":"x"}')[:40]]


def test_an_empty_segment_stays_while_its_writer_lives(state: State, ingester: Ingester) -> None:
    writer = Writer(state / "journal")
    ingester.step()
    assert len(list((state / "journal").glob("w*"))) == 1
    os.close(writer.fd)
    ingester.step()
    assert list((state / "journal").glob("w*")) == []


def test_lines_longer_than_a_batch(state: State) -> None:
    ingester = Ingester(state / "journal", opener(state.database), batch_bytes=64)
    writer = Writer(state / "journal")
    writer.write("a", "b", user="x" * 10_000)
    ingester.drain(5)
    assert ids(state) == ["a", "b"]
    ingester.close()


def test_a_thousand_mutations_lose_only_what_they_hit(state: State, ingester: Ingester) -> None:
    generator = random.Random(11)
    lines = [line(f"id-{number:05d}", model="gpt-4o", cost=number) for number in range(5_000)]
    hit = generator.sample(range(len(lines)), 1_000)
    for number in hit:
        data = bytearray(lines[number])
        kind = generator.randrange(4)
        place = generator.randrange(len(data) - 1)
        if kind == 0:
            data[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del data[place : place + generator.randrange(1, 20)]
        elif kind == 2:
            data[place:place] = generator.randbytes(5)
        else:
            data[place : place + 8] = bytes(8)
        lines[number] = bytes(data)
    path = state / "journal" / "w1-1-1-0.jsonl"
    path.write_bytes(b"".join(lines))
    assert ingester.drain(20)
    ingester.step()
    found = ids(state)
    untouched = {f"id-{number:05d}" for number in range(len(lines))} - {f"id-{number:05d}" for number in hit}
    # A newline lost or made changes its neighbour too: that is what the mutation hit.
    joined = sum(1 for number in hit if not lines[number].endswith(b"\n"))
    assert len(untouched - set(found)) <= joined
    assert len(found) == len(set(found)) or len(found) - len(set(found)) < 5  # an id's own digits were flipped
    assert list((state / "journal" / "quarantine").iterdir())
    assert not path.exists()


class Failing(sqlite3.Connection):
    """Fails its `fail_at`-th call."""

    calls = 0
    fail_at = 0

    def _count(self) -> None:
        Failing.calls += 1
        if Failing.calls == Failing.fail_at:
            raise sqlite3.OperationalError("disk I/O error")

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self._count()
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        self._count()
        return super().executemany(*args)


def test_every_store_call_may_fail_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        every_store_call_may_fail_once(tmp_path, stack)


def every_store_call_may_fail_once(tmp_path: Path, stack: ExitStack) -> None:
    for fail_at in range(1, 120):
        path = tmp_path / f"{fail_at}.db"
        state = stack.enter_context(state_of(tmp_path / str(fail_at), path))
        Failing.calls, Failing.fail_at = 0, fail_at
        ingester = Ingester(
            state / "journal",
            lambda node, path=path: SqliteTarget(sqlite3.connect(path, isolation_level=None, factory=Failing), node),
            batch_bytes=200,
        )
        writer = Writer(state / "journal")
        writer.write("a", "b", "c")
        writer.rotate()
        writer.write("d")
        for _ in range(10):
            try:
                ingester.step()
            except sqlite3.Error:
                assert Failing.calls in (fail_at, fail_at + 1)  # a ROLLBACK follows
        calls, Failing.fail_at = Failing.calls, 0
        assert ingester.drain(5)
        ingester.close()
        assert state.ask("SELECT requests FROM spend_totals WHERE kind = 'global' AND quarter = -1") == [(4,)]
        assert sorted(ids(state)) == ["a", "b", "c", "d"]
        assert len(list((state / "journal").glob("w*"))) == 1
        if calls < fail_at:
            return
    pytest.fail("the calls never ran out")


def test_two_ingesters_take_turns(state: State, ingester: Ingester) -> None:
    writer = Writer(state / "journal")
    writer.write("a")
    ingester.step()
    other = Ingester(state / "journal", opener(state.database))
    writer.write("b")
    assert other.step() == 0
    ingester.close()
    assert other.step() > 0
    assert ids(state) == ["a", "b"]
    other.close()


INGEST = """
import os, sys, threading
from pathlib import Path
from routeiq.core.database import DATABASE_URL_ENV, parse_database
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
database = parse_database(os.environ[DATABASE_URL_ENV])
Ingester(Path(sys.argv[1]), opener(database), batch_bytes=4096).run(threading.Event())
"""


def test_kill_nine_at_any_point_repeats_and_loses_nothing(state: State) -> None:
    url = state.database.url if isinstance(state.database, Postgres) else f"sqlite:///{state.database}"
    generator = random.Random(3)
    writer = Writer(state / "journal")
    written: list[str] = []
    deadline = time.monotonic() + 12
    for _ in range(15):
        command = [sys.executable, "-c", INGEST, str(state / "journal")]
        child = subprocess.Popen(command, env={**os.environ, DATABASE_URL_ENV: url})
        end = time.monotonic() + 0.15 + generator.random() * 0.5
        while time.monotonic() < end:
            for _ in range(20):
                written.append(f"id-{len(written)}")
                writer.write(written[-1])
            if generator.random() < 0.05:
                writer.rotate()
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if time.monotonic() > deadline:
            break
    os.close(writer.fd)
    ingester = Ingester(state / "journal", opener(state.database))
    assert ingester.drain(20)
    ingester.close()
    assert sorted(ids(state)) == sorted(written)
    assert list((state / "journal").glob("w*")) == []


def test_pages_and_filters(state: State, ingester: Ingester) -> None:
    writer = Writer(state / "journal")
    for number in range(10):
        writer.write(f"id-{number}", model="a" if number % 2 else "b", group="g", status=200 + number, key_name="n")
    ingester.drain(5)
    repository = RequestRepository(state.engine)
    first = repository.page(limit=3)
    assert [row["id"] for row in first] == ["id-9", "id-8", "id-7"]
    assert [row["id"] for row in repository.page(limit=2, before=first[-1]["seq"])] == ["id-6", "id-5"]
    assert [row["id"] for row in repository.page(model="a", limit=2)] == ["id-9", "id-7"]
    assert [row["id"] for row in repository.page(status=204)] == ["id-4"]
    assert len(repository.page(key="n", model="g")) == 10
    assert repository.page(model="%") == []
    assert repository.newest() == 10
    assert json.dumps(first)
