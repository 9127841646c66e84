"""`routeiq ledger verify`: nothing to say about a ledger that is right, and every kind of damage is found."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from routeiq.cli import make_app
from routeiq.core.database import Database, Postgres
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.ledger.verify import verify
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.spend import SpendRepository

DAY = 86_400 * 1_000_000
START = 1_700_000_000_000_000


def events(count: int, first: int = 0) -> list[Event]:
    return [
        Event(
            id=f"e{number}", at=START + number % 3 * DAY, endpoint="chat", cost=number if number % 5 else None,
            prompt_tokens=number, key=f"k{number % 4}", user_id=f"u{number % 2}", team_id="t", group="gpt-4o",
            status=500 if number % 7 == 0 else 200, user="end" if number % 3 == 0 else "",
            tags=("x",) if number % 4 == 0 else (), request_tags=("x", "y") if number % 6 == 0 else (),
            searches=number % 2,
        )
        for number in range(first, first + count)
    ]  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    made = tmp_path / "state" / "journal"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def opened(database: Database, journal: Path) -> Iterator[Engine]:
    """A ledger of a hundred Events over three days, added up."""
    migrate(database)
    write(journal, events(100))
    ingester = Ingester(journal, opener(database))
    assert ingester.drain(10)
    ingester.close()
    made = engine(database)
    yield made
    made.dispose()


def write(journal: Path, some: list[Event], name: str = "w1-1-1-0.jsonl") -> None:
    (journal / name).write_bytes(b"".join(encode_line(event) + b"\n" for event in some))


def run(opened: Engine, *statements: str) -> None:
    with opened.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_ledger_that_is_right(opened: Engine, journal: Path) -> None:
    report = verify(opened, journal=journal)
    assert report.findings == []
    assert (report.rows, report.first, report.newest, report.added_up, report.days) == (100, 1, 100, 100, 3)
    assert report.cost == sum(event.cost or 0 for event in events(100))
    day = START // DAY
    assert verify(opened, first_day=day + 1, last_day=day + 1).days == 1


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("gaps", "DELETE FROM event_rows WHERE seq = 50"),
        ("duplicates", "UPDATE event_rows SET id = 'e1' WHERE seq = 50"),
        ("contexts", "UPDATE event_rows SET context = 999 WHERE seq = 50"),
        ("added_up", "UPDATE ledger_positions SET seq = 101 WHERE name = 'spend'"),
        ("event_details", "UPDATE event_details SET seq = 5000 WHERE seq = (SELECT max(seq) FROM event_details)"),
        ("event_usage", "UPDATE event_usage SET seq = 5000 WHERE seq = (SELECT max(seq) FROM event_usage)"),
        ("spend_days", "UPDATE event_rows SET cost = cost + 1 WHERE seq = 50"),
        ("spend_days", "DELETE FROM spend_days WHERE context = 1"),
        ("spend_labels", "UPDATE spend_labels SET cost = cost + 1 WHERE kind = 'end_user'"),
        ("spend_labels", "UPDATE event_details SET request_tags = '' WHERE request_tags <> ''"),
        ("spend_totals", "UPDATE spend_totals SET cost = cost + 1 WHERE kind = 'team' AND quarter > 0 AND share = ''"),
        ("spend_totals", "UPDATE spend_totals SET cost = cost - 1 WHERE kind = 'team' AND quarter = -1 AND share = ''"),
        ("spend_resets", "UPDATE spend_resets SET amount = amount - 1"),
        ("positions", 'UPDATE journal_positions SET "offset" = "offset" + 1'),
    ],
)
def test_damage_is_found(opened: Engine, database: Database, journal: Path, check: str, damage: str) -> None:
    SpendRepository(opened).reset("key", "k1", "admin")
    node = (journal / "node").read_text().strip()
    write(journal, events(1))
    size = (journal / "w1-1-1-0.jsonl").stat().st_size
    run(opened, f"INSERT INTO journal_positions VALUES ('{node}', 'w1-1-1-0.jsonl', {size})")
    assert verify(opened, journal=journal).ok
    run(opened, damage)
    found = verify(opened, journal=journal).findings
    assert check in {finding.check for finding in found}
    assert all(finding.count and finding.examples for finding in found)


def test_rows_that_are_not_added_up_yet_are_no_fault(opened: Engine, database: Database, journal: Path) -> None:
    write(journal, events(50, 100))
    ingester = Ingester(journal, opener(database))
    ingester._roll_at = time.monotonic() + 60
    while ingester.step():
        pass
    ingester.close()
    report = verify(opened)
    assert (report.ok, report.rows, report.added_up) == (True, 150, 100)


def test_while_the_ledger_grows(opened: Engine, database: Database, journal: Path) -> None:
    stop = threading.Event()
    ingester = Ingester(journal, opener(database), batch_bytes=2000)
    thread = threading.Thread(target=ingester.run, args=(stop,))
    thread.start()
    try:
        for number in range(12):
            write(journal, events(40, 100 + 40 * number), f"w1-{number + 2}-1-0.jsonl")
            assert verify(opened, journal=journal).findings == []
    finally:
        stop.set()
        thread.join()
    assert ingester.drain(10)
    ingester.close()
    report = verify(opened)
    assert (report.ok, report.rows, report.added_up) == (True, 580, 580)


def command(*words: str) -> int:
    return int(make_app()(words, exit_on_error=False, result_action="return_value") or 0)


def test_the_commands(
    opened: Engine,
    database: Database,
    journal: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = ["--state-dir", str(journal.parent)]
    if isinstance(database, Postgres):
        monkeypatch.setenv("DATABASE_URL", database.url)
    else:
        place += ["--database", str(database)]
    assert command("ledger", "verify", *place) == 0
    assert "100 requests" in capsys.readouterr().out
    assert command("ledger", "verify", *place, "--from", "2023-11-15", "--to", "2023-11-15", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["days"], found["findings"]) == (True, 1, [])
    assert command("ledger", "status", *place, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["newest"], told["added_up"], told["pruned"]) == (100, 100, 100, 0)
    assert command("ledger", "status", *place) == 0
    assert "2023-11-14" in capsys.readouterr().out
    run(opened, "UPDATE spend_days SET requests = requests + 1 WHERE context = 1")
    assert command("ledger", "verify", *place) == 1
    assert "spend_days: sums differ" in capsys.readouterr().out
    assert command("ledger", "verify", *place, "--json") == 1
    capsys.readouterr()
    assert command("ledger", "verify", "--database", str(journal / "none.db")) == 1
    assert "there is no ledger" in capsys.readouterr().err
