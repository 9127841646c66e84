"""May it, now: what can run out is reserved here, before the call, and settled after it."""

from __future__ import annotations

from routeiq.core.errors import Forbidden
from routeiq.core.exchange import Exchange
from routeiq.governance.keys import Caller
from routeiq.pipeline.plan import LiveGroup, Plan

BYTES_PER_TOKEN = 4
"""Of the estimate before the call; the provider's own count replaces it after."""
MOST_TOKENS = 10**9
"""What is reserved for `max_tokens` at most: over any limit, and within what a counter holds."""


def admit(exchange: Exchange) -> bool:
    """Check the key's models and reserve its limits."""
    caller: Caller = exchange.key
    if caller.key.models and not caller.may_use(exchange.model):
        raise Forbidden(
            f"This key may not use the model '{exchange.model}'. It may use: {', '.join(caller.key.models)}.",
            type="key_model_access_denied",
            code="model_access_denied",
            param="model",
        )
    request = exchange.peek
    wanted = min(max(request.max_completion_tokens or request.max_tokens or 0, 0), MOST_TOKENS)
    exchange.reserved_tokens = tokens = len(exchange.body) // BYTES_PER_TOKEN + wanted
    if caller.limited:
        plan: Plan = exchange.plan
        cost = 0
        if caller.budget is not None:
            cost = _expected_cost(plan, exchange.group, exchange.model, tokens - wanted, wanted)
        exchange.reservation = caller.reserve(
            tokens, cost, exchange.at / 1e6, plan.snapshot.auth.budget_exceeded_status
        )
    return False


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
