"""Windows, budgets and gauges over the shared counters, with two columns standing for two workers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.counters import BUDGET, GAUGE, CounterTable
from routeiq.core.periods import Period
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS, Budget, Gauge, Window


@contextmanager
def tables(columns: int = 3) -> Iterator[list[CounterTable]]:
    """One table seen by the control plane and two workers."""
    with tempfile.TemporaryDirectory() as name:
        made = [CounterTable(Path(name), column=n, columns=columns, capacity=256) for n in range(columns)]
        try:
            yield made
        finally:
            for table in made:
                table.close()


@contextmanager
def windows() -> Iterator[list[Window]]:
    with tables() as made:
        yield [Window(table.place("w", f"w{BUCKETS + 2}")) for table in made[1:]]


def budgets(made: list[CounterTable], duration: str) -> list[Budget]:
    return [Budget(table.place("b", BUDGET), Period(duration)) for table in made[1:]]


def tick(now: float) -> int:
    return int(now) // BUCKET_SECONDS


steps = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 40, allow_nan=False), st.integers(1, 6)), min_size=1, max_size=60
)


@given(steps, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_no_minute_ever_admits_more_than_the_limit(moves: list[tuple[int, float, int]], limit: int) -> None:
    with windows() as both:
        now = 1_700_000_000.0
        admitted: list[tuple[float, int]] = []
        for worker, wait, amount in moves:
            now += wait
            if both[worker].add(amount, tick(now)) > limit:
                both[worker].add(-amount, tick(now))
            else:
                admitted.append((now, amount))
        for start, _ in admitted:
            assert sum(amount for at, amount in admitted if start <= at < start + 60) <= limit


@given(steps)
@settings(max_examples=60, deadline=None)
def test_what_fits_again_is_admitted_when_it_was_said_to_be(moves: list[tuple[int, float, int]]) -> None:
    with windows() as both:
        now = 1_700_000_000.0
        for worker, wait, amount in moves:
            now += wait
            if both[worker].add(amount, tick(now)) > 10:
                both[worker].add(-amount, tick(now))
                later = now + both[worker].seconds_until_free(amount, 10, now)
                assert now < later <= now + 65
                assert both[worker].used(tick(later)) + amount <= 10
                return


def test_the_end_of_one_bucket_counts_for_a_whole_minute() -> None:
    with windows() as (window, _):
        start = 1_700_000_000 // BUCKET_SECONDS * BUCKET_SECONDS
        assert window.add(5, tick(start + 4.9)) == 5
        assert window.used(tick(start + 60)) == 5
        assert window.used(tick(start + 64.9)) == 5
        assert window.used(tick(start + 65)) == 0


def test_a_long_request_that_settles_late_forgets_nothing() -> None:
    with windows() as (window, other):
        window.add(100, 1000)
        for bucket in range(1001, 1005):
            window.add(10, bucket)
        window.correct(-80, 1000, 1004)
        assert window.used(1004) == 60
        assert other.used(1004) == 60
        assert window.add(1, 1005) == 61
        assert window.used(1000 + BUCKETS) == 41  # the long one's bucket is over, nothing else


def test_late_tokens_count_from_now_and_late_refunds_expire() -> None:
    with windows() as (window, _):
        window.add(10, 1000)
        window.correct(5, 1000, 1000 + BUCKETS)
        assert window.used(1000 + BUCKETS) == 5
        window.correct(-10, 1000, 1000 + BUCKETS)
        assert window.used(1000 + BUCKETS) == 5


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(-40, 40)), min_size=1, max_size=80),
)
@settings(max_examples=60, deadline=None)
def test_the_sum_is_that_of_the_live_buckets(moves: list[tuple[int, int, int]]) -> None:
    """Whatever the order of additions and late corrections, over both workers."""
    with windows() as both:
        now = 10_000
        model: dict[int, int] = {}
        lasts = [0, 0]
        for worker, step, amount in moves:
            now += step
            if amount >= 0:
                both[worker].add(amount, now)
                model[now] = model.get(now, 0) + amount
                lasts[worker] = now
            else:
                then = now + amount // 4
                both[worker].correct(amount, then, now)
                if then > now - BUCKETS:
                    model[then] = model.get(then, 0) + amount
            live = sum(value for bucket, value in model.items() if bucket > now - BUCKETS)
            assert both[worker].used(now) == live


def test_a_clock_set_back_does_not_shut_anybody_out() -> None:
    with windows() as (window, other):
        window.add(10, 10_000 + 720)
        other.add(10, 10_000 + 720)
        assert window.add(1, 10_000) == 1
        assert window.add(1, 10_001) == 2
    with windows() as (window, _):
        window.add(10, 10_000)
        assert window.add(1, 9_999) == 11  # a small step back loses nothing


def test_budget_of_a_period() -> None:
    with tables() as made:
        first, second = budgets(made, "1h")
        assert first.add(100, 3600.0) == 100
        assert second.add(50, 3601.0) == 150
        assert first.add(0, 7199.0) == 150
        assert first.add(1, 7200.0) == 1
        assert second.add(2, 7201.0) == 3


def test_a_budget_settled_after_its_period_leaves_the_new_one_alone() -> None:
    with tables() as made:
        first, second = budgets(made, "1h")
        first.reserve(100, 7199.0)
        first.add(40, 7200.0)
        second.add(2, 7200.0)
        first.settle(100, 105, 7199.0)
        assert first.spent(7202.0) == second.spent(7202.0) == 42
        assert first.add(9, 7199.0) == 42  # too late to count, and nothing is lost by it
        assert second.spent(7203.0) == 42


def test_budget_for_ever() -> None:
    with tables() as made:
        budget, other = budgets(made, "")
        budget.reserve(7, 1.0)
        assert budget.add(5, 1e9) == 12
        budget.settle(7, 5, 1.0)
        assert budget.spent(2e9) == other.spent(2e9) == 10


def test_what_a_dead_worker_had_reserved_is_given_back() -> None:
    with tables() as made:
        first, second = budgets(made, "1d")
        first.add(10, 100.0)
        first.reserve(500, 100.0)
        second.reserve(30, 100.0)
        made[1].forget_flying()
        assert second.spent(101.0) == 40
        made[2].forget_flying()
        assert second.spent(101.0) == 10


def test_gauge_over_workers() -> None:
    with tables() as made:
        first, second = (Gauge(table.place("g", GAUGE)) for table in made[1:])
        assert [first.enter(), second.enter(), first.enter()] == [1, 2, 3]
        first.leave()
        second.leave()
        assert second.enter() == 2
        made[1].forget_flying()
        assert second.enter() == 2
