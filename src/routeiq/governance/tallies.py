"""What a worker counts for itself and adds to the shared counters about once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from routeiq.governance.windows import BUCKET_SECONDS, Budget, Window

if TYPE_CHECKING:
    from routeiq.governance.accounts import Account

FAR = 64
"""An allowance is a part of what is left that so many of them fit into, for each worker."""


class Busy(Protocol):
    """Something that is to be told when a second has passed."""

    def flush(self, now: float) -> None:
        """Add what is pending. `now` in Unix seconds."""


class Tally:
    """What a key has spent in its period: nothing depends on it but what clients are told."""

    __slots__ = ("_account", "_begin", "_busy", "_end", "_known", "_meter", "_pending")

    def __init__(self, account: Account, meter: Budget, busy: list[Busy]) -> None:
        self._account = account
        self._meter = meter
        self._busy = busy
        self._begin = self._end = 0.0
        self._known = self._pending = 0

    def add(self, amount: int, now: float) -> int:
        """Spend nano-dollars; what was spent in the period, by other workers up to about a second ago."""
        if self._begin <= now < self._end:
            if amount:
                if not self._pending:
                    self._busy.append(self)
                self._pending += amount
            return self._known + self._pending
        self.flush(now)
        self._begin, self._end = self._meter.period.bounds(now)
        self._known = self._meter.add(amount, now) if self._account.fresh else amount
        return self._known

    def flush(self, now: float) -> None:
        """Add what is pending, in the period it was spent in."""
        pending, self._pending = self._pending, 0
        if self._end and self._account.fresh:
            self._known = self._meter.add(pending, min(now, self._end - 0.001))


class Allowance:
    """A deployment's requests or tokens of a minute, of which a worker far from the limit takes some ahead."""

    __slots__ = ("_busy", "_far", "_left", "_limit", "_tick", "_window")

    def __init__(self, window: Window, limit: int, workers: int, busy: list[Busy]) -> None:
        self._window = window
        self._limit = limit
        self._far = FAR * workers
        self._busy = busy
        self._left = 0
        self._tick = 0

    def take(self, amount: int, tick: int) -> bool:
        """Use `amount` in bucket `tick`, that of now; False (and nothing used) where the minute has no room."""
        if tick == self._tick and self._left >= amount:
            self._left -= amount
            return True
        self._release(tick)
        total = self._window.add(amount, tick)
        if total > self._limit:
            self._window.add(-amount, tick)
            return False
        ahead = (self._limit - total) // self._far
        if ahead > amount:
            self._window.add(ahead, tick)
            self._left, self._tick = ahead, tick
            self._busy.append(self)
        return True

    def give_back(self, amount: int, tick: int) -> None:
        """What was taken just now was not needed."""
        self._window.add(-amount, tick)

    def used(self, tick: int) -> int:
        """The minute's sum over all workers."""
        return self._window.used(tick) - (self._left if tick == self._tick else 0)

    def correct(self, amount: int, then: int, tick: int) -> None:
        """Settle what was used in bucket `then`."""
        if then == tick == self._tick and self._left > amount:
            self._left -= amount
        else:
            self._window.correct(amount, then, tick)

    def flush(self, now: float) -> None:
        """Give back what is left."""
        self._release(int(now) // BUCKET_SECONDS)

    def _release(self, tick: int) -> None:
        if self._left:
            self._window.correct(-self._left, self._tick, tick)
            self._left = 0
