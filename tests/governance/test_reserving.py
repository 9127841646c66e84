"""Slices and allowances: whatever is taken ahead, no limit is exceeded, and what is not used comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.counters import CounterTable
from routeiq.core.errors import LimitExceeded
from routeiq.core.keys import BudgetLimit, Subject
from routeiq.governance.accounts import LimitBook
from routeiq.governance.reserving import Reservation, Stock, Stocks, Turns

START = 1_763_942_400.0


class Worker:
    """One worker's view of a team and of two keys in it."""

    def __init__(self, directory: Path, column: int, rpm: int, budget: int) -> None:
        self.table = CounterTable(directory, column=column, columns=3, capacity=512)
        self.book = LimitBook(self.table, workers=2)
        self.stocks = Stocks(Turns(directory / "turns", 2))
        team = Subject(kind="team", id="t", rpm=rpm, budgets=(BudgetLimit(amount=budget, duration="1d"),))
        self.team = self.book.account(team)
        keys = [self.book.account(Subject(kind="key", id=f"{n:064x}", tpm=10**9)) for n in range(2)]
        self.stock = [Stock((key, self.team), self.stocks) for key in keys]


@contextmanager
def workers(rpm: int, budget: int) -> Iterator[list[Worker]]:
    with tempfile.TemporaryDirectory() as name:
        made = [Worker(Path(name), column, rpm, budget) for column in (1, 2)]
        try:
            yield made
        finally:
            for worker in made:
                worker.table.close()


moves = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(1, 40),
        st.sampled_from((0, 0, 0, 0.2, 1, 6)),
        st.integers(0, 9),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@given(moves, st.integers(1, 3000), st.integers(1, 20_000))
@settings(max_examples=80, deadline=None)
def test_no_limit_is_exceeded_and_nothing_is_lost(
    steps: list[tuple[int, int, int, float, int, bool]], rpm: int, budget: int
) -> None:
    """Bursts of two keys of one team on two workers, settled at once or later, at what they were expected or not."""
    with workers(rpm, budget) as both:
        now, admitted, spent = START, 0, 0
        late: list[tuple[Reservation, float, int]] = []
        for number, key, count, wait, cost, at_once in steps:
            now += wait
            worker = both[number]
            for _ in range(count):
                try:
                    reservation = worker.stock[key].take(10, 5, now)
                except LimitExceeded:
                    break
                admitted += 1
                if at_once:
                    reservation.settle(7, min(cost, 5), now, now)
                    spent += min(cost, 5)
                else:
                    late.append((reservation, now, min(cost, 5)))
            if wait >= 1:
                for each in both:
                    each.stocks.give_back(now)
            assert both[0].team.budgets[0].meter.spent(now) <= budget
            if now < START + 60:
                assert admitted <= rpm
        for reservation, then, cost in late:
            reservation.settle(7, cost, then, now)
            spent += cost
        for each in both:
            each.stocks.give_back(now)
        assert both[1].team.budgets[0].meter.spent(now) == both[1].team.budgets[0].meter.settled(now) == spent
        if now < START + 60:
            both[0].team.look(int(now) // 5)
            assert both[0].team.requests_used == admitted


def test_alone_all_of_a_limit_is_reached() -> None:
    with workers(rpm=1000, budget=10**9) as (worker, _):
        for _ in range(1000):
            worker.stock[0].take(1, 1, START)
        with pytest.raises(LimitExceeded, match="1000 requests a minute"):
            worker.stock[0].take(1, 1, START)


def test_a_cancelled_reservation_is_none() -> None:
    with workers(rpm=100_000, budget=10**9) as (worker, _):
        for _ in range(50):
            worker.stock[0].take(3, 7, START).cancel(START)
        worker.stocks.give_back(START)
        worker.team.look(int(START) // 5)
        assert worker.team.requests_used == 0
        assert worker.team.budgets[0].meter.spent(START) == 0


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 30), st.integers(0, 2), st.booleans()), max_size=200))
@settings(max_examples=60, deadline=None)
def test_an_allowance_keeps_to_the_limit(steps: list[tuple[int, int, int, bool]]) -> None:
    with workers(1, 1) as both:
        limits = [each.book.allowance("d", 900) for each in both]
        tick, used = 1000, 0
        for number, amount, step, flush in steps:
            tick += step if used == 0 else 0
            if limits[number].take(amount, tick):
                used += amount
            assert used <= 900
            if flush:
                both[number].book.flush(tick * 5.0)
        for each in both:
            each.book.flush(tick * 5.0)
        assert limits[0].used(tick) == used


def test_rates_told_from_a_slice_are_those_of_the_limit() -> None:
    with workers(rpm=10_000, budget=10**9) as (worker, _):
        for number in range(1, 41):
            reservation = worker.stock[0].take(1, 1, START)
            if reservation.slice is not None:
                assert b"x-ratelimit-remaining-requests: %d\r\n" % (10_000 - number) in reservation.slice.headers(START)
