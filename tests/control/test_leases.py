"""Slots that subjects are counted in: seeded from the ledger, shared, taken back, given away again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from routeiq.control.leases import IDLE_SECONDS, REST_SECONDS, Leases
from routeiq.core.counters import CounterTable
from routeiq.core.errors import BudgetExceeded, Overloaded
from routeiq.core.keys import BudgetLimit, Key, Subject
from routeiq.core.slots import MOST_BUDGETS, SlotTable
from routeiq.core.snapshot import Runs
from routeiq.governance.accounts import LimitBook
from routeiq.governance.keys import Caller
from routeiq.governance.reserving import Stocks, reserve

MONDAY = 1_763_942_400.0
"""24 November 2025, 00:00 UTC."""


class Ledger:
    """What the ledger says, and how often it was asked."""

    def __init__(self) -> None:
        self.amounts: dict[tuple[str, float], int] = {}
        self.asked = 0
        self.down = False

    def spent(self, kind: str, id: str, since: float = 0.0, share: str = "") -> int:
        """Nano-dollars."""
        self.asked += 1
        if self.down:
            raise OSError("the ledger is away")
        return self.amounts.get((f"{kind}:{id}", since), 0)


class World:
    """A control plane's table, two workers' tables, and a clock."""

    def __init__(self, directory: Path, capacity: int = 8) -> None:
        self.directory = directory
        self.now = MONDAY + 3600
        self.ledger = Ledger()
        self.tables = [SlotTable(directory, column=n, columns=3, capacity=capacity) for n in range(3)]
        self.leases = self.control()
        named = [CounterTable(directory, column=n, columns=3, capacity=64) for n in range(3)]
        self.stocks = Stocks()
        self.books = [LimitBook(table, slots) for table, slots in zip(named, self.tables, strict=True)]

    def control(self) -> Leases:
        """Another control plane on the same table."""
        return Leases(self.tables[0], self.ledger, clock=lambda: self.now)

    def caller(self, worker: int, key: Key) -> Caller:
        """What a worker makes of a key it has asked for."""
        return Caller(self.leases.grant(key, "UTC"), self.books[worker], self.stocks)

    def use(self, caller: Caller, cost: int) -> None:
        """One request that costs that."""
        reservation = reserve(caller.accounts, 1, cost, self.now, None)
        reservation.settle(1, cost, self.now, self.now)

    def pass_time(self, seconds: float) -> None:
        """Time passes, and the table is swept meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 15)
            self.leases.sweep()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def key_with(number: int = 0, **limits: object) -> Key:
    digest = f"{number:064x}"
    team = Subject(kind="team", id="red", budgets=(BudgetLimit(amount=1_000, duration="1d"),))
    return Key(id=digest, subjects=(Subject(kind="key", id=digest, **limits), team))  # type: ignore[arg-type]


def test_a_slot_begins_with_what_the_ledger_has(world: World) -> None:
    world.ledger.amounts["team:red", MONDAY] = 400
    world.ledger.amounts[f"key:{0:064x}", 0.0] = 7_000
    first = world.caller(1, key_with())
    assert first.accounts[0].budgets[0].meter.spent(world.now) == 400
    assert first.spend is not None
    assert first.spend.add(0, world.now) == 7_000
    world.use(first, 500)
    second = world.caller(2, key_with())
    assert second.accounts[0].budgets[0].meter.spent(world.now) == 900
    assert world.ledger.asked == 2  # once for each, however many workers ask


def test_keys_of_one_team_share_its_slot(world: World) -> None:
    one, two = (world.leases.grant(key_with(number), "UTC") for number in (1, 2))
    assert one.subjects[1] == two.subjects[1]
    assert one.subjects[0].slot != two.subjects[0].slot
    assert len(world.leases) == 3


def test_an_idle_slot_is_taken_back_and_seeded_anew(world: World) -> None:
    caller = world.caller(1, key_with())
    world.use(caller, 100)
    world.pass_time(IDLE_SECONDS - 30)
    assert caller.fresh
    world.use(caller, 100)
    world.pass_time(IDLE_SECONDS + 60)
    assert not caller.fresh
    assert len(world.leases) == 0
    world.ledger.amounts["team:red", MONDAY] = 200
    again = world.caller(1, key_with())
    assert again.fresh
    assert again.accounts[0].budgets[0].meter.spent(world.now) == 200


def test_what_is_in_flight_is_not_idle(world: World) -> None:
    caller = world.caller(1, key_with(max_parallel_requests=2))
    reservation = reserve(caller.accounts, 1, 10, world.now, None)
    world.pass_time(IDLE_SECONDS * 3)
    assert caller.accounts[0].fresh
    reservation.settle(1, 10, world.now, world.now)
    world.pass_time(IDLE_SECONDS + 60)
    assert not caller.accounts[0].fresh


def test_a_long_request_is_counted_by_those_that_come_meanwhile(world: World) -> None:
    """Without a limit of calls in flight, too: what it will have cost is reserved where the others look."""
    caller = world.caller(1, key_with())
    reservation = reserve(caller.accounts, 1, 900, world.now, None)
    world.pass_time(IDLE_SECONDS * 3)
    later = world.caller(2, key_with())
    with pytest.raises(BudgetExceeded):
        reserve(later.accounts, 1, 200, world.now, None)
    reservation.settle(1, 900, world.now, world.now)
    world.pass_time(IDLE_SECONDS + 60)
    assert len(world.leases) == 0


def test_as_many_budgets_as_a_slot_has_room_for(world: World) -> None:
    """Each is counted by itself, none in what is another one's; more are refused rather than counted elsewhere."""
    durations = ("1h", "2h", "3h", "4h", "5h", "6h")
    budgets = tuple(BudgetLimit(amount=1_000, duration=duration) for duration in durations)
    caller = world.caller(1, key_with(budgets=budgets[:MOST_BUDGETS]))
    neighbour = world.caller(1, key_with(1))
    assert caller.spend is not None
    world.use(caller, 100)
    assert [spent.meter.spent(world.now) for spent in caller.accounts[0].budgets] == [100] * MOST_BUDGETS
    assert caller.spend.add(0, world.now) == 0
    assert neighbour.fresh
    with pytest.raises(Overloaded, match="at most 5"):
        world.caller(1, key_with(2, budgets=budgets))


def test_a_late_settlement_does_not_touch_the_next_one(world: World) -> None:
    caller = world.caller(1, key_with())
    reservation = reserve(caller.accounts, 1, 10, world.now, None)
    world.leases.renew()
    world.pass_time(IDLE_SECONDS + 60)
    others = [world.caller(2, key_with(number)) for number in range(3)]
    reservation.settle(1, 10, world.now, world.now)
    assert all(other.accounts[0].budgets[0].meter.spent(world.now) == 0 for other in others)


def test_a_full_table_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    world = World(tmp_path, capacity=3)
    for number in range(2):
        world.caller(1, key_with(number))
    with pytest.raises(Overloaded, match="No room"):
        world.caller(1, key_with(9))
    world.pass_time(IDLE_SECONDS + REST_SECONDS + 60)
    world.caller(1, key_with(9))


def test_another_control_plane_goes_on_with_the_leases(world: World) -> None:
    caller = world.caller(1, key_with())
    world.use(caller, 300)
    world.leases = world.control()
    assert world.caller(2, key_with()).accounts[0].budgets[0].meter.spent(world.now) == 300
    assert caller.fresh
    fresh = world.leases.grant(key_with(5), "UTC").subjects[0]
    assert fresh.slot not in {subject.slot for subject in caller.key.subjects}


def test_a_ledger_that_is_away_leaves_nothing_behind(world: World) -> None:
    world.ledger.down = True
    for _ in range(20):
        with pytest.raises(OSError, match="away"):
            world.leases.grant(key_with(), "UTC")
    world.ledger.down = False
    world.ledger.amounts["team:red", MONDAY] = 5
    assert world.caller(1, key_with()).accounts[0].budgets[0].meter.spent(world.now) == 5


def test_many_ask_for_the_same_at_once(world: World) -> None:
    with ThreadPoolExecutor(16) as pool:
        granted = list(pool.map(lambda _: world.leases.grant(key_with(), "UTC"), range(64)))
    assert len({msgspec.json.encode(key) for key in granted}) == 1
    assert world.ledger.asked == 2


def test_a_changed_duration_is_another_budget(world: World) -> None:
    caller = world.caller(1, key_with())
    world.use(caller, 100)
    week = Subject(kind="team", id="red", budgets=(BudgetLimit(amount=1_000, duration="7d"),))
    world.ledger.amounts["team:red", MONDAY] = 640
    granted = world.leases.grant_subject(week, "UTC")
    assert granted.slot != caller.key.subjects[1].slot
    account = world.books[1].account(granted)
    assert account.budgets[0].meter.spent(world.now) == 640


def test_a_run_goes_on_after_a_pause(world: World) -> None:
    limits = Runs(max_budget=1_000, max_requests=3)
    first = world.leases.grant_run("k/agent", limits)
    assert first.began == float(int(world.now))
    began = first.began
    world.pass_time(IDLE_SECONDS + 60)
    assert world.tables[0].lease(first.slot) != first.lease
    assert world.leases.grant_run("k/agent", limits).began == began
