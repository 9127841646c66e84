"""The models to choose from: those of an auto model, or the deployments of one group, and which of them come into
question for a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from routeiq.core.decisions import NOT_ALLOWED
from routeiq.core.routing import Traits, Wishes
from routeiq.governance.keys import Caller
from routeiq.routing.strategy import Candidate, Query
from routeiq.routing.target import Target

if TYPE_CHECKING:
    from routeiq.pipeline.plan import LiveGroup, Plan, Route


class GroupLoad:
    """`routing.strategy.Load` of several deployments together."""

    __slots__ = ("_targets", "chosen")

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self.chosen = 0

    @property
    def in_flight(self) -> int:
        return sum(target.health.in_flight for target in self._targets)

    @property
    def tokens(self) -> int:
        return sum(target.health.tokens for target in self._targets)

    @property
    def kv_cache(self) -> float | None:
        """Of the engine with the most room."""
        known = [target.health.kv_cache for target in self._targets if target.health.kv_cache is not None]
        return min(known, default=None)

    @property
    def waiting(self) -> float | None:
        known = [target.health.waiting for target in self._targets if target.health.waiting is not None]
        return min(known, default=None)

    def latency(self, quantile: float) -> float | None:
        seen = sorted(value for target in self._targets for value in target.health.ttfb)
        return seen[min(len(seen) - 1, int(len(seen) * quantile))] if seen else None


def of_group(plan: Plan, name: str, group: LiveGroup) -> Candidate:
    """A public name as a candidate."""
    routes = group.routes
    known: dict[str, None] = {}
    prices = None
    for route in routes:
        spec = route.target.spec
        model = plan.upstream_model(route, name)[0]
        known.update(dict.fromkeys((model, f"{spec.provider}/{model}", spec.litellm_model)))
        prices = prices or plan.prices(spec, model)
    traits = [route.target.spec.traits for route in routes]
    return Candidate(
        name=name,
        known_as=tuple(known),
        provider=routes[0].target.spec.provider,
        prices=prices,
        context_window=max((one.context_window for one in traits if one.context_window is not None), default=None),
        size=next((one.size for one in traits if one.size is not None), None),
        capabilities=_together(traits),
        region=next((one.region for one in traits if one.region), ""),
        load=GroupLoad([route.target for route in routes]),
    )


def of_route(route: Route) -> Candidate:
    """One deployment as a candidate."""
    spec = route.target.spec
    return Candidate(
        name=spec.id,
        known_as=(spec.model, f"{spec.provider}/{spec.model}", spec.litellm_model),
        provider=spec.provider,
        prices=spec.prices,
        context_window=spec.traits.context_window,
        size=spec.traits.size,
        capabilities=spec.traits.capabilities,
        region=spec.traits.region,
        load=GroupLoad([route.target]),
    )


def _together(traits: Iterable[Traits]) -> dict[str, bool]:
    """What at least one can do; what none can that says something about it."""
    found: dict[str, bool] = {}
    for one in traits:
        for name, able in one.capabilities.items():
            found[name] = found.get(name, False) or able
    return found


def in_region(region: str, where: str) -> bool:
    """Whether a deployment's region is the one asked for, or in it: `eu` has `eu-central-1`."""
    one, other = region.lower(), where.lower()
    return one == other or other.startswith((one + "-", one + "_"))


class Filters:
    """Why candidates are left out of one request."""

    def __init__(self, plan: Plan, caller: Caller, query: Query, auto: str, now: float, wall: float) -> None:
        self._plan = plan
        self._caller = caller
        self._query = query
        self._auto = auto
        self._now = now
        self._wall = wall
        self._wishes: Wishes = query.wishes

    def reason(self, candidate: Candidate, group: LiveGroup) -> str:
        """`core.decisions.Option.removed`; empty where it stays."""
        query, wishes = self._query, self._wishes
        name = candidate.name
        if not self._caller.may_use_through(name, self._auto):
            return NOT_ALLOWED
        if wishes.models and not _named(candidate, wishes.models):
            return "not_asked_for"
        if wishes.excluded and _named(candidate, wishes.excluded):
            return "excluded"
        for need in query.needs:
            if candidate.capabilities.get(need) is False:
                return f"capability:{need}"
        window = candidate.context_window
        if window is not None and query.tokens + (query.max_output or 0) > window:
            return "context_window"
        if wishes.residency and not any(
            in_region(wishes.region, route.target.spec.traits.region) for route in group.routes
        ):
            return "region"
        if not any(route.target.available(self._now) for route in group.routes):
            return "unavailable"
        if self._caller.priced and not self._affordable(candidate):
            return "budget"
        return ""

    def _affordable(self, candidate: Candidate) -> bool:
        """Whether the budgets of the key's owners have room for the prompt and the answer asked for."""
        query = self._query
        if candidate.prices is None:
            return not self._plan.snapshot.drop_unpriced
        cost = candidate.prices.estimate(query.tokens, query.max_output or 0)
        for account in self._caller.accounts_for(candidate.name):
            for spent in account.budgets:
                if spent.meter.spent(self._wall) + cost > spent.most(self._wall):
                    return False
        return True


def _named(candidate: Candidate, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in candidate.names())
