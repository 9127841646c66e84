"""The control plane's keeper of credentials: one refresh at a time, before the end, errors kept and shown."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from routeiq.control.app import create_app
from routeiq.control.credentials import Keeper
from routeiq.control.plane import Plane
from routeiq.core.counters import CounterTable
from routeiq.core.errors import Overloaded
from routeiq.core.signing import Signing
from routeiq.core.snapshot import Auth, Deployment, Snapshot
from routeiq.providers.signing.grant import Grant, SourceError
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.database import database_path, engine
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.migrate import migrate
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.spend import SpendRepository

TOKEN = "vErySecretToken123"


def signing(id: str = "s1", scheme: str = "google", **params: str) -> Signing:
    return Signing(id=id, scheme=scheme, params=params)


class Clock:
    """Unix seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts what it is asked, and how often at a time; each grant has a token of its own."""

    def __init__(self, clock: Clock, life: float | None = 3600.0, delay: float = 0.02) -> None:
        self.clock, self.life, self.delay = clock, life, delay
        self.asked: list[str] = []
        self.most = self.now = 0
        self.error: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self, what: Signing) -> Grant:
        with self._lock:
            self.asked.append(what.id)
            number = len(self.asked)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay)
        with self._lock:
            self.now -= 1
        if self.error is not None:
            raise self.error
        expires = None if self.life is None else self.clock() + self.life
        return Grant(kind="bearer", token=f"{TOKEN}-{number}", expires=expires)


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(limited())


def test_many_who_ask_at_once_share_one_refresh() -> None:
    clock = Clock()
    source = Source(clock)
    keeper = Keeper(source, clock)

    async def main() -> None:
        grants = await asyncio.gather(*(keeper.get(signing()) for _ in range(100)))
        assert {grant.token for grant in grants} == {f"{TOKEN}-1"}
        assert (await keeper.get(signing())).token == f"{TOKEN}-1"
        other = await asyncio.gather(keeper.get(signing("s2")), keeper.get(signing("s1")))
        assert [grant.token for grant in other] == [f"{TOKEN}-2", f"{TOKEN}-1"]

    run(main)
    assert source.asked == ["s1", "s2"]


def test_what_is_followed_is_fetched_renewed_in_time_and_forgotten() -> None:
    clock = Clock()
    source = Source(clock)
    keeper = Keeper(source, clock)

    async def main() -> None:
        keeper.follow([signing(), signing(), signing("static", "aws", access_key="a", secret_key="b")])
        running = asyncio.create_task(keeper.run())
        await until(lambda: source.asked == ["s1"] and keeper.status()[0]["expires"] is not None)
        for expected, moved in (("s1", 3600 - 721), ("s1 s1", 1), ("s1 s1 s1", 3600 - 720)):
            assert " ".join(source.asked) == expected.removesuffix(" s1") or expected == "s1"
            clock.now += moved
            keeper.follow([signing()])  # a reload wakes it; what is known stays
            await asyncio.sleep(0.1)
            assert " ".join(source.asked) == expected
        assert (await keeper.get(signing())).token == f"{TOKEN}-3"
        keeper.follow([])
        clock.now += 100_000
        await asyncio.sleep(0.1)
        assert len(source.asked) == 3
        assert keeper.status() == []
        running.cancel()

    run(main)
    assert source.most == 1


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for is another's state
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "error", [SourceError("the vendor said no"), RuntimeError(TOKEN)], ids=["expected", "unexpected"]
)
def test_a_failure_keeps_the_old_until_it_ends_and_backs_off(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    source = Source(clock, delay=0)
    keeper = Keeper(source, clock)
    words = "the vendor said no" if isinstance(error, SourceError) else "RuntimeError"

    async def main() -> None:
        keeper.follow([signing()])
        assert (await keeper.get(signing())).token == f"{TOKEN}-1"
        running = asyncio.create_task(keeper.run())
        source.error = error
        clock.now += 3000
        keeper.follow([signing()])
        await until(lambda: keeper.status()[0]["error"] == words)
        assert (await keeper.get(signing())).token == f"{TOKEN}-1"
        asked = len(source.asked)
        clock.now += 601  # ended
        with pytest.raises(Overloaded, match=words) as raised:
            await keeper.get(signing())
        assert len(source.asked) <= asked + 1
        assert raised.value.status == 503
        assert raised.value.code == "credentials_unavailable"
        assert raised.value.retry_after is not None
        asked = len(source.asked)
        for _ in range(50):  # in the back-off nobody is asked
            with pytest.raises(Overloaded, match=words):
                await keeper.get(signing())
        assert len(source.asked) == asked
        source.error = None
        clock.now += 61
        assert TOKEN in (await keeper.get(signing())).token
        assert keeper.status()[0]["error"] is None
        running.cancel()

    with caplog.at_level(logging.DEBUG):
        run(main)
    assert words in caplog.text
    assert TOKEN not in caplog.text


def test_a_source_that_hangs_does_not_hold_up_a_stop() -> None:
    hang = threading.Event()

    def fetch(what: Signing) -> Grant:
        hang.wait(30)
        raise SourceError("late")

    async def main() -> None:
        keeper = Keeper(fetch)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await keeper.get(signing())

    began = time.monotonic()
    run(main)
    assert time.monotonic() - began < 5
    hang.set()


def test_grants_without_an_end_are_looked_at_again() -> None:
    clock = Clock()
    source = Source(clock, life=None, delay=0)
    keeper = Keeper(source, clock)

    async def main() -> None:
        keeper.follow([signing()])
        running = asyncio.create_task(keeper.run())
        await until(lambda: len(source.asked) == 1)
        await asyncio.sleep(0.05)
        clock.now += 901
        keeper.follow([signing()])
        await until(lambda: len(source.asked) == 2)
        running.cancel()

    run(main)


# --- the route


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[TestClient, Source]]:
    migrate(database_path(tmp_path))
    database = engine(database_path(tmp_path))
    clock = Clock()
    source = Source(clock)
    common: dict[str, Any] = {"group": "m", "provider": "p", "model": "m", "litellm_model": "p/m"}
    snapshot = Snapshot(
        revision="r",
        created=0.0,
        deployments=(
            Deployment(id="d0", **common),
            Deployment(id="d1", signing=signing(), **common),
            Deployment(id="d2", signing=signing("k", "aws", access_key="A", secret_key="S", region="r"), **common),
        ),
        groups={},
        auth=Auth(open=True),
    )
    plane = Plane(
        CounterTable(tmp_path, column=0, columns=3),
        Lookup(database),
        Accounts(database),
        RequestRepository(database),
        ResponseRepository(database),
        A2aTaskRepository(database),
        SpendRepository(database),
        DecisionRepository(database),
        FeedbackRepository(database),
        snapshot,
        credentials=Keeper(source, clock),
    )
    with TestClient(create_app(plane), raise_server_exceptions=False) as client:
        yield client, source


def test_the_route(control: tuple[TestClient, Source]) -> None:
    client, source = control
    found = client.get("/internal/credentials/s1")
    assert found.status_code == 200
    assert msgspec.json.decode(found.content, type=Grant) == Grant(
        kind="bearer", token=f"{TOKEN}-1", expires=1_003_600.0
    )
    assert client.get("/internal/credentials/k").json()["access_key"] == "A"
    assert client.get("/internal/credentials/other").status_code == 404
    assert source.asked == ["s1"]
    status = client.get("/api/v1/routeiq/status")
    assert status.json()["credentials"] == [{"id": "s1", "scheme": "google", "expires": 1_003_600.0, "error": None}]
    assert TOKEN not in status.text


def test_the_route_says_why_not(control: tuple[TestClient, Source]) -> None:
    client, source = control
    source.error = SourceError("pip install 'routeiq[gcp]'")
    found = client.get("/internal/credentials/s1")
    assert found.status_code == 503
    assert found.json()["error"]["code"] == "credentials_unavailable"
    assert "routeiq[gcp]" in found.json()["error"]["message"]
    assert int(found.headers["retry-after"]) >= 1
