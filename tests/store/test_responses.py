"""Responses at rest, in a database of each kind and on a clock of the test's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import Raw

from routeiq.core.database import Database
from routeiq.core.errors import BadRequest, BodyTooLarge
from routeiq.core.responses import DEAD_SECONDS, KeptResponse
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.responses import ResponseRepository

OWNER = "aa" * 32


class Kept:
    """A repository and its time."""

    def __init__(self, database: Database) -> None:
        self.engine = engine(database)
        self.now = 1000.0
        self.repository = ResponseRepository(self.engine, lambda: self.now)

    def put(self, ident: str, owner: str = OWNER, seconds: float = 100.0, **members: Any) -> bool:
        shown = {"id": ident, "status": members.get("status", "completed"), "output": [{"said": ident}]}
        kept: dict[str, Any] = {
            "status": "completed",
            "input": Raw(json.dumps([{"asked": ident}]).encode()),
            "response": Raw(json.dumps(shown).encode()),
            **members,
        }
        return self.repository.put(KeptResponse(id=ident, owner=owner, **kept), seconds)

    def items(self, ident: str, owner: str = OWNER, longest: int = 10, most: int = 10_000) -> list[Any] | None:
        found = self.repository.conversation(owner, ident, longest, most)
        return [json.loads(bytes(item)) for item in found.items] if found is not None else None

    def status(self, ident: str) -> str:
        found = self.repository.find(OWNER, ident)
        return found.status if found is not None else "gone"


@pytest.fixture
def kept(database: Database) -> Iterator[Kept]:
    migrate(database)
    made = Kept(database)
    yield made
    made.engine.dispose()


def test_a_conversation_is_put_together(kept: Kept) -> None:
    for ident, previous in (("a", ""), ("b", "a"), ("c", "b")):
        assert kept.put(ident, previous=previous)
    assert kept.items("c") == [{kind: ident} for ident in "abc" for kind in ("asked", "said")]
    assert kept.items("a") == [{"asked": "a"}, {"said": "a"}]
    assert kept.items("nothing") is None
    assert kept.items("c", owner="bb" * 32) is None
    with pytest.raises(BadRequest, match="longer than 2"):
        kept.items("c", longest=2)
    with pytest.raises(BodyTooLarge):
        kept.items("c", most=200)
    assert kept.repository.remove(OWNER, "b")
    assert not kept.repository.remove(OWNER, "b")
    with pytest.raises(BadRequest, match=r"'b'.*was deleted"):
        kept.items("c")


def test_a_provider_that_keeps_it_is_named(kept: Kept) -> None:
    kept.put("a")
    kept.put("b", previous="a", deployment="d1")
    found = kept.repository.conversation(OWNER, "b", 10, 10_000)
    assert found is not None
    assert (found.deployment, found.items) == ("d1", [])
    kept.put("c", previous="b")
    with pytest.raises(BadRequest, match="only its provider has"):
        kept.items("c")


def test_time_ends_it(kept: Kept) -> None:
    kept.put("a", seconds=10)
    kept.put("b", seconds=20)
    kept.now += 10
    assert (kept.status("a"), kept.status("b")) == ("gone", "completed")
    assert kept.repository.purge() == 1
    kept.now += 10
    assert kept.repository.purge() == 1


def test_background_ends_once(kept: Kept) -> None:
    running: dict[str, Any] = {"background": True, "status": "in_progress"}
    for ident in "abc":
        kept.put(ident, **running)
    assert kept.put("a", background=True)
    assert not kept.put("a", background=True, status="failed")
    cancelled = kept.repository.cancel(OWNER, "b")
    assert cancelled is not None
    assert (cancelled.status, json.loads(bytes(cancelled.response))["status"]) == ("cancelled", "cancelled")
    assert not kept.put("b", background=True), "it was cancelled"
    assert kept.repository.remove(OWNER, "c")
    assert not kept.put("c", background=True), "it was deleted"
    assert [kept.status(ident) for ident in "abc"] == ["completed", "cancelled", "gone"]
    again = kept.repository.cancel(OWNER, "a")
    assert again is not None
    assert again.status == "completed"
    assert kept.repository.cancel(OWNER, "nothing") is None


def test_the_end_of_a_providers_background_is_told_once(kept: Kept) -> None:
    kept.put("a", background=True, status="queued", deployment="d1")
    assert kept.put("a", background=True, deployment="d1")
    assert not kept.put("a", background=True, deployment="d1")
    assert kept.put("b", background=True, deployment="d1"), "one that has ended when it is first heard of"
    assert not kept.put("b", background=True, deployment="d1")


def test_a_worker_that_is_not_heard_of(kept: Kept) -> None:
    running: dict[str, Any] = {"background": True, "status": "in_progress"}
    for ident in "ab":
        kept.put(ident, seconds=10_000, **running)
    kept.put("c", seconds=10_000, deployment="d1", **running)
    for _ in range(3):
        kept.now += DEAD_SECONDS
        assert kept.repository.alive([(OWNER, "a"), (OWNER, "nothing")]) == ["nothing"]
    kept.now += 1
    assert [kept.status(ident) for ident in "abc"] == ["in_progress", "failed", "in_progress"]
    found = kept.repository.find(OWNER, "b")
    assert found is not None
    assert json.loads(bytes(found.response))["error"]["code"] == "server_error"
    assert not kept.put("b", background=True), "it is too late"
    assert kept.repository.alive([(OWNER, "b")]) == ["b"]


def test_any_text_is_kept_and_looked_for(kept: Kept) -> None:
    name = "ü\u2028\x00\U0001f600'\"%s:x"
    assert kept.put("a", model=name)
    found = kept.repository.find(OWNER, "a")
    assert found is not None
    assert found.model.replace("\ufffd", "\x00") == name
    assert kept.repository.find(OWNER, name) is None
    assert not kept.repository.remove(name, name)


def test_of_many_that_end_one_only_one_does(kept: Kept) -> None:
    for number in range(20):
        ident = f"r{number}"
        kept.put(ident, background=True, status="in_progress")
        with ThreadPoolExecutor(3) as pool:
            cancelled = pool.submit(kept.repository.cancel, OWNER, ident)
            ended = [pool.submit(kept.put, ident, background=True, status=status) for status in ("completed", "failed")]
            last = cancelled.result()
            told = [future.result() for future in ended]
        assert last is not None
        assert sum(told) + (last.status == "cancelled") == 1
        assert kept.status(ident) == (
            "cancelled" if last.status == "cancelled" else ["completed", "failed"][told.index(True)]
        )
