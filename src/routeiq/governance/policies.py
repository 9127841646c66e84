"""Policies of usage: which of them a request fits, and where each group of requests is counted.

A group is one account more of each of its requests, leased a slot of its own. `log` and `alert` count and tell;
`deny` refuses.
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from urllib.parse import quote

import msgspec

from routeiq.core.errors import BudgetExceeded, GatewayError, LimitExceeded
from routeiq.core.exchange import Exchange
from routeiq.core.keys import UNLIMITED, BudgetLimit, Subject
from routeiq.core.money import dollars
from routeiq.core.own_tags import own_tag
from routeiq.core.periods import Period
from routeiq.core.policies import UsagePolicy
from routeiq.core.slots import BUDGETS, SlotTable
from routeiq.governance.accounts import Account, LimitBook
from routeiq.governance.asked import STALE_SECONDS, Asked
from routeiq.governance.directory import Directory
from routeiq.governance.windows import Budget

_PARTS = ("input_tokens", "output_tokens")
Tell = Callable[[UsagePolicy], None]
log = logging.getLogger("routeiq.worker")


class PolicyAccount(Account):
    """The account of one group of a policy."""

    __slots__ = ("_count", "_limit", "_policy", "_request", "_tell", "_told", "tag")

    def __init__(self, policy: UsagePolicy, subject: Subject, book: LimitBook, slots: SlotTable, tell: Tell) -> None:
        duration = subject.budgets[0].duration
        # A cost that is refused has to be expected before the call, as that of a budget is.
        own = policy.action == "deny" and policy.limit_type == "cost"
        budgets = (BudgetLimit(amount=policy.amount, duration=duration),) if own else ()
        subject = msgspec.structs.replace(subject, budgets=budgets)
        super().__init__(subject, book.counters(subject), slots, book.zone, book.busy, book.alert)
        self.tag = own_tag("policy", subject.id)
        """What the ledger knows its requests by."""
        self._policy = policy
        self._count = None if own else Budget(slots.row(subject.slot, BUDGETS), Period(duration, book.zone))
        self._limit = policy.amount
        self._tell = tell
        self._told: list[tuple[int, bool]] = []
        """What was told of last: the period, and whether the limit was reached."""
        self._request: Exchange | None = None

    def of(self, request: Exchange) -> PolicyAccount:
        """The same for one request, where a part of its tokens is counted."""
        if self._policy.limit_type not in _PARTS:
            return self
        bound = copy.copy(self)
        bound._request = request
        return bound

    def near(self, count: int, tokens: int, cost: int, now: float, tick: int) -> bool:
        """Always: each request is looked at."""
        return True

    def take(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> Callable[[], GatewayError] | None:
        """Take a request; nothing is taken where the reason why not is returned."""
        counter, policy = self._count, self._policy
        if counter is None:
            refused = super().take(tokens, cost, now, tick, count)
            if refused is not None:
                self._over(self.budgets[0].meter, self._limit, now, over=True)
                return lambda: self._broke(self.budgets[0].meter, now)
            return None
        amount = self._amount(tokens, count)
        used = counter.reserve(amount, now)
        over = used > self._limit
        if policy.action == "deny":
            if over:
                counter.settle(amount, 0, now)
                self._over(counter, used, now, over=True)
                return lambda: self._broke(counter, now)
        elif over or (policy.action == "alert" and used >= self._limit * policy.alert_threshold):
            self._over(counter, used, now, over=over)
        return None

    def undo(self, tokens: int, cost: int, now: float, tick: int, count: int = 1) -> None:
        """Give back what `take` has just taken."""
        if self._count is not None:
            self._count.settle(self._amount(tokens, count), 0, now)
        super().undo(tokens, cost, now, tick, count)

    def settle(
        self, tokens: int, cost: int, used_tokens: int, used_cost: int, then: float, now: float, rest: int = 0
    ) -> None:
        """Replace what was taken at `then` by what was used; the request stays counted."""
        if self._count is not None and self.fresh:
            self._count.settle(self._amount(tokens, 1), self._used(used_tokens, used_cost), then)
        super().settle(tokens, cost, used_tokens, used_cost, then, now, rest)

    def counted(self, tokens: int, cost: int, now: float) -> list[tuple[Budget, int, int]]:
        """What a request takes, for counters all machines share; who only watches has no most."""
        if self._count is None:
            return super().counted(tokens, cost, now)
        most = self._limit if self._policy.action == "deny" else UNLIMITED
        return [(self._count, most, self._amount(tokens, 1))]

    def moved(self, tokens: int, cost: int, used_tokens: int, used_cost: int) -> list[tuple[Budget, int]]:
        """What was used less what was taken."""
        if self._count is None:
            return super().moved(tokens, cost, used_tokens, used_cost)
        return [(self._count, self._used(used_tokens, used_cost) - self._amount(tokens, 1))]

    def refusal(self, what: str, used: int, tokens: int, now: float) -> GatewayError:
        """Why not, in the words of the counters all machines share."""
        meter = self._count if self._count is not None else self.budgets[0].meter
        self._over(meter, used, now, over=True)
        return self._broke(meter, now)

    def _amount(self, tokens: int, count: int) -> int:
        """What is taken before the call; a cost that is only watched is known after it."""
        kind, request = self._policy.limit_type, self._request
        if request is not None:
            wanted = request.wanted_tokens
            return max(request.reserved_tokens - wanted if kind == "input_tokens" else wanted, 1)
        return tokens if kind == "tokens" else count if kind == "requests" else 0

    def _used(self, tokens: int, cost: int) -> int:
        """What is counted of a request that is over."""
        kind, request = self._policy.limit_type, self._request
        if request is not None:
            usage = request.usage
            return 0 if usage is None else usage.prompt if kind == "input_tokens" else usage.completion
        return cost if kind == "cost" else tokens if kind == "tokens" else 1

    def _over(self, meter: Budget, used: int, now: float, *, over: bool) -> None:
        """Count it; one line in the log for each period, and one more when the limit itself is reached."""
        policy = self._policy
        self._tell(policy)
        number = meter.period.number(now)
        if self._told not in ([(number, over)], [(number, True)]):
            self._told[:] = [(number, over)]
            log.warning(
                "usage policy %s (%s): %s of %s used by %s",
                policy.policy_id, policy.action, self._shown(used), self._shown(self._limit), self.subject.id[:200],
            )  # fmt: skip

    def _shown(self, amount: int) -> str:
        kind = self._policy.limit_type
        return f"${dollars(amount)}" if kind == "cost" else f"{amount} {kind.replace('_', ' ')}"

    def _broke(self, meter: Budget, now: float) -> GatewayError:
        policy = self._policy
        _, end = meter.period.bounds(now)
        period = "" if policy.limit_period == "none" else f" a {policy.limit_period}"
        message = (
            f"The usage policy '{policy.name or policy.policy_id}' allows {self._shown(self._limit)}{period}, and there"
            " is no more left."
        )
        error = BudgetExceeded if policy.limit_type == "cost" else LimitExceeded
        return error(message, retry_after=max(1.0, end - now) if meter.period.duration else None)


class Policies:
    """The policies of one worker, with their groups by name."""

    def __init__(self, book: LimitBook, directory: Directory, slots: SlotTable | None, tell: Tell) -> None:
        self._book = book
        self._directory = directory
        self._slots = slots
        self._tell = tell
        self._policies: tuple[UsagePolicy, ...] = ()
        self._by_id: dict[str, UsagePolicy] = {}
        self.asked: Asked[str, PolicyAccount] = Asked(
            self._ask, lambda account: account.fresh, "The usage can't be counted right now.", seconds=STALE_SECONDS
        )

    def adopt(self, policies: tuple[UsagePolicy, ...]) -> None:
        """Take those of a new Snapshot."""
        if policies != self._policies:
            self._policies = policies
            self._by_id = {policy.policy_id: policy for policy in policies}
            self.asked.clear()

    def fitting(self, request: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Names of the groups a request counts for; `request` has the values of each of `ATTRIBUTES`."""
        return [
            name
            for policy in self._policies
            if _fits(policy.conditions, request)
            and not (policy.exclusions and _fits(policy.exclusions, request))
            for name in _groups(policy, request)
        ]  # fmt: skip

    async def _ask(self, name: str) -> PolicyAccount | None:
        found = await self._directory.policy(name)
        policy = self._by_id.get(name.split(":", 2)[2].partition("/")[0])
        if found is None or self._slots is None or policy is None:
            return None
        return PolicyAccount(policy, found, self._book, self._slots, self._tell)


def _fits(patterns: Mapping[str, tuple[str, ...]], request: Mapping[str, tuple[str, ...]]) -> bool:
    return all(
        any(fnmatchcase(value, pattern) for value in request[name] for pattern in wanted)
        for name, wanted in patterns.items()
    )


def _groups(policy: UsagePolicy, request: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """`<limit type>:<duration>:<policy_id>/<value>/…`: what is counted, when it begins anew, and for whom."""
    for values in itertools.product(*(request[name] for name in policy.group_by)):
        # Quoted, or two groups could have one name.
        id = "/".join((policy.policy_id, *(quote(value, safe="") for value in values)))
        yield f"{policy.limit_type}:{policy.duration}:{id}"
