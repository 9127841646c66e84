"""Strategies at work in a worker: what they rank, what is made of their rankings, and what is told about it."""

from __future__ import annotations

import logging
import math
from base64 import b64encode
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from routeiq.core.decisions import Decision, Option, Timings
from routeiq.core.exchange import Exchange
from routeiq.core.money import NANO_PER_DOLLAR
from routeiq.core.routing import AutoModel, Wishes
from routeiq.observe import metrics
from routeiq.pipeline.candidates import Filters, in_region, of_group, of_route
from routeiq.pipeline.query import query_of
from routeiq.routing.costs import expected
from routeiq.routing.sessions import digest
from routeiq.routing.strategy import Candidate, Feedback, Player, Query, Ranking, State, Strategy
from routeiq.routing.target import Target

if TYPE_CHECKING:
    from routeiq.pipeline.plan import LiveGroup, Plan, Route
    from routeiq.pipeline.services import Services

log = logging.getLogger("routeiq.routing")

_REGIONS = 64
"""Narrowed groups remembered."""


class LiveAuto:
    """An auto model of one plan: its candidates with their groups, and the strategy that ranks them."""

    __slots__ = ("_narrowed", "_plan", "by_name", "candidates", "groups", "player", "spec", "strategy")

    def __init__(self, plan: Plan, spec: AutoModel, strategy: Strategy) -> None:
        self.spec = spec
        self.strategy = strategy
        self.player = strategy if isinstance(strategy, Player) else None
        self.groups: list[LiveGroup] = []
        self.candidates: list[Candidate] = []
        self._plan = plan
        self._narrowed: dict[tuple[str, str], LiveGroup] = {}
        for name in spec.models:
            group = plan.resolve(name)
            if group is not None:
                self.groups.append(group)
                self.candidates.append(of_group(plan, name, group))
        self.by_name = {candidate.name: candidate for candidate in self.candidates}

    def group(self, name: str, wishes: Wishes) -> LiveGroup | None:
        """What serves a candidate, less the deployments of other regions where its data has to stay in one."""
        group = self._plan.resolve(name)
        if group is None or not wishes.residency:
            return group
        found = self._narrowed.get((name, wishes.region))
        if found is None:
            routes = [route for route in group.routes if in_region(wishes.region, route.target.spec.traits.region)]
            if not routes:
                return None
            if len(self._narrowed) >= _REGIONS:
                self._narrowed.clear()
            found = self._narrowed[name, wishes.region] = group.of(routes)
        return found

    def learn(self, exchange: Exchange, *, failed: bool = False) -> None:
        """Tell the strategy what became of the model that was asked: its cost and how soon it answered, or that it
        failed.
        """
        candidate = self.by_name.get(exchange.public_model)
        if candidate is None or exchange.query is None:
            return
        cost, ttft = exchange.cost, exchange.first_byte
        feedback = Feedback(
            candidate=candidate,
            query=exchange.query,
            cost=cost / NANO_PER_DOLLAR if cost is not None and not failed else None,
            latency=ttft - exchange.started if ttft and not failed else None,
            failed=failed,
            at=self._plan.services.wall(),
        )
        try:
            self.strategy.update(feedback)
        except Exception:
            log.exception("the strategy %s could not learn", self.strategy.name)

    def wider(self, names: list[str], failed: str) -> None:
        """For a prompt too long for one model: drop those known to take no more, in place."""
        least = self.by_name[failed].context_window
        if least is not None:
            names[:] = [name for name in names if (self.by_name[name].context_window or math.inf) > least]


class Ranker:
    """Chooses among the deployments of a group by what is asked."""

    __slots__ = ("_candidates", "_strategy")

    def __init__(self, strategy: Strategy, routes: Sequence[Route]) -> None:
        self._strategy = strategy
        self._candidates = {id(route.target): of_route(route) for route in routes}

    def order(
        self, exchange: Exchange, group: LiveGroup, targets: Sequence[Target], *, keep: bool = True
    ) -> list[Target]:
        """These deployments, the best first; tells the decision where none was made for the request before."""
        began = perf_counter()
        services: Services = exchange.plan.services
        query = query_of(exchange, Wishes())
        candidates = [self._candidates[id(target)] for target in targets]
        ranking = rank(self._strategy, query, candidates, services)
        if exchange.decision is None:
            exchange.decision = decision = _decision(
                exchange, self._strategy, query, candidates, [""] * len(candidates), ranking, range(len(candidates))
            )
            decision.timings = Timings(total=_micros(began), strategy=_micros(began))
        if keep:
            candidates[ranking.order[0]].load.chosen += 1
        return [targets[place] for place in ranking.order]


def explain(exchange: Exchange) -> Decision:
    """How the model, or the deployment, of a request would be chosen now. Nothing is remembered of it."""
    if exchange.auto is not None:
        return consider(exchange, exchange.auto, keep=False).decision
    group: LiveGroup = exchange.group
    now = exchange.plan.services.now()
    targets = [route.target for route in group.routes]
    if group.ranker is not None:
        group.ranker.order(exchange, group, targets, keep=False)
    else:
        alone = len(targets) == 1
        exchange.decision = Decision(
            id="",
            model=exchange.model,
            strategy=group.spec.strategy,
            selected=targets[0].spec.id if alone else "",
            reason="the only deployment" if alone else "drawn anew for each request",
            candidates=[Option(model=target.spec.id, provider=target.spec.provider) for target in targets],
        )
    decision: Decision = exchange.decision
    for option, target in zip(decision.candidates, targets, strict=True):
        option.removed = "" if target.available(now) else "unavailable"
    return decision


class Considered(NamedTuple):
    """What was decided, and what it was decided by. Without candidates the decision tells why there are none."""

    decision: Decision
    candidates: list[Candidate]
    """Those that stayed."""
    ranking: Ranking
    """Of those."""

    @property
    def names(self) -> list[str]:
        """To be tried in turn."""
        return [self.candidates[place].name for place in self.ranking.order]


def consider(exchange: Exchange, auto: LiveAuto, *, keep: bool = True) -> Considered:
    """Filter and rank an auto model's candidates. `keep` remembers which model the conversation is with."""
    began = perf_counter()
    plan: Plan = exchange.plan
    services: Services = plan.services
    query = query_of(exchange, auto.spec.wishes)
    filters = Filters(plan, exchange.key, query, auto.spec.name, services.now(), services.wall())
    removed = [filters.reason(one, group) for one, group in zip(auto.candidates, auto.groups, strict=True)]
    _spare(removed)
    staying = [place for place, reason in enumerate(removed) if not reason]
    filtered = perf_counter()
    if not staying:
        nothing = Ranking(order=[])
        return Considered(_decision(exchange, auto.strategy, query, auto.candidates, removed, nothing, []), [], nothing)
    candidates = [auto.candidates[place] for place in staying]
    ranking = rank(auto.strategy, query, candidates, services)
    ranked = perf_counter()
    _prefer(ranking, candidates, query)
    sticky = _stick(auto, query, candidates, ranking, services, keep)
    decision = _decision(exchange, auto.strategy, query, auto.candidates, removed, ranking, staying)
    decision.sticky = sticky
    decision.timings = Timings(
        total=_micros(began),
        strategy=int((ranked - filtered) * 1e6),
        embedding=query.cache.get("embedding_micros", 0),
        filters=int((filtered - began) * 1e6),
    )
    return Considered(decision, candidates, ranking)


def rank(strategy: Strategy, query: Query, candidates: Sequence[Candidate], services: Services) -> Ranking:
    """The strategy's ranking; the order of the configuration where it fails, which must not fail the request."""
    try:
        ranking = strategy.rank(query, candidates, State(now=services.wall(), rng=services.rng))
        if _usable(ranking, len(candidates)):
            return ranking
        why = "gave no order"
    except Exception as error:
        log.exception("the strategy %s failed", strategy.name)
        why = f"failed: {type(error).__name__}"
    services.meters.count(metrics.ROUTING_FAILURES, strategy=strategy.name)
    return Ranking(
        order=list(range(len(candidates))), reason=f"{strategy.name} {why}; in the order of the configuration"
    )


def _usable(ranking: Ranking, count: int) -> bool:
    """Whether `count` candidates can be ordered by it, and it can be told. Raises for what is not of its types: a class
    of one's own may return anything.
    """
    order = ranking.order
    told = isinstance(ranking.reason, str) and isinstance(ranking.features, dict) and isinstance(ranking.memento, bytes)
    if not told or not math.isfinite(ranking.propensity) or math.isinf(ranking.confidence):
        return False
    msgspec.json.encode(ranking.features)
    for values in (ranking.scores, ranking.quality, ranking.cost):
        if values and len(values) != count:
            return False
        list(map(math.isfinite, values))
    return bool(order) and len(set(order)) == len(order) and all(0 <= place < count for place in order)


def _spare(removed: list[str]) -> None:
    """Where nothing could serve now, what is only unavailable stays: it is tried, and its error is the answer."""
    if all(removed):
        for place, reason in enumerate(removed):
            if reason == "unavailable":
                removed[place] = ""


def _prefer(ranking: Ranking, candidates: Sequence[Candidate], query: Query) -> None:
    """Put what goes against the request's wishes behind what does not."""
    wishes = query.wishes
    if wishes.max_cost is not None:
        costs = [_cost(ranking, candidates, place, query) for place in range(len(candidates))]
        if any(costs[place] <= wishes.max_cost for place in ranking.order):
            ranking.order.sort(key=lambda place: costs[place] > (wishes.max_cost or 0.0))
        else:
            ranking.order.sort(key=lambda place: costs[place])
            ranking.reason = "all cost more than max_cost: the cheapest first"
    if wishes.profile == "free":
        ranking.order.sort(key=lambda place: _cost(ranking, candidates, place, query))
        ranking.reason = "the profile free: the cheapest first"
    elif wishes.profile == "reasoning":
        ranking.order.sort(key=lambda place: not candidates[place].capabilities.get("reasoning", False))
    if wishes.latency is not None:
        most = wishes.latency
        ranking.order.sort(key=lambda place: (candidates[place].load.latency(0.5) or 0.0) > most)
    if wishes.region and not wishes.residency:
        ranking.order.sort(key=lambda place: not in_region(wishes.region, candidates[place].region))


def _cost(ranking: Ranking, candidates: Sequence[Candidate], place: int, query: Query) -> float:
    """US dollars, predicted or by its prices; without either it is the dearest."""
    predicted = ranking.cost[place] if ranking.cost else math.nan
    if not math.isnan(predicted):
        return predicted
    cost = expected(candidates[place], query)
    return math.inf if math.isnan(cost) else cost


def _stick(
    auto: LiveAuto, query: Query, candidates: Sequence[Candidate], ranking: Ranking, services: Services, keep: bool
) -> bool:
    """Put the conversation's model first, where it has one and that comes into question; note which it is."""
    seconds = auto.spec.session_ttl
    if not seconds or not query.conversation or auto.player is not None:
        return False
    now = services.wall()
    conversation = digest(f"{auto.spec.name}\0{query.conversation}")
    sticky = False
    if query.messages > 1:
        with_whom = services.sessions.find(conversation, now)
        for place in ranking.order:
            if digest(candidates[place].name) == with_whom:
                sticky = True
                ranking.order.remove(place)
                ranking.order.insert(0, place)
                ranking.propensity = 1.0
                ranking.reason = "the conversation is with it"
                break
    if keep:
        services.sessions.keep(conversation, digest(candidates[ranking.order[0]].name), now, seconds)
    return sticky


def _decision(
    exchange: Exchange,
    strategy: Strategy,
    query: Query,
    candidates: Sequence[Candidate],
    removed: Sequence[str],
    ranking: Ranking,
    ranked: Sequence[int],
) -> Decision:
    """`ranked` are the places in `candidates` of those the ranking is of."""
    options = [
        Option(model=candidate.name, provider=candidate.provider, removed=reason)
        for candidate, reason in zip(candidates, removed, strict=True)
    ]
    for place, at in enumerate(ranked):
        option = options[at]
        option.score = _known(ranking.scores, place)
        option.quality = _known(ranking.quality, place)
        option.cost = _known(ranking.cost, place)
    for number, place in enumerate(ranking.order, 1):
        options[ranked[place]].rank = number
    return Decision(
        id=exchange.call_id,
        model=exchange.model,
        strategy=strategy.name,
        version=getattr(strategy, "version", ""),
        selected=candidates[ranked[ranking.order[0]]].name if ranking.order else "",
        reason=ranking.reason,
        confidence=None if math.isnan(ranking.confidence) else ranking.confidence,
        propensity=ranking.propensity,
        candidates=options,
        features=ranking.features,
        query_length=len(query.prompt),
        tokens=query.tokens,
        user=query.user,
        memento=b64encode(ranking.memento).decode(),
    )


def _known(values: Sequence[float], place: int) -> float | None:
    if not values or not math.isfinite(values[place]):
        return None
    return float(values[place])


def _micros(began: float) -> int:
    return int((perf_counter() - began) * 1e6)
