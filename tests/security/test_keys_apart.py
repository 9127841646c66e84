"""Two keys are never taken for each other, and guessing tells nothing about a key.

CVE-2026-35030 was a cache that knew tokens by a part of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
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

TOKENS = st.one_of(
    st.binary(min_size=1, max_size=48),
    st.text("ab.-", min_size=1, max_size=6).map(lambda text: b"sk-" + text.encode()),
)
MASTER = b"sk-the-master-key-0123456789abcdef"
SAMPLES = 30_000
SUSPICIOUS = 4.5
"""Welch's t: https://eprint.iacr.org/2016/1123 (dudect)"""


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
    ring = KeyRing(book, Nobody())
    ring.adopt(Auth(keys={sha(one): Key(id=sha(one), name="one")}), {})
    found = ring.find(other)
    assert (found is not None) == (one == other)

    asked: list[str] = []

    class Everybody(Nobody):
        async def key(self, digest: str) -> Key | None:
            asked.append(digest)
            return Key(id=digest, name=digest)

    async def both() -> None:
        cache = KeyRing(book, Everybody())
        first = await cache.look_up(one, 0.0)
        known, _, cached = cache.cached(other, 1.0)
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

    assert asyncio.run(KeyRing(book, Confused()).look_up(token, 0.0)) is None


def welch(first: list[float], second: list[float]) -> float:
    """The t statistic of two samples, without the slowest tenth, which others on the machine have made slow."""
    first, second = (sorted(sample)[: len(sample) * 9 // 10] for sample in (first, second))
    spread = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(spread) if spread else 0.0


def measured(find: Callable[[bytes], object], near: bytes, far: bytes) -> float:
    """How different two guesses look to somebody with a clock."""
    order = random.Random(7)
    times: dict[bytes, list[float]] = {near: [], far: []}
    for _ in range(SAMPLES):
        token = near if order.random() < 0.5 else far
        start = time.perf_counter_ns()
        find(token)
        times[token].append(float(time.perf_counter_ns() - start))
    return abs(welch(times[near], times[far]))


def test_a_guess_that_is_nearly_right_takes_as_long_as_any(book: LimitBook) -> None:
    ring = KeyRing(book, Nobody())
    ring.adopt(Auth(master_key=sha(MASTER)), {})
    near, far = MASTER[:-1] + b"0", bytes(reversed(MASTER))
    assert ring.find(near) is None

    def leaking(token: bytes) -> bool:
        return all(a == b for a, b in zip(token, MASTER, strict=True))

    assert measured(leaking, near, far) > SUSPICIOUS  # it would be seen
    # Somebody else on the machine may make a difference once, not each time.
    assert min(measured(ring.find, near, far) for _ in range(4)) < SUSPICIOUS
