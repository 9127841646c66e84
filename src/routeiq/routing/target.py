"""A deployment as a worker sees it: its state, whether it can serve, and how it has been doing.

closed ──failures──► open ──breaker_seconds──► half open ──success──► closed
   ▲                                              │
   └──────────────cooldown over────────┐          └──failure──► open
closed ──failure that cools down──► cooldown
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from routeiq.core.snapshot import Deployment, Resilience

FAILURE_WINDOW = 60.0
"""Seconds over which LiteLLM counts failures for its cooldowns."""
MIN_REQUESTS = 5
"""LiteLLM cools a deployment down above 50 % failures only with at least this many requests in the window."""
LATENCY_WEIGHT = 0.2
"""Of the newest observation in the moving average of latencies."""


class Limit(Protocol):
    """Requests or tokens of a minute; see `governance.tallies.Allowance`."""

    def take(self, amount: int, tick: int) -> bool: ...

    def give_back(self, amount: int, tick: int) -> None: ...

    def used(self, tick: int) -> int: ...

    def correct(self, amount: int, then: int, tick: int) -> None: ...


class Purse(Protocol):
    """A budget of the deployment or its provider, in nano-dollars; see `governance.accounts.Purse`."""

    def take(self, cost: int, now: float) -> bool: ...

    def settle(self, reserved: int, cost: int, then: float) -> None: ...

    def add(self, cost: int, now: float) -> None: ...


class Payer(Protocol):
    """A request that a deployment is chosen for: `core.exchange.Exchange`."""

    at: int
    reserved_tokens: int
    wanted_tokens: int
    held: Any


class Held:
    """What an attempt may cost, taken from the budgets of its deployment and its provider until it is settled."""

    __slots__ = ("_cost", "_purses", "_then")

    def __init__(self, purses: tuple[Purse, ...], cost: int, then: float) -> None:
        self._purses = purses
        self._cost = cost
        self._then = then

    def settle(self, cost: int) -> None:
        """It has cost so many nano-dollars; to be called once."""
        for purse in self._purses:
            purse.settle(self._cost, cost, self._then)


class Health:
    """What a worker has learned about one deployment; outlives reloads.

    Times are monotonic seconds, latencies seconds to the first byte (per completion token where known).
    """

    __slots__ = (
        "consecutive",
        "fails",
        "in_flight",
        "kv_cache",
        "latency",
        "open_until",
        "opened",
        "probing",
        "reason",
        "successes",
        "tokens",
        "ttfb",
        "waiting",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.consecutive = 0
        self.fails: deque[float] = deque(maxlen=10_000)
        self.successes: deque[float] = deque(maxlen=1000)
        self.open_until = 0.0
        self.opened = False
        """The circuit was opened and has not been closed by a success yet."""
        self.probing = False
        self.reason = ""
        self.latency = 0.0
        self.ttfb: deque[float] = deque(maxlen=100)
        self.tokens = 0
        self.kv_cache: float | None = None
        """Share of its engine's KV cache in use, where the engine tells."""
        self.waiting: float | None = None
        """Requests in its engine's queue."""


class Target:
    """A deployment of one Snapshot with its long-lived state and its limits.

    `replaceable` says whether its group has another deployment or a fallback: without one it is not held out unless
    `allowed_fails` says so (as in LiteLLM), because there is nothing to go to instead.
    """

    __slots__ = (
        "allowed_fails",
        "cooldown_time",
        "health",
        "holdable",
        "max_parallel",
        "purses",
        "replaceable",
        "resilience",
        "rpm",
        "spec",
        "tpm",
        "weight",
    )

    def __init__(
        self,
        spec: Deployment,
        health: Health,
        resilience: Resilience,
        replaceable: bool,
        *,
        rpm: Limit | None = None,
        tpm: Limit | None = None,
        purses: tuple[Purse, ...] = (),
    ) -> None:
        self.spec = spec
        self.health = health
        self.resilience = resilience
        self.replaceable = replaceable
        self.rpm = rpm
        self.tpm = tpm
        self.purses = purses
        self.max_parallel = spec.max_parallel_requests or 0
        self.allowed_fails = spec.allowed_fails if spec.allowed_fails is not None else resilience.allowed_fails
        self.cooldown_time = spec.cooldown_time if spec.cooldown_time is not None else resilience.cooldown_time
        self.holdable = replaceable or self.allowed_fails is not None
        """Whether it may be held out at all; what an earlier configuration held out may not be any more."""
        self.weight = float(spec.weight if spec.weight is not None else spec.rpm or spec.tpm or 1)

    def available(self, now: float) -> bool:
        """Whether it may be chosen: not cooling down, circuit not open, a slot free. Rates are taken by `reserve`."""
        health = self.health
        if (health.open_until > now or (health.opened and health.probing)) and self.holdable:
            return False
        return not self.max_parallel or health.in_flight < self.max_parallel

    def reserve(self, tokens: int, tick: int, payer: Payer) -> bool:
        """Take a request and `tokens` off the deployment's minute, and what it may cost off its budgets, for `payer`
        to hold; False (and nothing taken) when there is no room.
        """
        if self.purses and not self._fund(payer):
            return False
        if self.rpm is None and self.tpm is None:
            return True
        if self.rpm is not None and not self.rpm.take(1, tick):
            self._refund(payer)
            return False
        if self.tpm is not None and not self.tpm.take(tokens, tick):
            if self.rpm is not None:
                self.rpm.give_back(1, tick)
            self._refund(payer)
            return False
        return True

    def _fund(self, payer: Payer) -> bool:
        self._refund(payer)
        prices, wanted, then = self.spec.prices, payer.wanted_tokens, payer.at / 1e6
        cost = prices.estimate(payer.reserved_tokens - wanted, wanted) if prices is not None else 0
        for place, purse in enumerate(self.purses):
            if not purse.take(cost, then):
                Held(self.purses[:place], cost, then).settle(0)
                return False
        payer.held = Held(self.purses, cost, then)
        return True

    def _refund(self, payer: Payer) -> None:
        """What was taken for an attempt that was not made."""
        if payer.held is not None:
            payer.held.settle(0)
            payer.held = None

    def settle_tokens(self, reserved: int, used: int, then: int, tick: int) -> None:
        """Correct the reservation made in bucket `then` by what was really used."""
        if self.tpm is not None and used != reserved:
            self.tpm.correct(used - reserved, then, tick)

    def spend(self, cost: int, now: float) -> None:
        """A call that came at Unix time `now` has cost so many nano-dollars."""
        for purse in self.purses:
            purse.add(cost, now)

    def begin(self) -> None:
        """A call starts."""
        health = self.health
        health.in_flight += 1
        if health.opened:
            health.probing = True

    def end(self) -> None:
        """A call ended, whichever way."""
        self.health.in_flight -= 1

    def succeeded(self, ttfb: float, now: float) -> None:
        """An answer came; `ttfb` in seconds."""
        health = self.health
        health.consecutive = 0
        if health.opened:
            health.opened = health.probing = False
            health.reason = ""
        health.latency += (ttfb - health.latency) * LATENCY_WEIGHT if health.latency else ttfb
        health.ttfb.append(ttfb)
        health.successes.append(now)

    def released(self) -> None:
        """A call ended without telling anything about the deployment: the client went away, or the request was bad."""
        self.health.probing = False

    def failed(self, status: int, now: float, retry_after: float | None = None) -> bool:
        """A call failed with this status (0: no connection). True when the deployment is now held out.

        4xx other than 401, 402, 404, 408 and 429 are the request's fault and count for nothing.
        """
        health = self.health
        health.probing = False
        if 400 <= status < 500 and status not in (401, 402, 404, 408, 429):
            return False
        health.consecutive += 1
        health.fails.append(now)
        resilience = self.resilience
        if resilience.breaker_failures and (
            health.opened or (health.consecutive >= resilience.breaker_failures and self.replaceable)
        ):
            health.opened = True
            health.open_until = now + resilience.breaker_seconds
            health.reason = "circuit_open"
            return True
        if not resilience.disable_cooldowns and self._cools_down(status, now):
            health.open_until = now + max(self.cooldown_time, min(retry_after or 0.0, 60.0))
            health.reason = "cooldown"
            return True
        return False

    def _cools_down(self, status: int, now: float) -> bool:
        health = self.health
        since = now - FAILURE_WINDOW
        while health.fails and health.fails[0] < since:
            health.fails.popleft()
        if self.allowed_fails is not None:
            return len(health.fails) > self.allowed_fails
        if not self.replaceable:
            return False
        if status in (401, 402, 404, 429):
            return True
        while health.successes and health.successes[0] < since:
            health.successes.popleft()
        total = len(health.fails) + len(health.successes)
        return total >= MIN_REQUESTS and len(health.fails) * 2 > total
