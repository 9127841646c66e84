"""Runs of agents: what one of them may spend, ask for, and for how long.

A run is one account more of each of its requests, counted in a slot of its own:

    parallel    requests in flight
    budget 0    nano-dollars
    budget 1    requests
    windows     the last messages it has asked with, by their checksum, and how often
"""

from __future__ import annotations

from collections.abc import Callable

from routeiq.core.errors import Forbidden, GatewayError
from routeiq.core.keys import UNLIMITED, Subject
from routeiq.core.periods import Period
from routeiq.core.slots import BUDGET_WORDS, BUDGETS, REQUESTS, SlotTable
from routeiq.core.snapshot import Runs
from routeiq.governance.accounts import Account, LimitBook
from routeiq.governance.asked import STALE_SECONDS, Asked
from routeiq.governance.directory import Directory
from routeiq.governance.windows import Budget

PLACES = (BUDGETS - REQUESTS) // 2
"""Messages remembered: each has a place by its checksum, in two words."""


class RunAccount(Account):
    """The account of a run."""

    __slots__ = ("_cells", "_count", "_first", "_limits", "_places", "_run", "_step", "message")

    def __init__(self, subject: Subject, limits: Runs, book: LimitBook, slots: SlotTable) -> None:
        super().__init__(subject, book.counters(subject), slots, book.zone, book.busy, book.alert)
        self.message = 0
        """Checksum of what the request at hand asks with last; 0 for nothing."""
        self._limits = limits
        self._run = subject.id.rpartition("/")[2]
        self._count = Budget(slots.row(subject.slot, BUDGETS + BUDGET_WORDS), Period(""))
        row = slots.row(subject.slot, REQUESTS)
        self._cells, self._places, self._step = row.cells, row.base, row.step
        self._first = row.base - row.column

    def near(self, count: int, tokens: int, cost: int, now: float, tick: int) -> bool:
        """Whether a limit is so close that `count` requests with `tokens` and `cost` each don't fit."""
        most = self._limits.max_requests
        if most is not None and self._count.spent(now) + count > most:
            return True
        return super().near(count, tokens, cost, now, tick)

    def take(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> Callable[[], GatewayError] | None:
        """Take a request; nothing is taken where the reason why not is returned. One at a time: each is looked at."""
        limits = self._limits
        if limits.max_seconds is not None and now >= self.subject.began + limits.max_seconds:
            return lambda: self._ended(f"may take {limits.max_seconds:g} seconds")
        if self._count.reserve(1, now) > (limits.max_requests or UNLIMITED):
            self._count.settle(1, 0, now)
            return lambda: self._ended(f"may ask {limits.max_requests} times")
        if self._repeated() > (limits.max_repeats or UNLIMITED):
            self._forget(now)
            return lambda: self._ended(f"may ask the same {limits.max_repeats} times: it seems to go in circles")
        refused = super().take(tokens, cost, now, tick)
        if refused is not None:
            self._forget(now)
        return refused

    def undo(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> None:
        """Give back what `take` has just taken."""
        self._forget(now)
        super().undo(tokens, cost, now, tick)

    def settle(
        self, tokens: int, cost: int, used_tokens: int, used_cost: int, then: float, now: float, rest: int = 0
    ) -> None:
        """The request stays counted; its cost is what it was."""
        if self.fresh:
            self._count.settle(1, 1, then)
        super().settle(tokens, cost, used_tokens, used_cost, then, now, rest)

    def _repeated(self) -> int:
        """How often the message was asked with, over all workers, this time included."""
        if not self.message:
            return 0
        cells, step, columns = self._cells, self._step, range(self._step)
        place = 2 * (self.message % PLACES) * step
        own = self._places + place
        if cells[own] != self.message:
            cells[own], cells[own + step] = self.message, 0
        cells[own + step] += 1
        start = self._first + place
        return sum(cells[start + step + column] for column in columns if cells[start + column] == self.message)

    def _forget(self, now: float) -> None:
        """The request at hand was none."""
        self._count.settle(1, 0, now)
        if self.message:
            own = self._places + 2 * (self.message % PLACES) * self._step
            if self._cells[own] == self.message:
                self._cells[own + self._step] -= 1

    def _ended(self, why: str) -> GatewayError:
        return Forbidden(
            f"The run '{self._run[:100]}' has come to its end: one {why}.",
            type="run_limit_exceeded",
            code="run_limit_exceeded",
        )


class AgentRuns:
    """Runs by their name, which has the caller's key in it: two callers never share one."""

    def __init__(self, book: LimitBook, directory: Directory, slots: SlotTable | None) -> None:
        self.limits: Runs | None = None
        self._book = book
        self._directory = directory
        self._slots = slots
        self.asked: Asked[str, RunAccount] = Asked(
            self._ask, lambda run: run.fresh, "The run can't be counted right now.", seconds=STALE_SECONDS
        )

    def adopt(self, limits: Runs | None) -> None:
        """Take the limits of a new Snapshot."""
        if limits != self.limits:
            self.limits = limits
            self.asked.clear()

    async def _ask(self, name: str) -> RunAccount | None:
        found = await self._directory.run(name)
        if found is None or self._slots is None or self.limits is None:
            return None
        return RunAccount(found, self.limits, self._book, self._slots)
