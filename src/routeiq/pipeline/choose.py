"""Which model, where an auto model was asked for: the first of a ranking, the others as its fallbacks."""

from __future__ import annotations

from routeiq.core.decisions import Decision, for_its_key
from routeiq.core.errors import BadRequest, Forbidden, GatewayError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Snapshot
from routeiq.observe import metrics
from routeiq.pipeline.plan import Plan, Stage
from routeiq.pipeline.query import query_of
from routeiq.pipeline.ranking import LiveAuto, consider
from routeiq.providers.translate.registry import CHAT_CLIENTS, COUNT_CLIENTS

_LISTED = 20
"""Candidates an error lists."""


def stage(snapshot: Snapshot) -> Stage | None:
    """Only where there are auto models."""
    return choose if snapshot.auto_models else None


def choose(exchange: Exchange) -> bool:
    """Decide for a group, and for those that follow when it fails."""
    auto: LiveAuto | None = exchange.auto
    if auto is None:
        return False
    if exchange.endpoint not in CHAT_CLIENTS and exchange.endpoint not in COUNT_CLIENTS:
        raise BadRequest(
            f"The model '{exchange.model}' chooses among models that chat: it does not serve {exchange.endpoint} "
            "requests.",
            param="model",
            code="unsupported_endpoint",
        )
    considered = exchange.considered = consider(exchange, auto)
    decision, names = considered.decision, considered.names
    if not names:
        raise none_left(decision)
    plan: Plan = exchange.plan
    exchange.decision = decision
    wishes = query_of(exchange, auto.spec.wishes).wishes
    exchange.group = auto.group(names[0], wishes)
    exchange.public_model = names[0]
    exchange.pending_fallbacks = names[1:]
    auto.by_name[names[0]].load.chosen += 1
    plan.services.meters.count(metrics.ROUTED, auto_model=auto.spec.name, strategy=decision.strategy, model=names[0])
    return False


def none_left(decision: Decision) -> GatewayError:
    """The error when no candidate may serve a request: it tells why each may not."""
    allowed = for_its_key(decision).candidates
    why = ", ".join(f"{option.model} ({option.removed})" for option in allowed[:_LISTED])
    if not allowed:
        return Forbidden(
            f"This key may use no model that '{decision.model}' chooses from.",
            type="key_model_access_denied",
            code="model_access_denied",
            param="model",
        )
    return BadRequest(
        f"No model that '{decision.model}' chooses from can serve this request: {why}.",
        param="model",
        code="no_candidates",
    )
