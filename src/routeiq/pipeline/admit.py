"""May it, now: what can run out is reserved here, before the call, and settled after it."""

from __future__ import annotations

from routeiq.core.errors import Forbidden
from routeiq.core.exchange import Exchange
from routeiq.core.keys import ModelRule
from routeiq.governance.keys import Caller
from routeiq.pipeline.plan import LiveGroup, Plan

BYTES_PER_TOKEN = 4
"""Of the estimate before the call; the provider's own count replaces it after."""
_LISTED = 20
"""Model names an error lists."""
MOST_TOKENS = 10**9
"""What is reserved for `max_tokens` at most: over any limit, and within what a counter holds."""


def admit(exchange: Exchange) -> bool:
    """Check the key's models and reserve its limits."""
    caller: Caller = exchange.key
    if caller.key.rules:
        rule = caller.forbidding(exchange.model)
        if rule is not None:
            raise not_allowed(rule, exchange.model)
    request = exchange.peek
    wanted = min(max(request.max_completion_tokens or request.max_tokens or 0, 0), MOST_TOKENS)
    exchange.reserved_tokens = tokens = len(exchange.body) // BYTES_PER_TOKEN + wanted
    also = exchange.also
    if caller.limited or also:
        plan: Plan = exchange.plan
        cost = 0
        if caller.priced or any(account.budgets for account in also):
            cost = _expected_cost(plan, exchange.group, exchange.model, tokens - wanted, wanted)
        accounts = caller.accounts_for(exchange.model)
        if also:
            accounts += also
        exchange.reservation = caller.reserve(
            accounts, tokens, cost, exchange.at / 1e6, plan.services.limits, plan.snapshot.auth.budget_exceeded_status
        )
    return False


def not_allowed(rule: ModelRule, model: str) -> Forbidden:
    """The error for a model that one of the key's owners, or the key itself, may not use."""
    who = "key" if rule.kind == "key" else f"key's {rule.kind}"
    may = f"It may use: {', '.join(rule.models[:_LISTED])}." if rule.models else "It may use no model."
    return Forbidden(
        f"This {who} may not use the model '{model[:200]}'. {may}",
        type=f"{'org' if rule.kind == 'organization' else rule.kind}_model_access_denied",
        code="model_access_denied",
        param="model",
    )


def _expected_cost(plan: Plan, group: LiveGroup, model: str, prompt: int, completion: int) -> int:
    """The dearest deployment's cost in nano-dollars. Raises where unpriced models are refused."""
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
