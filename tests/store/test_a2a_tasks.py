"""Tasks of agents at rest, in a database of each kind and on a clock of the test's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Raw

from routeiq.core.a2a_push import Delivery, KeptHook
from routeiq.core.a2a_tasks import KeptTask, TaskQuery
from routeiq.core.database import Database
from routeiq.store.a2a_push import CLAIM_SECONDS
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.database import engine
from routeiq.store.migrate import migrate

ALICE, BOB = "aa" * 32, "bb" * 32


class Kept:
    """A repository and its time."""

    def __init__(self, database: Database) -> None:
        self.engine = engine(database)
        self.now = 1000.0
        self.repository = A2aTaskRepository(self.engine, lambda: self.now)

    def task(self, ident: str, owner: str = ALICE, **members: Any) -> KeptTask:
        made: dict[str, Any] = {"agent": "agent", "state": "TASK_STATE_WORKING", "updated": self.now, **members}
        return KeptTask(id=ident, owner=owner, task=Raw(json.dumps({"id": ident, **members}).encode()), **made)

    def put(self, *tasks: KeptTask) -> list[bool]:
        return self.repository.put(tasks, 100.0)

    def ids(self, **query: Any) -> list[str]:
        page = self.repository.list(TaskQuery(**{"agent": "agent", "owner": ALICE, **query}))
        return [task.id for task in page.tasks]


@pytest.fixture
def kept(database: Database) -> Iterator[Kept]:
    migrate(database)
    made = Kept(database)
    yield made
    made.engine.dispose()


def test_a_task_is_its_owners(kept: Kept) -> None:
    assert kept.put(kept.task("a", context="c", inner="i")) == [True]
    found = kept.repository.find("agent", ALICE, "a")
    assert found == kept.task("a", context="c", inner="i")
    assert kept.repository.find("agent", BOB, "a") is None
    assert kept.repository.find("other", ALICE, "a") is None
    assert kept.put(kept.task("a", BOB), kept.task("b", BOB), kept.task("a", context="new")) == [False, True, True]
    found = kept.repository.find("agent", ALICE, "a")
    assert found is not None
    assert found.context == "new"
    assert (kept.ids(), kept.ids(owner=BOB), kept.ids(agent="other")) == (["a"], ["b"], [])


def test_what_was_ended_stays_ended(kept: Kept) -> None:
    kept.put(kept.task("a", state="TASK_STATE_FAILED", final=True))
    assert kept.put(kept.task("a", state="TASK_STATE_COMPLETED")) == [True]
    found = kept.repository.find("agent", ALICE, "a")
    assert found is not None
    assert (found.state, found.final) == ("TASK_STATE_FAILED", True)


def test_lists_are_cut_into_pages_the_newest_first(kept: Kept) -> None:
    for index, ident in enumerate("abcdef"):
        kept.now = 1000.0 + index // 2
        kept.put(kept.task(ident, context="odd" if index % 2 else "even"))
    assert kept.ids() == list("fedcba")
    first = kept.repository.list(TaskQuery(agent="agent", owner=ALICE, most=3))
    assert (first.total, first.more) == (6, True)
    last = first.tasks[-1]
    second = kept.repository.list(TaskQuery(agent="agent", owner=ALICE, most=3, before=(last.updated, last.id)))
    assert [task.id for task in first.tasks + second.tasks] == list("fedcba")
    assert not second.more
    assert kept.ids(context="odd") == list("fdb")
    assert kept.ids(after=1002.0) == list("fe")
    kept.put(kept.task("c", state="TASK_STATE_COMPLETED"))
    assert kept.ids(state="TASK_STATE_COMPLETED") == ["c"]


def test_what_has_expired_is_gone(kept: Kept) -> None:
    kept.put(kept.task("a"))
    kept.repository.keep_context("agent", ALICE, "talk", 100.0)
    kept.put(kept.task("b", context="mine", inner="mine"), kept.task("c", context="mapped", inner="other"))
    there = [kept.repository.has_context("agent", ALICE, name) for name in ("talk", "mine", "mapped", "none")]
    assert there == [True, True, False, False]
    assert not kept.repository.has_context("agent", BOB, "talk")
    kept.now += 101
    assert kept.ids() == []
    assert kept.repository.find("agent", ALICE, "a") is None
    assert not kept.repository.has_context("agent", ALICE, "talk")
    kept.repository.purge()
    with kept.engine.connect() as connection:
        for table in ("a2a_tasks", "a2a_contexts"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_webhooks_and_what_is_to_be_told_there(kept: Kept) -> None:
    pushes = kept.repository.pushes

    def hook(token: str, task: str = "t", name: str = "h") -> KeptHook:
        return KeptHook(token=token, agent="agent", owner=ALICE, id=name, task=task, sealed=b"secret")

    pushes.put_hook(hook("one", ""), 100.0)
    pushes.put_hook(hook("one"), 100.0)
    pushes.put_hook(hook("two", name="b"), 100.0)
    assert pushes.hooks("agent", ALICE, "t") == [hook("two", name="b"), hook("one")]
    pushes.put_hook(hook("three"), 100.0)
    assert pushes.hook("one") is None  # of the same name
    assert pushes.hook("three") == hook("three")
    assert pushes.hooks("agent", BOB, "t") == []

    pushes.add(Delivery(id="d", token="three", body=b"{}"))
    assert pushes.due(10) == []  # who has added it tells it
    kept.now += CLAIM_SECONDS
    [taken] = pushes.due(10)
    assert taken == Delivery(id="d", token="three", body=b"{}", sealed=b"secret")
    assert pushes.due(10) == []
    pushes.done("d", 5.0)
    kept.now += 5
    assert [one.attempts for one in pushes.due(10)] == [1]
    pushes.done("d", None)
    pushes.add(Delivery(id="e", token="three", body=b"{}"))
    pushes.remove_hook("three")
    kept.now += CLAIM_SECONDS
    assert pushes.due(10) == []
    kept.now += 100
    kept.repository.purge()
    assert pushes.hooks("agent", ALICE, "t") == []
