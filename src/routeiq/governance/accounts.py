"""Whom requests count for, with the counters of their limits.

A worker first adds to its own column and then reads the sum, so two workers that race are never both admitted over a
limit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple
from weakref import WeakValueDictionary

from routeiq.core.counters import BUDGET, GAUGE, CounterTable, Row, TableFull
from routeiq.core.errors import BudgetExceeded, GatewayError, LimitExceeded, Overloaded
from routeiq.core.keys import BudgetLimit, Subject
from routeiq.core.money import dollars
from routeiq.core.periods import Period
from routeiq.core.slots import BUDGET_WORDS, BUDGETS, MOST_BUDGETS, PARALLEL, REQUESTS, SPEND, TOKENS, SlotTable
from routeiq.governance.tallies import Allowance, Busy, Tally
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS, Budget, Gauge, Window

_WINDOW = f"w{BUCKETS + 2}"
_WHO = {"key": "this key", "global": "the gateway"}


MOST_TOLD = 10_000
"""Subjects remembered whose soft budget was told to be exceeded."""

Alert = Callable[[Subject, BudgetLimit, int, int], None]
log = logging.getLogger("routeiq.worker")


class Spent(NamedTuple):
    """One budget of an account."""

    meter: Budget
    limit: BudgetLimit

    def most(self, now: float) -> int:
        """Nano-dollars that may be spent in the period."""
        limit = self.limit
        return limit.amount + limit.extra if limit.extra and now < limit.extra_until else limit.amount


class Purse:
    """What a deployment or a provider may spend: over it, others are chosen. `routing.target.Purse`."""

    __slots__ = ("_spent",)

    def __init__(self, spent: Spent) -> None:
        self._spent = spent

    def take(self, cost: int, now: float) -> bool:
        """Reserve nano-dollars; False (and nothing reserved) where they don't fit."""
        meter, most = self._spent.meter, self._spent.most(now)
        spent = meter.reserve(cost, now)
        if spent > most or spent - cost >= most:
            meter.settle(cost, 0, now)
            return False
        return True

    def settle(self, reserved: int, cost: int, then: float) -> None:
        """Spend `cost` instead of what was reserved at `then`."""
        self._spent.meter.settle(reserved, cost, then)

    def add(self, cost: int, now: float) -> None:
        """Spend nano-dollars that were not reserved."""
        self._spent.meter.add(cost, now)


class Counters:
    """Where one subject is counted. Windows remember what they wrote, so there is one object for each subject."""

    __slots__ = ("__weakref__", "_place", "_windows")

    def __init__(self, place: Callable[[str, int, str], Row]) -> None:
        """`place` finds the words of a kind by their offset in a slot, or by a name."""
        self._place = place
        self._windows: dict[int, Window] = {}

    def gauge(self) -> Gauge:
        """Requests in flight."""
        return Gauge(self._place(GAUGE, PARALLEL, "parallel"))

    def window(self, word: int, name: str) -> Window:
        """What was used in the last minute."""
        found = self._windows.get(word)
        if found is None:
            found = self._windows[word] = Window(self._place(_WINDOW, word, name))
        return found

    def budget(self, word: int, name: str, period: Period) -> Budget:
        """What was spent in the present period."""
        return Budget(self._place(BUDGET, word, f"{name}:{period.duration}"), period)


class Account:
    """A subject with the counters of its limits."""

    __slots__ = ("_alert", "_counters", "_slots", "budgets", "parallel", "requests", "requests_used", "spend",
                 "subject", "tokens", "tokens_used")  # fmt: skip

    def __init__(
        self, subject: Subject, counters: Counters, slots: SlotTable | None, zone: str, busy: list[Busy], alert: Alert
    ) -> None:
        if subject.slot >= 0 and len(subject.budgets) > MOST_BUDGETS:
            # What is behind a slot is another subject's.
            raise ValueError(
                f"{len(subject.budgets)} budgets of one {subject.kind}, at most {MOST_BUDGETS} are counted"
            )
        self.subject = subject
        self._counters = counters
        self._alert = alert
        self._slots = slots if subject.slot >= 0 else None
        self.requests = counters.window(REQUESTS, "rpm") if subject.rpm is not None else None
        self.tokens = counters.window(TOKENS, "tpm") if subject.tpm is not None else None
        self.budgets = tuple(
            Spent(counters.budget(BUDGETS + BUDGET_WORDS * place, "budget", Period(limit.duration, zone)), limit)
            for place, limit in enumerate(subject.budgets)
        )
        self.parallel = counters.gauge() if subject.max_parallel_requests is not None else None
        period = self.budgets[0].meter.period if self.budgets else Period("", zone)
        self.spend: Tally | None = None
        """What the key has spent in the period of its (first) budget, for ever without one."""
        if subject.kind == "key" and not subject.share:
            self.spend = Tally(self, counters.budget(SPEND, "spend", period), busy)
        self.requests_used = self.tokens_used = 0
        """Of the minute over all workers, as the last reservation has seen it."""

    @property
    def fresh(self) -> bool:
        """Whether its counters are still its own."""
        slots = self._slots
        return slots is None or slots.lease(self.subject.slot) == self.subject.lease

    def near(self, count: int, tokens: int, cost: int, now: float, tick: int) -> bool:
        """Whether a limit is so close that `count` requests with `tokens` and `cost` each don't fit."""
        subject = self.subject
        if self.parallel is not None and self.parallel.used() + count > (subject.max_parallel_requests or 0):
            return True
        if self.requests is not None and self.requests.used(tick) + count > (subject.rpm or 0):
            return True
        if self.tokens is not None and self.tokens.used(tick) + count * tokens > (subject.tpm or 0):
            return True
        return any(spent.meter.spent(now) + count * cost >= spent.most(now) for spent in self.budgets)

    def take(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> Callable[[], GatewayError] | None:
        """Take `count` requests, `tokens` and `cost` (nano-dollars) in all, or nothing: then the reason is returned."""
        subject = self.subject
        parallel, requests, window = self.parallel, self.requests, self.tokens
        if parallel is not None and parallel.enter() > (subject.max_parallel_requests or 0):
            parallel.leave()
            return self._crowded
        if requests is not None:
            self.requests_used = used = requests.add(count, tick)
            if used > (subject.rpm or 0):
                self._give_back(tick, count, 0)
                return lambda: self._exceeded("requests", subject.rpm or 0, requests, 1, now)
        if window is not None:
            self.tokens_used = used = window.add(tokens, tick)
            if used > (subject.tpm or 0):
                self._give_back(tick, count, tokens)
                return lambda: self._exceeded("tokens", subject.tpm or 0, window, tokens, now)
        for place, budget in enumerate(self.budgets):
            meter, limit = budget
            spent, most = meter.reserve(cost, now), budget.most(now)
            if limit.soft and spent >= limit.soft:
                self._alert(subject, limit, spent, meter.period.number(now))
            if spent > most or spent - cost >= most:
                for before in self.budgets[: place + 1]:
                    before.meter.settle(cost, 0, now)
                self._give_back(tick, count, tokens)
                return lambda: self._spent(spent - cost, most, meter, now)
        return None

    def undo(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> None:
        """Give back what `take` has just taken."""
        for meter, _ in self.budgets:
            meter.settle(cost, 0, now)
        self._give_back(tick, count, tokens)

    def settle(
        self, tokens: int, cost: int, used_tokens: int, used_cost: int, then: float, now: float, rest: int = 0
    ) -> None:
        """Replace the `tokens` and `cost` that were taken at `then` by what was used; `rest` are requests that were
        taken then and not made.
        """
        if not self.fresh:
            return  # the next lease begins with what the ledger says
        if self.parallel is not None:
            self.parallel.leave()
        taken, tick = int(then) // BUCKET_SECONDS, int(now) // BUCKET_SECONDS
        if rest and self.requests is not None:
            self.requests.correct(-rest, taken, tick)
        if self.tokens is not None and used_tokens != tokens:
            self.tokens.correct(used_tokens - tokens, taken, tick)
        for meter, _ in self.budgets:
            meter.settle(cost, used_cost, then)

    def counted(self, tokens: int, cost: int, now: float) -> list[tuple[Budget, int, int]]:
        """What a request takes of each budget, for counters all machines share: the budget, its most, how much."""
        return [(spent.meter, spent.most(now), cost) for spent in self.budgets]

    def moved(self, tokens: int, cost: int, used_tokens: int, used_cost: int) -> list[tuple[Budget, int]]:
        """What was used less what was taken, in the same order."""
        return [(spent.meter, used_cost - cost) for spent in self.budgets]

    def refusal(self, what: str, used: int, tokens: int, now: float) -> GatewayError:
        """Why not, in the words of the counters all machines share: `wire.RESERVE`."""
        subject = self.subject
        if what == "parallel":
            return self._crowded()
        if what == "requests" and self.requests is not None:
            return self._exceeded(what, subject.rpm or 0, self.requests, 1, now)
        if what == "tokens" and self.tokens is not None:
            return self._exceeded(what, subject.tpm or 0, self.tokens, tokens, now)
        meter, _ = budget = self.budgets[int(what) - 1]
        return self._spent(used, budget.most(now), meter, now)

    def look(self, tick: int) -> None:
        """See how much of the minute is used."""
        self.requests_used = self.requests.used(tick) if self.requests is not None else 0
        self.tokens_used = self.tokens.used(tick) if self.tokens is not None else 0

    def _give_back(self, tick: int, requests: int, tokens: int) -> None:
        if self.parallel is not None:
            self.parallel.leave()
        if self.requests is not None:
            self.requests.add(-requests, tick)
        if self.tokens is not None and tokens:
            self.tokens.add(-tokens, tick)

    def _who(self) -> str:
        subject = self.subject
        if subject.kind == "member":
            team, _, user = subject.id.partition("/")
            return f"the member '{user[:100]}' of the team '{team[:100]}'"
        who = _WHO.get(subject.kind) or f"the {subject.kind.replace('_', ' ')} '{subject.id[:100]}'"
        return f"{who} with the model '{subject.share}'" if subject.share else who

    def _crowded(self) -> GatewayError:
        most = self.subject.max_parallel_requests
        return LimitExceeded(f"Too many parallel requests: {self._who()} may have {most} in flight.", retry_after=1.0)

    def _exceeded(self, what: str, limit: int, window: Window, amount: int, now: float) -> GatewayError:
        if amount > limit:
            return LimitExceeded(
                f"Rate limit exceeded: this request needs about {amount} {what},"
                f" {self._who()} may use {limit} a minute."
            )
        return LimitExceeded(
            f"Rate limit exceeded: {self._who()} may use {limit} {what} a minute.",
            retry_after=max(1.0, window.seconds_until_free(amount, limit, now)),
        )

    def _spent(self, spent: int, most: int, meter: Budget, now: float) -> GatewayError:
        who = "" if self.subject.kind == "key" and not self.subject.share else f" of {self._who()}"
        _, end = meter.period.bounds(now)
        return BudgetExceeded(
            f"Budget{who} has been exceeded! Current cost: {dollars(spent)}, Max budget: {dollars(most)}",
            retry_after=max(1.0, end - now) if meter.period.duration else None,
        )


class Parties:
    """Everybody a request may count for, as far as they are limited."""

    __slots__ = ("accounts", "shares")

    def __init__(self, accounts: Iterable[Account]) -> None:
        limited = [one for one in accounts if one.subject.limited]
        self.accounts = tuple(one for one in limited if not one.subject.share)
        """Those that every request counts for."""
        self.shares = tuple(one for one in limited if one.subject.share)
        """Those that requests for some public names count for."""

    def of_model(self, model: str) -> tuple[Account, ...]:
        """Those that a request for this public name counts for."""
        if not self.shares:
            return self.accounts
        return (*self.accounts, *(one for one in self.shares if fnmatchcase(model, one.subject.share)))


class LimitBook:
    """The accounts of one process.

    Subjects of the configuration are counted by name, in a table that has room for all of them (`TableFull`
    otherwise); those of the database where the control plane has leased them a slot.
    """

    def __init__(self, table: CounterTable, slots: SlotTable | None = None, workers: int = 1) -> None:
        self.zone = "UTC"
        self.workers = workers
        self.busy: list[Busy] = []
        """What has been counted here alone."""
        self.exceeded: Callable[[str], None] = lambda _kind: None
        """Told of the kind of a subject whose soft budget is exceeded."""
        self._told: dict[str, int] = {}
        self._table = table
        self._slots = slots
        self._shared = False
        self._named: dict[str, Counters] = {}
        self._leased: WeakValueDictionary[tuple[int, int], Counters] = WeakValueDictionary()
        self._windows: dict[str, Window] = {}

    def share(self, shared: bool) -> None:
        """Whether other machines share the counters too."""
        if shared != self._shared:
            self._shared = shared
            self._named.clear()
            self._windows.clear()

    def account(self, subject: Subject) -> Account:
        """The subject's account. Raises `Overloaded` where there is no room to count."""
        try:
            return Account(subject, self.counters(subject), self._slots, self.zone, self.busy, self.alert)
        except (TableFull, ValueError) as error:
            raise Overloaded(f"No room to count for another {subject.kind}: {error}.") from None

    def alert(self, subject: Subject, limit: BudgetLimit, spent: int, number: int) -> None:
        """Tell that a soft budget is exceeded, once in the period with this number."""
        if self._told.get(subject.name) == number:
            return
        while len(self._told) >= MOST_TOLD:
            del self._told[next(iter(self._told))]
        self._told[subject.name] = number
        log.warning(
            "the soft budget of the %s %s is exceeded: %s of %s dollars are spent",
            subject.kind, subject.id[:64], dollars(spent), dollars(limit.soft),
        )  # fmt: skip
        self.exceeded(subject.kind)

    def flush(self, now: float) -> None:
        """Add what has been counted here alone: about once a second, and at the end. `now` in Unix seconds."""
        # The list stays the same: those that count have it.
        busy = list(self.busy)
        self.busy.clear()
        for each in busy:
            each.flush(now)

    def allowance(self, name: str, limit: int) -> Allowance:
        """What may be used in a minute of something that is no subject."""
        found = self._windows.get(name)
        if found is None:
            found = self._windows[name] = Window(self._table.place(name, _WINDOW, shared=self._shared))
        return Allowance(found, limit, self.workers, self.busy)

    def purse(self, kind: str, id: str, limit: BudgetLimit) -> Purse:
        """The budget of a `deployment` or a `provider`."""
        counters = self.counters(Subject(kind=kind, id=id))
        return Purse(Spent(counters.budget(BUDGETS, "budget", Period(limit.duration, self.zone)), limit))

    def counters(self, subject: Subject) -> Counters:
        """Where the subject is counted. Raises `TableFull`, or `ValueError` for a slot that is not there."""
        slot, lease = subject.slot, subject.lease
        if slot >= 0:
            slots = self._slots
            if slots is None:
                raise ValueError("nobody leases slots here")
            found = self._leased.get((slot, lease))
            if found is None:
                found = self._leased[slot, lease] = Counters(lambda _, word, __: slots.row(slot, word))
            return found
        prefix = f"limit:{subject.name}:"
        known = self._named.get(prefix)
        if known is None:
            table, shared = self._table, self._shared
            known = self._named[prefix] = Counters(
                lambda kind, _, name: table.place(prefix + name, kind, shared=shared)
            )
        return known
