"""Limits that hold across workers: sliding windows, gauges and budgets over the shared counters.

Reserve, then look: a worker first adds to its own column and then reads the sum, so two workers that race can both
be refused but never both admitted over the limit.
"""

from __future__ import annotations

from routeiq.core.counters import GAUGE, CounterTable

BUCKET_SECONDS = 5
BUCKETS = 60 // BUCKET_SECONDS + 1
"""A minute touches one bucket more than fit into it."""


def _others(table: CounterTable, base: int) -> tuple[int, ...]:
    """The first cells of the other processes' columns. The control plane's counts only if something is in it: what
    earlier workers used before their number changed."""
    row = base - table.column
    columns = range(0 if table.cells[row] else 1, table.columns)
    return tuple(row + column for column in columns if column != table.column)


class Window:
    """How much was used in the last minute, in buckets of five seconds.

    The oldest bucket counts until all of it is out of the minute: what is admitted in any 60 seconds is at most the
    limit, never the twice of it that fixed minutes let through.

    Words: the bucket number last written, the sum of the live buckets, the buckets. Times are Unix seconds.
    """

    __slots__ = ("_base", "_bucket", "_bucket_at", "_cells", "_others", "_step", "_tick", "_total", "_total_at")

    def __init__(self, table: CounterTable, name: str) -> None:
        self._base = table.slot(name, f"w{BUCKETS + 2}")
        self._cells = cells = table.cells
        self._step = table.columns
        self._others = _others(table, self._base)
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

    __slots__ = ("_cells", "_columns", "_own", "_row")

    def __init__(self, table: CounterTable, name: str) -> None:
        self._own = table.slot(name, GAUGE)
        self._row = self._own - table.column
        self._columns = table.columns
        self._cells = table.cells

    def enter(self) -> int:
        """One more; the number over all workers, this one included."""
        self._cells[self._own] += 1
        return sum(self._cells[self._row : self._row + self._columns])

    def leave(self) -> None:
        """One less."""
        self._cells[self._own] -= 1


class Budget:
    """Nano-dollars spent in the present period of `seconds` (0: one period for ever), over all workers.

    Periods are aligned to multiples of their length since the epoch: a day's budget begins at 00:00 UTC.
    Words: the period's number, the amount.
    """

    __slots__ = ("_amount", "_base", "_cells", "_others", "_period", "_step", "seconds")

    def __init__(self, table: CounterTable, name: str, seconds: int) -> None:
        self.seconds = seconds
        self._base = table.slot(name, "w2")
        self._cells = table.cells
        self._step = table.columns
        self._others = _others(table, self._base)
        self._period = self._cells[self._base]
        self._amount = self._cells[self._base + self._step]

    def add(self, amount: int, now: float) -> int:
        """Spend `amount` (or take it back at once); the period's sum over all workers."""
        cells = self._cells
        period = int(now) // self.seconds + 1 if self.seconds else 1
        if self._period != period:
            cells[self._base + self._step] = self._amount = 0
            cells[self._base] = self._period = period
        total = self._amount
        if amount:
            self._amount = cells[self._base + self._step] = total = total + amount
        for other in self._others:
            if cells[other] == period:
                total += cells[other + self._step]
        return total

    def correct(self, amount: int, then: float, now: float) -> None:
        """Settle what was spent at `then`: more is spent now, less is given back to the period it was taken from."""
        if amount >= 0 or not self.seconds or int(then) // self.seconds == int(now) // self.seconds:
            self.add(amount, now)


class LimitBook:
    """The windows, gauges and budgets of one process, one object a name: they remember what they wrote.

    Names are bounded by the shared table (`TableFull`).
    """

    def __init__(self, table: CounterTable) -> None:
        self._table = table
        self._windows: dict[str, Window] = {}
        self._gauges: dict[str, Gauge] = {}
        self._budgets: dict[str, Budget] = {}

    def window(self, name: str) -> Window:
        """The window of that name."""
        found = self._windows.get(name)
        if found is None:
            found = self._windows[name] = Window(self._table, name)
        return found

    def gauge(self, name: str) -> Gauge:
        """The gauge of that name."""
        found = self._gauges.get(name)
        if found is None:
            found = self._gauges[name] = Gauge(self._table, name)
        return found

    def budget(self, name: str, seconds: int) -> Budget:
        """The budget of that name with periods of `seconds`."""
        name = f"{name}:{seconds}"
        found = self._budgets.get(name)
        if found is None:
            found = self._budgets[name] = Budget(self._table, name, seconds)
        return found
