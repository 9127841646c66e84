"""Limits that hold across workers: sliding windows, gauges and budgets over the shared counters.

Reserve, then look: a worker first adds to its own column and then reads the sum, so two workers that race can both
be refused but never both admitted over the limit.
"""

from __future__ import annotations

from routeiq.core.counters import Row
from routeiq.core.periods import Period

BUCKET_SECONDS = 5
BUCKETS = 60 // BUCKET_SECONDS + 1
"""A minute touches one bucket more than fit into it."""


def _others(row: Row) -> tuple[int, ...]:
    """The first cells of the other processes' columns."""
    start = row.base - row.column
    return tuple(start + column for column in range(row.first, row.step) if column != row.column)


class Window:
    """How much was used in the last minute, in buckets of five seconds.

    The oldest bucket counts until all of it is out of the minute: what is admitted in any 60 seconds is at most the
    limit, never the twice of it that fixed minutes let through.

    Words: the bucket number last written, the sum of the live buckets, the buckets. Times are Unix seconds.
    """

    __slots__ = ("_base", "_bucket", "_bucket_at", "_cells", "_others", "_step", "_tick", "_total", "_total_at")

    def __init__(self, row: Row) -> None:
        self._cells = cells = row.cells
        self._base = row.base
        self._step = row.step
        self._others = _others(row)
        # This process is the only writer of its column, so it need not read back what it wrote.
        self._tick = cells[self._base]
        self._total_at = self._base + self._step
        self._total = cells[self._total_at]
        self._bucket_at = self._base + (2 + self._tick % BUCKETS) * self._step
        self._bucket = cells[self._bucket_at]

    def add(self, amount: int, tick: int) -> int:
        """Use `amount` in bucket `tick`, that of now (or take it back at once); the minute's sum over all workers."""
        if self._tick != tick:
            tick = self._advance(tick)
        total = self._total
        cells = self._cells
        if amount:
            self._total = cells[self._total_at] = total = total + amount
            self._bucket = cells[self._bucket_at] = self._bucket + amount
        for other in self._others:
            last = cells[other]
            if last:
                total += cells[other + self._step] if last == tick else self._live(other, last, tick)
        return total

    def correct(self, amount: int, then: int, tick: int) -> None:
        """Settle what was used in bucket `then`: more counts from now on, less is given back where it still counts."""
        if self._tick != tick:
            tick = self._advance(tick)
        cells = self._cells
        if amount >= 0 or then == tick:
            self._bucket = cells[self._bucket_at] = self._bucket + amount
        elif tick - BUCKETS < then < tick:
            cells[self._base + (2 + then % BUCKETS) * self._step] += amount
        else:
            return
        self._total = cells[self._total_at] = self._total + amount

    def used(self, tick: int) -> int:
        """The minute's sum over all workers."""
        return self.add(0, tick)

    def seconds_until_free(self, amount: int, limit: int, now: float) -> float:
        """How long until `amount` more fits under `limit`, when nothing else is used."""
        tick = int(now) // BUCKET_SECONDS
        excess = self.used(tick) + amount - limit
        if excess <= 0:
            return 0.0
        columns = (self._base, *self._others)
        for oldest in range(tick - BUCKETS + 1, tick + 1):
            for start in columns:
                last = self._cells[start]
                if last - BUCKETS < oldest <= last:
                    excess -= self._cells[start + (2 + oldest % BUCKETS) * self._step]
            if excess <= 0:
                return float((oldest + BUCKETS) * BUCKET_SECONDS) - now
        return float(BUCKETS * BUCKET_SECONDS)

    def _advance(self, tick: int) -> int:
        """Go on to bucket `tick`; the bucket to write to, which is a later one while the clock is a little behind."""
        cells, step, base, last = self._cells, self._step, self._base, self._tick
        if tick < last < tick + BUCKETS:
            return last
        total = self._live(base, last, tick)
        # A clock that was set back by more than the window begins a new one.
        first = max(last + 1, tick - BUCKETS + 1) if last < tick else tick - BUCKETS + 1
        for bucket in range(first, tick + 1):
            cells[base + (2 + bucket % BUCKETS) * step] = 0
        cells[base + step] = self._total = total
        cells[base] = self._tick = tick
        self._bucket_at = base + (2 + tick % BUCKETS) * step
        self._bucket = cells[self._bucket_at]
        return tick

    def _live(self, base: int, last: int, tick: int) -> int:
        """The sum of the buckets of one column that `tick` still sees."""
        if last >= tick + BUCKETS:
            return 0  # of a time that the clock says has not come yet
        cells, step = self._cells, self._step
        first = max(tick - BUCKETS + 1, last - BUCKETS + 1)
        return sum(cells[base + (2 + bucket % BUCKETS) * step] for bucket in range(first, last + 1))


class Gauge:
    """How many are at it right now, over all workers."""

    __slots__ = ("_cells", "_own", "_range")

    def __init__(self, row: Row) -> None:
        self._cells = row.cells
        self._own = row.base
        start = row.base - row.column
        self._range = slice(start, start + row.step)

    def enter(self) -> int:
        """One more; the number over all workers, this one included."""
        self._cells[self._own] += 1
        return sum(self._cells[self._range])

    def leave(self) -> None:
        """One less."""
        self._cells[self._own] -= 1

    def used(self) -> int:
        """The number over all workers."""
        return sum(self._cells[self._range])


class Budget:
    """Nano-dollars spent in the present period, over all workers. A request belongs to the period it came in.

    Words: the period's number, the amount, and what of it is only reserved: should this process die, the next one in
    its column takes that back (`core.counters.forget_flying`).
    """

    __slots__ = ("_base", "_cells", "_others", "_step", "period")

    def __init__(self, row: Row, period: Period) -> None:
        self.period = period
        self._cells = row.cells
        self._base = row.base
        self._step = row.step
        self._others = _others(row)

    def spent(self, now: float) -> int:
        """The period's sum over all workers, reservations included."""
        return self._sum(self._begin(now))

    def settled(self, now: float) -> int:
        """The same without what is only reserved."""
        cells, step = self._cells, self._step
        number = self._begin(now)
        return sum(
            cells[base + step] - cells[base + 2 * step] for base in (self._base, *self._others) if cells[base] == number
        )

    def add(self, amount: int, now: float) -> int:
        """Spend `amount` for good, unless that was in a period that is over; the sum over all workers."""
        number = self._begin(now)
        if self.period.number(now) == number:
            self._cells[self._base + self._step] += amount
        return self._sum(number)

    def reserve(self, amount: int, now: float) -> int:
        """Spend `amount` until it is settled or released; the period's sum over all workers."""
        number = self._begin(now)
        cells, own = self._cells, self._base + self._step
        cells[own] += amount
        cells[own + self._step] += amount
        return self._sum(number)

    def settle(self, reserved: int, amount: int, then: float) -> None:
        """Spend `amount` instead of what was reserved at `then`; nothing where that period is over."""
        cells, own = self._cells, self._base + self._step
        if cells[self._base] == self.period.number(then):
            cells[own] += amount - reserved
            cells[own + self._step] -= reserved

    def _begin(self, now: float) -> int:
        """The number of the newest period; what was counted in an earlier one is forgotten."""
        cells, base = self._cells, self._base
        number = self.period.number(now)
        if cells[base] >= number:
            return cells[base]
        cells[base + self._step] = cells[base + 2 * self._step] = 0
        cells[base] = number
        return number

    def _sum(self, number: int) -> int:
        cells, step = self._cells, self._step
        total = cells[self._base + step]
        for other in self._others:
            if cells[other] == number:
                total += cells[other + step]
        return total
