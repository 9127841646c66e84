"""The journey of a request, on one page.

    authenticate → read → attribute → choose → recall → use tools → play → account → admit → count → note → decide
    → call → relay → settle

All but the last two are functions of the Exchange, run one after the other; each returns False to go on, or True
when it has taken the exchange away (a key is being looked up, a provider is being asked). What comes back from the
provider drives the last two. A stage that the configuration does not need is not in a plan's tuple at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Snapshot
from routeiq.pipeline import (
    admit,
    attribute,
    authenticate,
    call,
    choose,
    conversation,
    decide,
    noting,
    play,
    read,
    tool_loop,
)
from routeiq.pipeline.plan import Plan, Stage
from routeiq.pipeline.services import Services
from routeiq.pipeline.settle import refuse
from routeiq.pipeline.waiting import failure


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the journey. `choose` picks the function for a Snapshot, or `None` when the step is not needed."""

    name: str
    does: str
    choose: Callable[[Snapshot], Stage | None] | None = None


def _always(stage: Stage) -> Callable[[Snapshot], Stage]:
    return lambda _: stage


JOURNEY: tuple[Step, ...] = (
    Step("authenticate", "who calls: master key, static key, or a key the control plane knows", authenticate.choose),
    Step(
        "read",
        "what is asked: model, stream, limits of size and type; which group serves it",
        _always(read.read),
    ),
    Step("attribute", "whom it is for: end user, tags, run of an agent", _always(attribute.attribute)),
    Step("choose", "which model, where an auto model is asked for: filters, then a strategy", choose.stage),
    Step("recall", "what a response goes on from, and who keeps it", _always(conversation.begin)),
    Step(
        "use tools",
        "models that ask for MCP tools are asked again with what those give, each time a request",
        tool_loop.stage,
    ),
    Step("play", "strategies that ask models themselves answer here; each question is a request", play.stage),
    Step("account", "whom else it counts for: gateway, tags, customer, run, policies of usage", attribute.accounting),
    Step(
        "admit",
        "may it now: model list, requests, tokens, parallel calls, budget; reserved before the call",
        _always(admit.admit),
    ),
    Step("count", "the policies of usage it counts for, where there are any", admit.choose_noting),
    Step("note", "what is said, for the ledger, where that is switched on", noting.choose),
    Step("decide", "which deployment: healthy, within its limits, by the group's strategy", _always(decide.decide)),
    Step("call", "ask the provider; retry, fall back, hedge", call.choose),
    Step("relay", "the answer as it comes: body, or events one by one with back-pressure"),
    Step("settle", "usage, cost, reservations, metrics, and the Event in the Journal before the last byte"),
)


def assemble(snapshot: Snapshot) -> tuple[Stage, ...]:
    """The stages this configuration needs, in order."""
    chosen = (step.choose(snapshot) for step in JOURNEY if step.choose is not None)
    return tuple(stage for stage in chosen if stage is not None)


def compile_plan(snapshot: Snapshot, services: Services) -> Plan:
    """The plan workers serve by. Raises `KeyError` or `ValueError` for a Snapshot that can't be served."""
    plan = Plan(snapshot, services, assemble(snapshot), run)
    take(snapshot, services)
    services.library.prepare(snapshot.deployments)
    return plan


def take(snapshot: Snapshot, services: Services) -> None:
    """Give the services what a new Snapshot says of keys, limits and connections."""
    services.keys.adopt(snapshot.auth, snapshot.access_groups)
    services.runs.adopt(snapshot.runs)
    services.policies.adopt(snapshot.policies)
    services.share(snapshot.shared, snapshot.timeouts.total)
    services.journal.limits = snapshot.journal
    limits = services.pool.limits
    limits.connect_seconds = snapshot.timeouts.connect
    limits.per_host = snapshot.limits.pool_per_host
    limits.idle_seconds = snapshot.limits.pool_idle_seconds
    services.pool.resolver.ttl = snapshot.limits.dns_ttl


def run(exchange: Exchange) -> None:
    """Take the exchange on from the stage it has reached."""
    stages = exchange.plan.stages
    try:
        for stage in stages[exchange.stage :] if exchange.stage else stages:
            exchange.stage += 1
            if stage(exchange):
                return
    except Exception as error:
        refuse(exchange, failure(exchange, error))
