"""What was spent: sums against the Events themselves, in random batches, with deaths in between."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from routeiq.core.database import Database, parse_database
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.store.database import connect_postgres, engine
from routeiq.store.migrate import migrate
from routeiq.store.spend import SpendRepository
from routeiq.store.tables_spend import KINDS, QUARTER_SECONDS

START = 1_700_000_100.0
"""The first quarter hour of the tests begins here, Unix seconds."""
NAMES = st.sampled_from(["", "a", "b"])
EVENTS = st.builds(
    Event,
    id=st.uuids().map(str),
    at=st.integers(0, 6 * QUARTER_SECONDS * 10).map(lambda tenth: int(START * 1e6) + tenth * 100_000),
    endpoint=st.just("chat"),
    cost=st.none() | st.integers(0, 10**9),
    prompt_tokens=st.integers(0, 99),
    status=st.sampled_from([200, 200, 429]),
    group=st.sampled_from(["", "gpt-4o", "claude/*", "gpt-*"]),
    model=st.sampled_from(["gpt-4o", "claude/x", "gpt-5"]),
    key=NAMES, key_name=NAMES, user_id=NAMES, team_id=NAMES, organization_id=NAMES, provider=NAMES, deployment=NAMES,
    user=NAMES, run_id=NAMES,
    tags=st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple),
    request_tags=st.lists(st.sampled_from(["x", "y", "z"]), max_size=3).map(tuple),
)  # fmt: skip


def public(event: Event) -> str:
    return event.model if "*" in event.group else event.group


def subjects(event: Event) -> set[tuple[str, str]]:
    """Who an Event counts for."""
    member = f"{event.team_id}/{event.user_id}" if event.team_id and event.user_id else ""
    named = {
        "key": event.key, "user": event.user_id, "member": member, "team": event.team_id,
        "organization": event.organization_id, "end_user": event.user, "run": event.run_id,
        "provider": event.provider, "deployment": event.deployment, "model": public(event),
    }  # fmt: skip
    found = {(kind, id) for kind, id in named.items() if id}
    return found | {("tag", tag) for tag in event.tags + event.request_tags} | {("global", "")}


def spent(events: list[Event], kind: str, id: str, since: float = 0.0, share: str = "") -> int:
    """The same as the repository's, from the Events."""
    return sum(
        event.cost or 0
        for event in events
        if (kind, id) in subjects(event)
        and event.at >= int(since * 1e6)
        and (not share or (public(event) != "" and fnmatchcase(public(event), share)))
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database of the module's own, with the schema."""
    made: Database = tmp_path_factory.mktemp("empty") / "routeiq.db"
    if request.param == "postgresql":
        made = parse_database(request.getfixturevalue("postgres").database())
    migrate(made)
    return made


TABLES = (
    "event_rows, event_contexts, event_details, event_usage, journal_positions, spend_days, spend_labels, spend_totals,"
    " spend_quarters, spend_resets"
)


@contextmanager
def fresh(empty: Database, directory: Path) -> Iterator[tuple[Database, Path, Engine]]:
    """An empty ledger, a journal, an Engine."""
    journal = directory / "journal"
    shutil.rmtree(journal, ignore_errors=True)
    journal.mkdir(parents=True)
    where = empty
    if isinstance(empty, Path):
        where = directory / "routeiq.db"
        for left in directory.glob("routeiq.db*"):
            left.unlink()
        shutil.copy(empty, where)
    else:
        with connect_postgres(empty, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {TABLES}")
            connection.execute("UPDATE ledger_positions SET seq = 0")
    made = engine(where)
    yield where, journal, made
    made.dispose()


class Dying:
    """A target whose roll-ups die now and then, before or after the commit."""

    def __init__(self, target: Any, chance: random.Random) -> None:
        self._target, self._chance = target, chance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def roll(self, most: int) -> int:
        if self._chance.random() < 0.2:
            raise OSError("died before")
        done = self._target.roll(self._chance.randrange(1, 6))
        if self._chance.random() < 0.2:
            raise OSError("died after")
        return int(done)


def checked(repository: SpendRepository, events: list[Event], moments: list[float]) -> None:
    """Every subject, from several moments on, against the Events."""
    everyone = set().union(*map(subjects, events)) | {("key", "nobody"), ("global", "")}
    for kind in KINDS:
        ids = [id for of, id in everyone if of == kind]
        for since in moments:
            assert repository.spent_many(kind, ids, since) == {id: spent(events, kind, id, since) for id in ids}
    for kind, id in everyone:
        if kind in ("key", "team", "end_user", "tag"):
            for share in ("gpt-4o", "gpt-*", "claude/x"):
                for since in moments[:2]:
                    assert repository.spent(kind, id, since, share) == spent(events, kind, id, since, share)


@settings(max_examples=25, deadline=None)
@given(events=st.lists(EVENTS, max_size=40), seed=st.integers(0, 2**32), broken=st.integers(1, QUARTER_SECONDS - 1))
def test_sums_are_those_of_the_events(
    empty: Database, tmp_path_factory: pytest.TempPathFactory, events: list[Event], seed: int, broken: int
) -> None:
    chance = random.Random(seed)
    moments = [0.0, START + QUARTER_SECONDS + broken, START + 2 * QUARTER_SECONDS, START + 99 * QUARTER_SECONDS]
    with fresh(empty, tmp_path_factory.getbasetemp() / "spend") as (where, journal, opened):
        made = opener(where)
        repository = SpendRepository(opened)
        for number, start in enumerate(range(0, len(events), 10)):
            lines = [encode_line(event) + b"\n" for event in events[start : start + 10]]
            (journal / f"w1-{number + 1}-1-0.jsonl").write_bytes(b"".join(lines))
            ingester = Ingester(journal, lambda node: Dying(made(node), chance), batch_bytes=1500)
            for _ in range(chance.randrange(1, 12)):
                with suppress(OSError):
                    ingester.step()
            ingester.close()
            done = Ingester(journal, opener(where))
            while done.step():
                pass
            done.close()
            checked(repository, events[: start + 10], moments[:2])
        last = Ingester(journal, opener(where))
        assert last.drain(20)
        last.close()
        with opened.connect() as connection:
            assert connection.execute(text("SELECT seq FROM ledger_positions WHERE name = 'spend'")).scalar() == len(
                events
            )
            rows = connection.execute(text("SELECT * FROM spend_days")).mappings().all()
        checked(repository, events, moments)
        for name, of in (
            ("requests", lambda _: 1), ("failed", lambda e: e.status >= 400), ("unpriced", lambda e: e.cost is None),
            ("prompt_tokens", lambda e: e.prompt_tokens), ("cost", lambda e: e.cost or 0),
        ):  # fmt: skip
            assert sum(row[name] for row in rows) == sum(map(of, events))


def taken(where: Database, journal: Path, *events: Event, roll: bool = True) -> None:
    """Events into the ledger; added up unless told otherwise."""
    (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(encode_line(event) + b"\n" for event in events))
    ingester = Ingester(journal, opener(where))
    if not roll:
        ingester._roll_at = float("inf")
        while ingester.step():
            pass
    else:
        assert ingester.drain(10)
    ingester.close()


def event(ident: str, cost: int, at: float = START, **fields: Any) -> Event:
    return Event(id=ident, at=int(at * 1e6), endpoint="chat", cost=cost, **{"group": "m", "key": "k", **fields})


@pytest.mark.parametrize("rolled", [True, False])
def test_spend_that_is_set_counts_from_there(empty: Database, tmp_path: Path, rolled: bool) -> None:
    with fresh(empty, tmp_path) as (where, journal, opened):
        repository = SpendRepository(opened, clock=lambda: START + 100)
        taken(where, journal, event("a", 100), event("b", 30, group="n"), event("x", 5, key="other"), roll=rolled)
        assert repository.reset("key", "k", "admin", to=7) == 130
        assert repository.spent_many("key", ["k", "other", "none"]) == {"k": 7, "other": 5, "none": 0}
        assert repository.spent("key", "k", share="m") == 0
        taken(where, journal, event("c", 1, START + 200), roll=rolled)
        assert repository.spent("key", "k") == 8
        assert repository.spent("key", "k", share="m") == 1
        assert repository.spent("key", "k", START) == 8, "a period that began before"
        assert repository.spent("key", "k", START + 150) == 1, "a period that began after"
        assert repository.spent("global", "") == 136
        assert repository.reset_all(("key", "team"), "admin") == 2
        assert repository.spent_many("key", ["k", "other"]) == {"k": 0, "other": 0}
        taken(where, journal, event("d", 2, START + 300), roll=rolled)
        assert repository.spent_many("key", ["k", "other"]) == {"k": 2, "other": 0}
        assert repository.reset("global", "", "admin") == 138
        assert repository.spent("global", "") == 0
        with opened.connect() as connection:
            assert connection.execute(text("SELECT count(*), sum(cost) FROM events")).one() == (5, 138)


def test_only_what_there_is_can_be_asked_for(empty: Database, tmp_path: Path) -> None:
    with fresh(empty, tmp_path) as (_, _, opened):
        repository = SpendRepository(opened)
        with pytest.raises(ValueError, match="no spend of a planet"):
            repository.spent("planet", "x")
        with pytest.raises(ValueError, match="not kept by model"):
            repository.spent("provider", "x", share="m")


class Stuck(Dying):
    """A target that can't add up."""

    def roll(self, most: int) -> int:
        raise OSError("a number too large")


def test_events_come_in_while_they_can_not_be_added_up(empty: Database, tmp_path: Path) -> None:
    with fresh(empty, tmp_path) as (where, journal, opened):
        (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(encode_line(event(str(n), 1)) + b"\n" for n in range(99)))
        made = opener(where)
        stuck = Ingester(journal, lambda node: Stuck(made(node), random.Random(1)), batch_bytes=1000)
        failed = 0
        for _ in range(40):
            try:
                stuck.step()
            except OSError:
                failed += 1
        stuck.close()
        assert failed == 1
        with opened.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM event_rows")).scalar() == 99
        assert SpendRepository(opened).spent("key", "k") == 99
        taken(where, journal, event("last", 1))
        assert SpendRepository(opened).spent("key", "k") == 100


def test_numbers_that_can_not_be_are_set_aside(empty: Database, tmp_path: Path) -> None:
    with fresh(empty, tmp_path) as (where, journal, opened):
        taken(where, journal, event("a", 2**53), *(event(f"x{n}", 2**62 + n) for n in range(5)), event("b", 1))
        assert SpendRepository(opened).spent("key", "k") == 2**53 + 1
        assert (journal / "quarantine").is_dir()


def test_nodes_add_up_once(empty: Database, tmp_path: Path) -> None:
    with fresh(empty, tmp_path) as (where, journal, opened):
        taken(where, journal, *(event(str(number), 1) for number in range(50)), roll=False)
        with closing(opener(where)("a")) as one, closing(opener(where)("b")) as other:
            done = [target.roll(7) for _ in range(6) for target in (one, other)]
        assert sum(done) == 50
        assert SpendRepository(opened).spent("key", "k") == 50
        with opened.connect() as connection:
            query = "SELECT requests, cost FROM spend_totals WHERE kind = 'key' AND share = '' AND quarter = -1"
            assert connection.execute(text(query)).all() == [(50, 50)]
