"""Which deployment."""

from __future__ import annotations

from routeiq.core.errors import LimitExceeded
from routeiq.core.exchange import Exchange
from routeiq.governance.keys import Caller
from routeiq.governance.windows import BUCKET_SECONDS
from routeiq.pipeline.plan import LiveGroup, Route
from routeiq.pipeline.ranking import Ranker
from routeiq.pipeline.services import Services
from routeiq.routing.target import Target

_FALLBACKS = {
    "general": "fallbacks",
    "context_window": "context_window_fallbacks",
    "content_policy": "content_policy_fallbacks",
}
"""Settings by why a request falls back."""


def decide(exchange: Exchange) -> bool:
    """Choose a route of the group, or of the next fallback when the group can't serve."""
    route = select(exchange)
    while route is None:
        error = unavailable(exchange)
        if not next_fallback(exchange, "general"):
            raise error
        route = select(exchange)
    exchange.route = route
    return False


def select(exchange: Exchange) -> Route | None:
    """A route that can serve now, with its rates reserved: not tried before if possible; `None` when there is none."""
    group: LiveGroup = exchange.group
    services: Services = exchange.plan.services
    now = services.now()
    tick = exchange.at // (BUCKET_SECONDS * 1_000_000)
    if exchange.retries or exchange.fallbacks:
        tick = int(services.wall()) // BUCKET_SECONDS  # time has passed since it came
    single = group.single
    if group.ranker is not None:
        return _ranked(exchange, group, group.ranker, now, tick)
    if single is not None:
        target = single.target
        return single if target.available(now) and target.reserve(exchange.reserved_tokens, tick, exchange) else None
    tried = exchange.tried
    if tried:
        found = _from_tiers(exchange, group, now, tick, tried)
        if found is not None:
            return found
    return _from_tiers(exchange, group, now, tick, None)


def _ranked(exchange: Exchange, group: LiveGroup, ranker: Ranker, now: float, tick: int) -> Route | None:
    """By the group's strategy: tiers as ever, within each the order it gives; what was tried comes last."""
    tried = exchange.tried or ()
    for again in (False, True) if tried else (False,):
        for tier in group.tiers:
            targets = [target for target in tier if target.available(now) and (again or target not in tried)]
            for target in ranker.order(exchange, group, targets) if targets else ():
                if target.reserve(exchange.reserved_tokens, tick, exchange):
                    return group.by_target[id(target)]
    return None


def has_other(exchange: Exchange) -> bool:
    """Whether a deployment of the group that was not tried yet can serve now."""
    group: LiveGroup = exchange.group
    tried = exchange.tried or []
    now = exchange.plan.services.now()
    return any(target not in tried and target.available(now) for tier in group.tiers for target in tier)


def next_fallback(exchange: Exchange, kind: str) -> bool:
    """Move the exchange to its next fallback group; False when there is none left."""
    plan = exchange.plan
    pending = exchange.pending_fallbacks
    if exchange.auto is not None:
        pending = exchange.pending_fallbacks or []
        if kind == "context_window":
            exchange.auto.wider(pending, exchange.public_model)
    elif pending is None or kind != "general":
        name = _FALLBACKS[kind]
        names = own_fallbacks(exchange, name)
        if names is None:
            names = getattr(exchange.group.spec, name)
        pending = exchange.pending_fallbacks = list(names)
    while pending and exchange.fallbacks < plan.snapshot.resilience.max_fallbacks:
        name = pending.pop(0)
        group = exchange.auto.group(name, exchange.query.wishes) if exchange.auto else plan.resolve(name)
        if group is None or group is exchange.group or group in (exchange.left or ()):
            continue
        if exchange.auto is not None:
            exchange.auto.learn(exchange, failed=True)
        exchange.left = [*(exchange.left or ()), exchange.group]
        plan.services.meters.pending[exchange.group.meters.fallbacks] += 1
        exchange.group = group
        exchange.public_model = name
        exchange.tried = None
        exchange.fallbacks += 1
        return True
    return False


def own_fallbacks(exchange: Exchange, name: str) -> list[str] | None:
    """Those its key's `router_settings` have for the model at hand, as far as the key may use them."""
    caller: Caller = exchange.key
    if caller.routing is None:
        return None
    told: dict[str, tuple[str, ...]] = getattr(caller.routing, name)
    found = told.get(exchange.public_model, told.get("*"))
    return [each for each in found if caller.may_use(each)] if found is not None else None


def unavailable(exchange: Exchange) -> LimitExceeded:
    """The error when every deployment is cooling down, open, full or out of its rates: 429, as LiteLLM answers."""
    now = exchange.plan.services.now()
    waits = [route.target.health.open_until - now for route in exchange.group.routes]
    soonest = max(1.0, min(waits, default=1.0))
    return LimitExceeded(
        f"No deployments available for model '{exchange.public_model}': all are cooling down or at their limits. "
        f"Try again in {soonest:.0f} seconds.",
        code="no_deployments_available",
        retry_after=soonest,
    )


def _from_tiers(
    exchange: Exchange, group: LiveGroup, now: float, tick: int, tried: list[Target] | None
) -> Route | None:
    for tier in group.tiers:
        if not tried and len(tier) > 1:
            # Nearly always all can serve, and the first choice among all is as good as one among those that can.
            target = group.pick(tier, tick)
            if target.available(now) and target.reserve(exchange.reserved_tokens, tick, exchange):
                return group.by_target[id(target)]
        targets = [target for target in tier if target.available(now)]
        if tried:
            targets = [target for target in targets if target not in tried]
        while targets:
            target = group.pick(targets, tick) if len(targets) > 1 else targets[0]
            if target.reserve(exchange.reserved_tokens, tick, exchange):
                return group.by_target[id(target)]
            targets.remove(target)
    return None
