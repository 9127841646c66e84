"""Hedging: a second attempt elsewhere when the first takes longer to begin than it should.

Dean and Barroso, "The Tail at Scale", 2013: a hedge after the 95th percentile costs a few per cent more calls and
takes the slowest answers away. The first to answer wins; the other is cancelled before it has generated, and so
billed, more than its prompt. `hedge_max_share` bounds the extra calls, `hedge_max_cost` the price of one.
"""

from __future__ import annotations

from collections.abc import Callable

from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Resilience
from routeiq.pipeline.attempt import Attempt
from routeiq.pipeline.decide import has_other, select
from routeiq.pipeline.plan import LiveGroup, Plan, Route

Launch = Callable[[Exchange, Route], Attempt]

ENOUGH = 20
"""Observations before a quantile means anything."""


def watch(exchange: Exchange, attempt: Attempt, launch: Launch) -> None:
    """Set the timer for a second attempt, where one is possible."""
    plan: Plan = exchange.plan
    group: LiveGroup = exchange.group
    if group.single is not None or not attempt.waiting:
        return
    delay = threshold(plan.snapshot.resilience, group)
    if delay is not None:
        plan.services.loop.call_later(delay, _second, exchange, attempt, launch)


def threshold(resilience: Resilience, group: LiveGroup) -> float | None:
    """Seconds to wait before hedging; `None` while the quantile is not known yet."""
    if resilience.hedge_quantile is not None:
        seen = sorted(value for route in group.routes for value in route.target.health.ttfb)
        if len(seen) >= ENOUGH:
            return seen[min(len(seen) - 1, int(len(seen) * resilience.hedge_quantile))]
    return resilience.hedge_after


def _second(exchange: Exchange, attempt: Attempt, launch: Launch) -> None:
    plan: Plan = exchange.plan
    services = plan.services
    resilience = plan.snapshot.resilience
    if exchange.settled or exchange.attempt is not attempt or not attempt.waiting or attempt.rival is not None:
        return
    if services.hedges + 1 > resilience.hedge_max_share * max(services.requests, 1 / resilience.hedge_max_share):
        return
    first: Route = exchange.route
    exchange.tried = [*(exchange.tried or []), first.target]
    if not has_other(exchange):
        return
    route = select(exchange)
    if route is None or route is first or not _worth(exchange, route, resilience):
        return
    services.hedges += 1
    exchange.hedged = True
    try:
        second = launch(exchange, route)
    except GatewayError:
        exchange.attempt = attempt
        return
    exchange.route = route
    attempt.rival, second.rival = second, attempt


def _worth(exchange: Exchange, route: Route, resilience: Resilience) -> bool:
    if resilience.hedge_max_cost is None:
        return True
    plan: Plan = exchange.plan
    prices = plan.prices(route.target.spec, exchange.upstream_model)
    return prices is not None and prices.estimate(len(exchange.body) // 4, 0) <= resilience.hedge_max_cost
