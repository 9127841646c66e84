"""Old rows go, their sums stay, and nobody who writes is held up for long; partitions of PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Engine, text

from routeiq.control.plane import Plane
from routeiq.control.retention import let_go
from routeiq.core.database import Database, Postgres
from routeiq.core.snapshot import Ledger, Prompts
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.ledger.verify import verify
from routeiq.store import partitions
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.retention import Retention
from routeiq.store.spend import SpendRepository

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    made = tmp_path / "journal"
    made.mkdir()
    return made


@pytest.fixture
def opened(database: Database) -> Iterator[Engine]:
    migrate(database)
    made = engine(database)
    yield made
    made.dispose()


def taken(database: Database, journal: Path, hours: range, each: int = 10, **more: Any) -> None:
    """Events, so many an hour, into the ledger and its sums."""
    lines = [
        encode_line(
            Event(
                id=f"{hour}-{number}", at=(START + hour * HOUR + number) * 1_000_000, endpoint="chat", cost=1, key="k",
                user="end" if number % 2 else "", searches=number % 3, **more,
            )
        )
        for hour in hours
        for number in range(each)
    ]  # fmt: skip
    (journal / f"w1-{hours.start + 1}-1-0.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ingester = Ingester(journal, opener(database), batch_bytes=2000)
    assert ingester.drain(20)
    ingester.close()


def ask(opened: Engine, query: str) -> list[tuple[Any, ...]]:
    with opened.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_old_rows_go_and_sums_stay(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(10))
    retention = Retention(opened, batch=7)
    steps = []
    while count := retention.step(START + 4 * HOUR):
        steps.append(count)
        assert verify(opened).findings == []
    assert steps == [7, 7, 7, 7, 7, 5]
    assert ask(opened, "SELECT min(seq), count(*) FROM event_rows") == [(41, 60)]
    for table in ("event_details", "event_usage"):
        assert ask(opened, f"SELECT count(*) FROM {table} WHERE seq <= 40") == [(0,)]
        assert ask(opened, f"SELECT count(*) FROM {table} WHERE seq > 40") != [(0,)]
    spend = SpendRepository(opened)
    assert spend.spent("key", "k") == 100
    assert spend.spent("key", "k", START + 2 * HOUR) == 80
    report = verify(opened)
    assert (report.findings, report.pruned, report.first) == ([], 40, 41)
    taken(database, journal, range(10, 12))
    assert verify(opened).findings == []
    assert spend.spent("key", "k") == 120
    if isinstance(database, Path):
        assert ask(opened, "PRAGMA auto_vacuum") == [(2,)]
        with opened.begin() as connection:
            connection.execute(text("CREATE TABLE big AS SELECT zeroblob(100000) AS x FROM event_rows"))
            connection.execute(text("DROP TABLE big"))
    free = "SELECT 0" if isinstance(database, Postgres) else "PRAGMA freelist_count"
    retention.give_back()
    assert ask(opened, free) == [(0,)]


def test_prompts_go_by_themselves_and_with_their_requests(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(6), prompt="asked", answer="told")
    assert ask(opened, "SELECT count(*) FROM event_prompts") == [(60,)]
    retention = Retention(opened, batch=7)
    while retention.step_prompts(START + 4 * HOUR):
        pass
    assert ask(opened, "SELECT min(seq), count(*) FROM event_prompts") == [(41, 20)]
    assert ask(opened, "SELECT count(*) FROM event_rows") == [(60,)]
    while retention.step(START + 5 * HOUR):
        pass
    assert ask(opened, "SELECT min(seq), count(*) FROM event_prompts") == [(51, 10)]
    assert verify(opened).findings == []


def test_runs_are_forgotten_with_their_requests(opened: Engine, database: Database, journal: Path) -> None:
    for hour in range(6):
        taken(database, journal, range(hour, hour + 1), run_id=f"run-{hour // 2}")
    spend = SpendRepository(opened)
    retention = Retention(opened, batch=1)
    while retention.step(START + 3 * HOUR):
        pass
    while retention.step_runs(START + 3 * HOUR):
        pass
    runs = ["run-0", "run-1", "run-2"]
    assert spend.spent_many("run", runs) == {"run-0": 0, "run-1": 20, "run-2": 20}
    assert ask(opened, "SELECT DISTINCT id FROM spend_labels WHERE kind = 'run' ORDER BY id") == [
        ("run-1",),
        ("run-2",),
    ]
    assert spend.spent("key", "k") == 60
    assert verify(opened).findings == []


def test_rows_of_an_older_version_are_added_up(opened: Engine, database: Database, journal: Path) -> None:
    with opened.begin() as connection:
        connection.execute(
            text(
                """INSERT INTO event_contexts (endpoint, "key", key_name, "group", deployment, provider,
                upstream_model, strategy, stream, estimated, tags, revision, worker)
                VALUES ('chat', 'k', '', 'm', 'd', '', '', '', false, false, '', 'r', 1)"""
            )
        )
        connection.execute(
            text(
                """INSERT INTO event_rows (seq, context, id, at, model, prompt_tokens, completion_tokens, duration,
                ttft, overhead, cost, cached_tokens, reasoning_tokens, written_tokens)
                VALUES (1, 1, 'old', 1700000000000000, 'm', 1, 1, 1, 1, 1, 9, 0, 0, 0)"""
            )
        )
        connection.execute(
            text(
                """INSERT INTO event_details (seq, request_id, upstream_model, status, error, retries, fallbacks,
                hedged, continued, "user") VALUES (1, 'r', 'u', 500, 'upstream', 0, 0, false, 0, 'end')"""
            )
        )
    taken(database, journal, range(1))
    assert SpendRepository(opened).spent("key", "k") == 19
    assert SpendRepository(opened).spent("end_user", "end") == 14
    assert verify(opened).findings == []


def test_the_newest_row_stays(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(2))
    retention = Retention(opened)
    while retention.step(START + 99 * HOUR):
        pass
    assert ask(opened, "SELECT seq FROM event_rows") == [(20,)]
    taken(database, journal, range(2, 3))
    assert ask(opened, "SELECT min(seq), max(seq) FROM event_rows") == [(20, 30)]
    assert verify(opened).findings == []


def test_what_is_not_added_up_stays(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(4))
    with opened.begin() as connection:
        connection.execute(text("UPDATE ledger_positions SET seq = 15 WHERE name = 'spend'"))
    retention = Retention(opened)
    while retention.step(START + 99 * HOUR):
        pass
    assert ask(opened, "SELECT min(seq) FROM event_rows") == [(16,)]


def test_a_late_row_of_an_old_time_holds_nothing_up(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(4))
    taken(database, journal, range(1), each=3)  # a journal that was away
    taken(database, journal, range(5, 6))
    retention = Retention(opened)
    while retention.step(START + 5 * HOUR):
        pass
    assert ask(opened, "SELECT min(seq), count(*) FROM event_rows") == [(44, 10)]


def test_while_the_ledger_grows(opened: Engine, database: Database, journal: Path) -> None:
    stop = threading.Event()
    ingester = Ingester(journal, opener(database), batch_bytes=2000)
    thread = threading.Thread(target=ingester.run, args=(stop,))
    thread.start()
    retention = Retention(opened, batch=20)
    try:
        for number in range(8):
            lines = [
                encode_line(Event(id=f"{number}-{n}", at=(START + number * HOUR) * 1_000_000, endpoint="chat", cost=1))
                for n in range(60)
            ]
            (journal / f"w1-{number + 1}-1-0.jsonl").write_bytes(b"\n".join(lines) + b"\n")
            while retention.step(START + number * HOUR):
                pass
            assert verify(opened).findings == []
            time.sleep(0.15)
    finally:
        stop.set()
        thread.join()
    assert ingester.drain(20)
    ingester.close()
    assert SpendRepository(opened).spent("global", "") == 480
    assert verify(opened).findings == []


def test_the_job_follows_its_settings(opened: Engine, database: Database, journal: Path) -> None:
    taken(database, journal, range(3))
    plane = SimpleNamespace(
        snapshot=SimpleNamespace(ledger=Ledger(retention=1.0, interval=0.05, prompts=Prompts(retention=1.0)))
    )

    async def run() -> None:
        job = asyncio.create_task(let_go(cast("Plane", plane), Retention(opened)))
        end = time.monotonic() + 10
        while ask(opened, "SELECT count(*) FROM event_rows") != [(1,)]:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        plane.snapshot = SimpleNamespace(ledger=Ledger())
        await asyncio.sleep(0.3)
        taken(database, journal, range(3, 4))
        await asyncio.sleep(0.2)
        job.cancel()

    asyncio.run(run())
    assert ask(opened, "SELECT count(*) FROM event_rows") == [(11,)]


def parts(opened: Engine, table: str) -> list[str]:
    return [row[0] for row in ask(opened, partitions.BOUNDS.format(table=table) + " ORDER BY c.oid")]


def test_partitions_are_made_ahead_and_dropped_whole(
    opened: Engine, database: Database, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(database, Postgres):
        assert Retention(opened)._drop(cast("Any", None), 0, 99) == 0  # a file has none
        return
    monkeypatch.setattr(partitions, "SIZE", 25)
    monkeypatch.setattr(partitions, "AHEAD", 50)
    for table in partitions.TABLES:  # as after an update, with smaller ones
        with opened.begin() as connection:
            for name in parts(opened, table)[1:]:
                connection.execute(text(f"DROP TABLE {name}"))
            connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {table}_p0"))
            connection.execute(
                text(f"ALTER TABLE {table} ATTACH PARTITION {table}_p0 FOR VALUES FROM (MINVALUE) TO (25)")
            )
    taken(database, journal, range(10))
    for table in partitions.TABLES:
        names = parts(opened, table)
        assert names == [f"{table}_p{start}" for start in (0, *range(25, 25 * len(names), 25))]
        assert len(names) >= 6
    retention = Retention(opened, batch=3)
    assert retention.step(START + 6 * HOUR) == 24
    assert parts(opened, "event_usage")[0] == "event_usage_p25"
    assert [retention.step(START + 6 * HOUR) for _ in range(7)] == [25, 3, 3, 3, 2, 0, 0]
    assert verify(opened).findings == []
    taken(database, journal, range(10, 14))
    report = verify(opened)
    assert (report.findings, report.rows, report.pruned) == ([], 80, 60)
    assert SpendRepository(opened).spent("key", "k") == 140
    migrate(database, "0009")
    assert ask(opened, "SELECT count(*), min(seq), max(seq) FROM event_rows") == [(80, 61, 140)]
    migrate(database)
    taken(database, journal, range(14, 15))
    assert verify(opened).findings == []
