"""May it, now: what can run out is reserved here, before the call, and settled after it."""

from __future__ import annotations

from routeiq.core.errors import BudgetExceeded, Forbidden, GatewayError, LimitExceeded
from routeiq.core.exchange import Exchange
from routeiq.core.keys import ModelRule
from routeiq.core.snapshot import Snapshot
from routeiq.governance.accounts import Account
from routeiq.governance.keys import Caller
from routeiq.governance.policies import PolicyAccount
from routeiq.governance.reserving import Reservation, rate_headers, reserve
from routeiq.governance.strict import Strict, unavailable
from routeiq.pipeline.plan import LiveGroup, Plan, Stage
from routeiq.pipeline.waiting import wait

BYTES_PER_TOKEN = 4
"""Of the estimate before the call; the provider's own count replaces it after."""
_LISTED = 20
"""Model names an error lists."""
MOST_TOKENS = 10**9
"""What is reserved for `max_tokens` at most: over any limit, and within what a counter holds."""


def admit(exchange: Exchange) -> bool:
    """Check the key's models and reserve its limits."""
    caller: Caller = exchange.key
    if caller.key.rules and exchange.auto is None:  # which has chosen among what is allowed
        rule = caller.forbidding(exchange.model)
        if rule is not None:
            raise not_allowed(rule, exchange.model)
    request = exchange.peek
    wanted = min(max(request.max_completion_tokens or request.max_tokens or 0, 0), MOST_TOKENS)
    exchange.wanted_tokens = wanted
    exchange.reserved_tokens = tokens = len(exchange.body) // BYTES_PER_TOKEN + wanted
    also = exchange.also
    if caller.limited or also:
        plan: Plan = exchange.plan
        cost = 0
        if caller.priced or any(account.budgets for account in also):
            cost = _expected_cost(plan, exchange.group, exchange.public_model, tokens - wanted, wanted)
        now = exchange.at / 1e6
        exchange.reservation = _reserve(exchange, plan, tokens, cost, now)
        shared = plan.snapshot.shared
        if shared is not None:
            services = plan.services
            if services.strict is not None:
                services.start(wait(exchange, _ask(exchange, plan, services.strict, now)))
                return True
            if shared.when_lost == "refuse" and not services.shares_counters():
                exchange.reservation.cancel(now)
                exchange.reservation = None
                raise unavailable()
    return False


def choose_noting(snapshot: Snapshot) -> Stage | None:
    """Nothing without policies of usage."""
    return note_policies if snapshot.policies else None


def note_policies(exchange: Exchange) -> bool:
    """What is let through says which policies it counts for: their counts begin with what the ledger knows."""
    tags = (account.tag for account in exchange.also if isinstance(account, PolicyAccount))
    exchange.request_tags = (*exchange.request_tags, *tags)
    return False


def _reserve(exchange: Exchange, plan: Plan, tokens: int, cost: int, now: float) -> Reservation:
    """From all accounts or from none. Raises `LimitExceeded` or `BudgetExceeded` as clients are told of them."""
    caller: Caller = exchange.key
    services = plan.services
    try:
        if not exchange.also and services.strict is None:
            return caller.stock_for(exchange.public_model).take(tokens, cost, now)
        accounts = caller.accounts_for(exchange.public_model) + exchange.also
        return reserve(accounts, tokens, cost, now, services.stocks.turns)
    except (BudgetExceeded, LimitExceeded) as error:
        raise _told(error, plan, caller.accounts_for(exchange.public_model) + exchange.also, now) from None


def _told(error: GatewayError, plan: Plan, accounts: tuple[Account, ...], now: float) -> GatewayError:
    """A refusal as clients are told of it: with the configured status, with what is left."""
    if isinstance(error, BudgetExceeded):
        error.status = plan.snapshot.auth.budget_exceeded_status
    elif isinstance(error, LimitExceeded):
        error.headers = rate_headers(accounts, now)
    return error


async def _ask(exchange: Exchange, plan: Plan, strict: Strict, now: float) -> bool:
    reservation = exchange.reservation
    refused = await strict.reserve(reservation, now)
    if exchange.settled:
        # The client went away, and all was settled before Redis had its part.
        if reservation.ticket:
            await strict.settle(reservation, 0, 0, now)
        return False
    if refused is None:
        return True
    reservation.cancel(now)
    exchange.reservation = None
    raise _told(refused, plan, reservation.accounts, now)


def not_allowed(rule: ModelRule, model: str) -> Forbidden:
    """The error for a model that one of the key's owners, or the key itself, may not use."""
    who = "key" if rule.kind == "key" else f"key's {rule.kind}"
    if rule.denied and rule.models == ("*",):
        may = f"It may use all but: {', '.join(rule.denied[:_LISTED])}."
    elif rule.models:
        but = f", but not: {', '.join(rule.denied[:_LISTED])}" if rule.denied else ""
        may = f"It may use: {', '.join(rule.models[:_LISTED])}{but}."
    else:
        may = "It may use no model."
    return Forbidden(
        f"This {who} may not use the model '{model[:200]}'. {may}",
        type=f"{'org' if rule.kind == 'organization' else rule.kind}_model_access_denied",
        code="model_access_denied",
        param="model",
    )


def _expected_cost(plan: Plan, group: LiveGroup, model: str, prompt: int, completion: int) -> int:
    """The dearest deployment's cost in nano-dollars. Raises where unpriced models are refused."""
    priced = group.priced
    if priced is not None:
        if len(priced) == 1:
            return priced[0].estimate(prompt, completion)
        return max((prices.estimate(prompt, completion) for prices in priced), default=0)
    costs = []
    for route in group.routes:
        prices = plan.prices(route.target.spec, plan.upstream_model(route, model)[0])
        if prices is not None:
            costs.append(prices.estimate(prompt, completion))
        elif plan.snapshot.drop_unpriced:
            raise Forbidden(
                f"The model '{model}' has no price, and a key with a budget may not use it.",
                code="model_not_priced",
                param="model",
            )
    return max(costs, default=0)
