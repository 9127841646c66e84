"""What a request takes from everyone it counts for: from all of them at once, or from none.

    reserve ──► call ──► settle

Far from every limit a worker takes several requests at once, and hands them out by itself: a `Slice`. What of it is not
used within a second is given back. Near a limit workers take turns, by a lock on a file, so that of two that race for
the last request one gets it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.governance.accounts import Account
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS

NEAR = 8
"""A limit is near where less than this many requests like the one at hand fit."""
FAR = 64
"""It is far where so many slices fit, for each worker."""
MOST = 256
"""Requests of a slice."""


class Turns:
    """A lock that workers of one gateway take near a limit. It ends with the process that holds it."""

    def __init__(self, path: Path, workers: int) -> None:
        self.workers = workers
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)


class Slice:
    """Requests taken together, and what of them is left. Over when its bucket of time is, or a budget's period."""

    __slots__ = ("_lines", "_requests", "_reset", "_tokens", "accounts", "cost", "end", "moved", "open", "requests",
                 "then", "tokens")  # fmt: skip

    def __init__(self, accounts: tuple[Account, ...], requests: int, tokens: int, cost: int, now: float) -> None:
        """Just taken from the accounts."""
        self.accounts = accounts
        self.requests = requests
        self.tokens = tokens
        self.cost = cost
        self.moved = 0
        """Nano-dollars of what was settled."""
        self.then = now
        self.open = True
        tick = int(now) // BUCKET_SECONDS
        self.end = float((tick + 1) * BUCKET_SECONDS)
        for account in accounts:
            for spent in account.budgets:
                self.end = min(self.end, spent.meter.period.bounds(now)[1])
        self._reset = (tick + BUCKETS) * BUCKET_SECONDS
        requests_limit, self._requests, tokens_limit, self._tokens = nearest(accounts)
        # What changes from request to request is left open.
        lines = rate_lines(requests_limit, -1, tokens_limit, -1, -1)
        self._lines = lines.replace(b"-1s", b"%ds").replace(b"-1", b"%d")

    def headers(self, now: float) -> bytes:
        """`rate_lines` as they are now."""
        reset = self._reset - int(now)
        if self._requests < 0:
            return self._lines % (self._tokens + self.tokens, reset) if self._tokens >= 0 else b""
        if self._tokens < 0:
            return self._lines % (self._requests + self.requests, reset)
        return self._lines % (self._requests + self.requests, reset, self._tokens + self.tokens, reset)

    def close(self, now: float) -> None:
        """Give back what is left."""
        self.open = False
        for account in self.accounts:
            account.settle(self.tokens, self.cost + self.moved, 0, self.moved, self.then, now, rest=self.requests)


class Reservation(msgspec.Struct, eq=False, gc=False):
    """What one request has taken from each of its accounts; settled once."""

    accounts: tuple[Account, ...]
    tokens: int
    cost: int
    slice: Slice | None = None
    ticket: str = ""
    """Its name in the counters all machines share, where it was taken from those too."""
    settled: bool = False

    def cancel(self, now: float) -> None:
        """Give all of it back at once: there was no request."""
        self.settled = True
        of: Slice | None = self.slice
        if of is not None and of.open:
            of.requests += 1
            of.tokens += self.tokens
            of.cost += self.cost
            return
        for account in self.accounts:
            account.undo(self.tokens, self.cost, now, int(now) // BUCKET_SECONDS)

    def settle(self, tokens: int, cost: int, then: float, now: float) -> None:
        """Replace the reservation made at `then` by what was used; the second call does nothing."""
        if self.settled:
            return
        self.settled = True
        of: Slice | None = self.slice
        if of is not None and of.open:
            of.tokens += self.tokens - tokens
            of.cost += self.cost - cost
            of.moved += cost
            return
        for account in self.accounts:
            account.settle(self.tokens, self.cost, tokens, cost, then, now)


class Stock:
    """The slices of one caller: the more it asked for in this second, the larger is the next."""

    __slots__ = ("_accounts", "_size", "_slice", "_sliced", "_stocks")

    def __init__(self, accounts: tuple[Account, ...], stocks: Stocks) -> None:
        self._accounts = accounts
        self._stocks = stocks
        self._sliced = all(account.parallel is None for account in accounts)
        """Calls in flight are counted one by one."""
        self._slice: Slice | None = None
        self._size = 1

    def take(self, tokens: int, cost: int, now: float) -> Reservation:
        """One request, `tokens` and `cost` (nano-dollars). Raises as `reserve` does."""
        at_hand = self._slice
        if (
            at_hand is not None
            and at_hand.requests
            and at_hand.tokens >= tokens
            and at_hand.cost >= cost
            and now < at_hand.end
        ):
            at_hand.requests -= 1
            at_hand.tokens -= tokens
            at_hand.cost -= cost
            return Reservation(self._accounts, tokens, cost, at_hand)
        return self._refill(tokens, cost, now)

    def give_back(self, now: float) -> None:
        """Hold nothing, and begin small again."""
        if self._slice is not None:
            self._slice.close(now)
            self._slice = None
        self._size = 1

    def _refill(self, tokens: int, cost: int, now: float) -> Reservation:
        if self._slice is not None:
            self._slice.close(now)
            self._slice = None
        accounts, stocks, size = self._accounts, self._stocks, self._size
        if not self._sliced:
            return reserve(accounts, tokens, cost, now, stocks.turns)
        if size == 1:
            stocks.busy.append(self)
        self._size = min(2 * size, MOST)
        tick = int(now) // BUCKET_SECONDS
        far = size > 1 and not any(account.near(size * stocks.far, tokens, cost, now, tick) for account in accounts)
        if not far or _take(accounts, size * tokens, size * cost, now, tick, size) is not None:
            return reserve(accounts, tokens, cost, now, stocks.turns)
        rest = size - 1
        self._slice = Slice(accounts, rest, rest * tokens, rest * cost, now)
        return Reservation(accounts, tokens, cost, self._slice)


class Stocks:
    """What a worker has at hand of all its callers."""

    def __init__(self, turns: Turns | None = None) -> None:
        """`turns` where other workers share the counters."""
        self.turns = turns
        self.far = FAR * (turns.workers if turns is not None else 1)
        self.busy: list[Stock] = []
        """Those that were asked in this second."""

    def give_back(self, now: float) -> None:
        """To be called about once a second, and at the end. `now` in Unix seconds."""
        busy, self.busy = self.busy, []
        for stock in busy:
            stock.give_back(now)


def reserve(accounts: tuple[Account, ...], tokens: int, cost: int, now: float, turns: Turns | None) -> Reservation:
    """Take one request, `tokens` and `cost` (nano-dollars) from every account, or from none and raise.

    Raises `LimitExceeded` or `BudgetExceeded` with `retry_after`, where waiting helps.
    """
    tick = int(now) // BUCKET_SECONDS
    if turns is not None and any(account.near(NEAR, tokens, cost, now, tick) for account in accounts):
        with turns:
            refused = _take(accounts, tokens, cost, now, tick)
    else:
        refused = _take(accounts, tokens, cost, now, tick)
    if refused is not None:
        raise refused()
    return Reservation(accounts, tokens, cost)


def late(accounts: tuple[Account, ...]) -> Reservation:
    """The reservation of a request that was counted before, and whose tokens and cost are known only now."""
    for account in accounts:
        if account.parallel is not None:
            account.parallel.enter()
    return Reservation(accounts, 0, 0)


def nearest(accounts: tuple[Account, ...]) -> tuple[int, int, int, int]:
    """Requests and tokens a minute of the accounts nearest to their limits, as seen when they were taken from last:
    limit and what is left, -1 where there is no limit.
    """
    requests_left = tokens_left = -1
    requests_limit = tokens_limit = -1
    for account in accounts:
        limit = account.subject.rpm
        if limit is not None:
            left = max(limit - account.requests_used, 0)
            if requests_limit < 0 or left < requests_left:
                requests_left, requests_limit = left, limit
        limit = account.subject.tpm
        if limit is not None:
            left = max(limit - account.tokens_used, 0)
            if tokens_limit < 0 or left < tokens_left:
                tokens_left, tokens_limit = left, limit
    return requests_limit, requests_left, tokens_limit, tokens_left


def rate_lines(requests_limit: int, requests_left: int, tokens_limit: int, tokens_left: int, reset: int) -> bytes:
    """OpenAI's `x-ratelimit-*` headers. `reset` is in how many seconds the minute is empty again at the latest.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    lines = b""
    if requests_limit >= 0:
        lines = (
            b"x-ratelimit-limit-requests: %d\r\n"
            b"x-ratelimit-remaining-requests: %d\r\nx-ratelimit-reset-requests: %ds\r\n"
        ) % (requests_limit, requests_left, reset if requests_left < requests_limit else 0)
    if tokens_limit >= 0:
        lines += (
            b"x-ratelimit-limit-tokens: %d\r\nx-ratelimit-remaining-tokens: %d\r\nx-ratelimit-reset-tokens: %ds\r\n"
        ) % (tokens_limit, tokens_left, reset if tokens_left < tokens_limit else 0)
    return lines


def rated(reservation: Reservation, now: float) -> bytes:
    """The same as the reservation saw them."""
    of: Slice | None = reservation.slice
    if of is not None:
        return of.headers(now)
    reset = (int(now) // BUCKET_SECONDS + BUCKETS) * BUCKET_SECONDS - int(now)
    return rate_lines(*nearest(reservation.accounts), reset)


def rate_headers(accounts: tuple[Account, ...], now: float) -> bytes:
    """The same for accounts that are looked up now."""
    tick = int(now) // BUCKET_SECONDS
    for account in accounts:
        account.look(tick)
    return rate_lines(*nearest(accounts), (tick + BUCKETS) * BUCKET_SECONDS - int(now))


def _take(
    accounts: tuple[Account, ...], tokens: int, cost: int, now: float, tick: int, count: int = 1
) -> Callable[[], GatewayError] | None:
    for place, account in enumerate(accounts):
        refused = account.take(tokens, cost, now, tick, count)
        if refused is not None:
            for taken in accounts[:place]:
                taken.undo(tokens, cost, now, tick, count)
            return refused
    return None
