"""The ledger in PostgreSQL: servers that go away and come back, several nodes at a time, calls that fail."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from routeiq.core.database import Database, Postgres, parse_database
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester, node_name
from routeiq.ledger.tail import LedgerTail, LedgerUnreadable
from routeiq.ledger.target import Moved, Target, opener
from routeiq.ledger.verify import verify
from routeiq.store.database import connect, connect_postgres, engine
from routeiq.store.migrate import migrate
from support.postgres import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that is stopped and started."""
    with PostgresServer() as made:
        yield made


@pytest.fixture
def ledger(server: PostgresServer) -> Postgres:
    made = parse_database(server.database())
    assert isinstance(made, Postgres)
    migrate(made)
    return made


def ask(database: Postgres, query: str) -> list[tuple[Any, ...]]:
    with connect_postgres(database, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def added_up(database: Postgres, count: int) -> bool:
    """Whether the sums have so many requests, and agree with the rows."""
    opened = engine(database)
    report = verify(opened)
    opened.dispose()
    assert report.findings == []
    assert (report.rows, report.added_up) == (count, count)
    query = "SELECT requests FROM spend_totals WHERE kind = 'global' AND quarter = -1"
    return ask(database, query) == [(count,)]


def journal_of(tmp_path: Path, name: str = "journal") -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def line(ident: str, **fields: Any) -> bytes:
    return encode_line(Event(id=ident, at=1, endpoint="chat", **fields)) + b"\n"


class Load:
    """Writes Events from a thread, in segments that end now and then, as a worker does."""

    def __init__(self, journal: Path, name: str, column: int = 1) -> None:
        self.written: list[str] = []
        self._journal, self._name, self._column = journal, name, column
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for number in range(10_000):
            path = self._journal / f"w{self._column}-{1000 + number}-1-{number}.jsonl"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            for _ in range(200):
                ident = f"{self._name}-{len(self.written)}"
                os.write(fd, line(ident, request_id=ident if len(self.written) % 3 else ""))
                self.written.append(ident)
                if len(self.written) % 20 == 0 and self._stop.wait(0.002):
                    break
            os.close(fd)
            if self._stop.is_set():
                return


@contextmanager
def running(ingester: Ingester) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=ingester.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_that_stops_and_crashes_under_load(server: PostgresServer, ledger: Postgres, tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    told: list[str] = []
    seen: list[tuple[int, int, int]] = []
    ingester = Ingester(
        journal, opener(ledger), observe=lambda *n: seen.append(n), trouble=told.append, batch_bytes=4096
    )
    with Load(journal, "e") as load, running(ingester):
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGQUIT):
            until(lambda: told[-1:] == [""])
            time.sleep(0.3)
            server.stop(how)
            until(lambda: bool(told[-1]))
            assert "hunter2" not in told[-1]
            until(lambda: seen[-1][2] > 100_000)
            server.start()
        until(lambda: told[-1] == "")
    assert ingester.drain(30)
    ingester.close()
    assert sorted(row[0] for row in ask(ledger, "SELECT id FROM events")) == sorted(load.written)
    assert ask(ledger, "SELECT count(*), max(seq) FROM event_rows") == [(len(load.written), len(load.written))]
    assert ask(ledger, "SELECT count(*) FROM events WHERE request_id NOT IN ('', id)") == [(0,)]
    assert added_up(ledger, len(load.written))
    assert sum(count for count, _, _ in seen) >= len(load.written) - 1000, "only a commit in doubt is not counted"
    assert not list(journal.glob("w*"))
    assert not (journal / "quarantine").exists()


def test_connections_that_are_cut(server: PostgresServer, ledger: Postgres, tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    ingester = Ingester(journal, opener(ledger), batch_bytes=2048)
    cut = 0
    with Load(journal, "e") as load, running(ingester), server.admin() as admin:
        for _ in range(25):
            time.sleep(0.06)
            cut += len(
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (ledger.parameters["dbname"],),
                ).fetchall()
            )
    assert cut > 0
    assert ingester.drain(30)
    ingester.close()
    assert sorted(row[0] for row in ask(ledger, "SELECT id FROM events")) == sorted(load.written)
    assert added_up(ledger, len(load.written))


def test_nodes_share_a_ledger_and_a_reader_misses_nothing(ledger: Postgres, tmp_path: Path) -> None:
    journals = [journal_of(tmp_path, f"node{number}") for number in range(3)]
    ingesters = [Ingester(journal, opener(ledger), batch_bytes=2048) for journal in journals]
    read: list[dict[str, Any]] = []
    with closing(LedgerTail(ledger)) as tail:
        assert tail.last(10) == []
        with (
            Load(journals[0], "a") as a, Load(journals[1], "b") as b, Load(journals[2], "c") as c,
            running(ingesters[0]), running(ingesters[1]), running(ingesters[2]),
        ):  # fmt: skip
            end = time.monotonic() + 2
            while time.monotonic() < end:
                read += tail.more()
        for ingester in ingesters:
            assert ingester.drain(30)
            ingester.close()
        while rows := tail.more():
            read += rows
    assert len({node_name(journal) for journal in journals}) == 3
    assert [row["seq"] for row in read] == list(range(1, len(read) + 1))
    for name, load in (("a-", a), ("b-", b), ("c-", c)):
        assert sorted(row["id"] for row in read if row["id"].startswith(name)) == sorted(load.written)
        assert all(row["request_id"] in ("", row["id"]) for row in read)
    assert ask(ledger, "SELECT count(*) FROM event_contexts") == [(1,)]
    assert added_up(ledger, len(read))


def test_a_commit_that_came_late_is_not_repeated(ledger: Postgres) -> None:
    first, second = opener(ledger)("n"), opener(ledger)("n")
    first.begin("s", 0)
    first.insert_rows([(1, "a", 1, "m", 1, 1, 1, 1, 1, None, 0, 0, 0)])
    waiting = threading.Thread(target=lambda: (time.sleep(0.2), first.commit("s", 10)))
    waiting.start()
    with pytest.raises(Moved):
        second.begin("s", 0)
    waiting.join()
    second.begin("s", 10)
    second.rollback()
    assert second.offsets(["s"]) == {"s": 10}
    assert second.offsets([]) == {}
    first.close()
    second.close()


def test_a_journal_half_taken_over_by_an_older_version(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    journal, other = journal_of(tmp_path), journal_of(tmp_path, "other")
    whole = [line("a"), line("b"), line("c")]
    (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(whole))
    (other / "w1-1-1-0.jsonl").write_bytes(line("x"))
    migrate(path, "0004")
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO journal_offsets VALUES ('w1-1-1-0.jsonl', ?)", (len(whole[0]),))
    migrate(path)
    for directory in (journal, other):
        ingester = Ingester(directory, opener(path))
        assert ingester.drain(10)
        ingester.close()
    with closing(LedgerTail(path)) as tail:
        assert [row["id"] for row in tail.last(9)] == ["b", "c", "x"]
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT * FROM journal_positions").fetchall() == []


class Failing:
    """A target that fails one of its calls, before doing it or after."""

    def __init__(self, target: Target, calls: list[str], fail_at: int, after: bool) -> None:
        self._target, self._calls, self._fail_at, self._after = target, calls, fail_at, after
        self.unfit = target.unfit

    def __getattr__(self, name: str) -> Any:
        done = getattr(self._target, name)
        if name in ("close", "rollback", "prepare"):
            return done

        def call(*args: Any) -> Any:
            self._calls.append(name)
            failing = len(self._calls) == self._fail_at
            if failing and not self._after:
                raise psycopg.OperationalError("the connection is lost")
            result = done(*args)
            if failing:
                raise psycopg.OperationalError("the connection was lost")
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
def test_every_call_may_fail(postgres: PostgresServer, tmp_path: Path, after: bool) -> None:
    database: Database = parse_database(postgres.database())
    assert isinstance(database, Postgres)
    migrate(database)
    failed = set()
    for fail_at in range(1, 60):
        journal = journal_of(tmp_path, str(fail_at))
        ids = [f"{fail_at}-{number}" for number in range(4)]
        (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(line(ident, user=ident) for ident in ids[:2]))
        (journal / "w1-2-1-0.jsonl").write_bytes(b"".join(map(line, ids[2:])))
        calls: list[str] = []
        made = opener(database)
        ingester = Ingester(journal, lambda node: Failing(made(node), calls, fail_at, after), batch_bytes=200)  # noqa: B023
        for _ in range(12):
            try:
                ingester.step()
            except psycopg.OperationalError:
                failed.add(calls[-1])
        ingester.close()
        assert [
            row[0] for row in ask(database, f"SELECT id FROM events WHERE id LIKE '{fail_at}-%' ORDER BY seq")
        ] == ids
        assert not list(journal.glob("w*"))
        if len(calls) < fail_at:
            break
    assert failed >= {"offsets", "begin", "commit", "insert_rows", "find_context", "insert_side", "durable", "forget"}


def test_what_can_not_be_stored_does_not_hold_up_the_rest(ledger: Postgres, tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    huge = line("huge", prompt_tokens=2**63)
    (journal / "w1-1-1-0.jsonl").write_bytes(
        line("a")
        + huge
        + line("b", retries=2**40, user='\\u0000\x00\\\x00"')
        + line("c", user="\udfff".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    )
    ingester = Ingester(journal, opener(ledger))
    assert ingester.drain(10)
    ingester.close()
    rows = ask(ledger, 'SELECT id, retries, "user" FROM events ORDER BY seq')
    assert rows[:2] == [("a", 0, ""), ("b", 2**40, '\\u0000\ufffd\\\ufffd"')]
    assert [row[0] for row in rows] == ["a", "b", "c"]
    (kept,) = (journal / "quarantine").iterdir()
    assert kept.read_bytes() == huge


def test_who_is_told_what_by_the_tail(server: PostgresServer, ledger: Postgres, tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(line(str(n), model=f"m{n % 2}", key_name="k") for n in range(9)))
    ingester = Ingester(journal, opener(ledger))
    ingester.drain(10)
    ingester.close()
    with closing(LedgerTail(ledger, model="m1", key="k")) as tail:
        assert [row["id"] for row in tail.last(2)] == ["5", "7"]
        assert tail.more() == []
    with (
        pytest.raises(LedgerUnreadable, match="can't be read"),
        closing(LedgerTail(parse_database(server.database()))) as tail,
    ):
        tail.last(1)
    wrong = parse_database(ledger.url.replace("hunter2", "hunter3"))
    with pytest.raises(LedgerUnreadable, match="can't be reached") as caught:
        LedgerTail(wrong)
    assert "hunter" not in str(caught.value)
    with pytest.raises(LedgerUnreadable, match="no ledger"):
        LedgerTail(tmp_path / "none.db")
