"""Two keys are never taken for each other, and guessing tells nothing about a key.

CVE-2026-35030 was a cache that knew tokens by a part of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import statistics
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from routeiq.core.counters import CounterTable
from routeiq.core.keys import Key
from routeiq.core.snapshot import Auth
from routeiq.governance.accounts import LimitBook
from routeiq.governance.directory import Nobody
from routeiq.governance.keys import KeyRing
from routeiq.governance.reserving import Stocks

TOKENS = st.one_of(
    st.binary(min_size=1, max_size=48),
    st.text("ab.-", min_size=1, max_size=6).map(lambda text: b"sk-" + text.encode()),
)
MASTER = b"sk-the-master-key-0123456789abcdef"
SAMPLES = 30_000
SUSPICIOUS = 0.03


def sha(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> LimitBook:
    return LimitBook(CounterTable(tmp_path_factory.mktemp("counters"), column=0, columns=2))


@given(TOKENS, TOKENS)
@example(b"sk-a", b"sk-a ")
@example(b"sk-a", b"SK-A")
@example(b"sk-a", b"sk-a\0")
@example(b"a" * 32, b"a" * 33)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_known_of_one_key_is_said_of_no_other(book: LimitBook, one: bytes, other: bytes) -> None:
    ring = KeyRing(book, Stocks(), Nobody())
    ring.adopt(Auth(keys={sha(one): Key(id=sha(one), name="one")}), {})
    found = ring.find(other)
    assert (found is not None) == (one == other)

    asked: list[str] = []

    class Everybody(Nobody):
        async def key(self, digest: str) -> Key | None:
            asked.append(digest)
            return Key(id=digest, name=digest)

    async def both() -> None:
        cache = KeyRing(book, Stocks(), Everybody())
        first = await cache.look_up(one, 0.0)
        known, _, cached = cache.known(other, 1.0)
        assert known == (one == other)
        assert (cached is first) == (one == other)
        second = await cache.look_up(other, 0.0)
        assert first is not None
        assert second is not None
        assert (first.key == second.key) == (one == other)

    asyncio.run(both())
    assert asked == [sha(one), sha(other)]


@given(TOKENS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_answer_about_another_key_is_no_answer(book: LimitBook, token: bytes) -> None:
    class Confused(Nobody):
        async def key(self, digest: str) -> Key | None:
            return Key(id=sha(b"another" + token), name="another")

    assert asyncio.run(KeyRing(book, Stocks(), Confused()).look_up(token, 0.0)) is None


def measured(find: Callable[[bytes], object], near: list[bytes], far: list[bytes]) -> float:
    """How much longer one kind of guess takes than another, as a share of the time of either.

    Medians, not Welch's t: on a machine with others t is far from 0 for two samples of the same kind, too.
    """
    order = random.Random(7)
    times: tuple[list[int], list[int]] = ([], [])
    for _ in range(SAMPLES):
        kind = order.random() < 0.5
        token = bytes(bytearray(order.choice(far if kind else near)))  # none is in a cache
        start = time.perf_counter_ns()
        find(token)
        taken = time.perf_counter_ns() - start
        times[kind].append(taken)
    first, second = map(statistics.median, times)
    return abs(first - second) / min(first, second)


def test_a_guess_that_is_nearly_right_takes_as_long_as_any(book: LimitBook) -> None:
    ring = KeyRing(book, Stocks(), Nobody())
    ring.adopt(Auth(master_key=sha(MASTER)), {})
    # Many of each: where one digest falls in a table is chance, and no matter of how near the key was.
    order = random.Random(8)
    near = [MASTER[:-8] + order.randbytes(4).hex().encode() for _ in range(512)]
    far = [order.randbytes(len(MASTER) // 2).hex().encode() for _ in range(512)]
    assert not any(map(ring.find, near))

    def leaking(token: bytes) -> bool:
        return all(a == b for a, b in zip(token, MASTER, strict=True))

    assert measured(leaking, near, far) > SUSPICIOUS  # it would be seen
    # Somebody else on the machine may make a difference once, not each time.
    assert any(measured(ring.find, near, far) < SUSPICIOUS for _ in range(12))
