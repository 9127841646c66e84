"""What is asked: the few fields the gateway needs, read without a copy of the rest."""

from __future__ import annotations

from msgspec import UNSET

from routeiq.core.errors import BadRequest, UnknownModel
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import COHERE_EMBED, COUNT_TOKENS, EMBEDDING, RERANK
from routeiq.governance.keys import Caller
from routeiq.pipeline.plan import Plan
from routeiq.providers.dialects import openai
from routeiq.providers.dialects.faces import FACES

_WHOLE = (EMBEDDING, COUNT_TOKENS, COHERE_EMBED, RERANK)
"""Endpoints whose answers are never streamed."""
_LISTED = 20
"""Model names an error lists."""


def read(exchange: Exchange) -> bool:
    """Decode model, stream and sizes; find the group, or the auto model that will choose one."""
    exchange.face = face = FACES[exchange.endpoint]
    exchange.peek = request = face.peek(exchange.body)
    model = exchange.path_model or openai.model_name(request)
    if not model:
        raise BadRequest("you must provide a model parameter", param="model", code="missing_required_parameter")
    caller: Caller = exchange.key
    if caller.aliases:
        model = caller.aliases.get(model, model)
    exchange.model = exchange.public_model = model
    if request.stream and exchange.endpoint not in _WHOLE:
        exchange.stream = True  # unless the path has said so
    if exchange.stream and request.stream_options is not UNSET:
        openai.wants_usage(request)  # malformed options are refused before anything is reserved
    plan: Plan = exchange.plan
    team_models = plan.team_models
    exchange.group = team_models.get((caller.key.team_id, model)) if team_models else None
    if exchange.group is None:
        exchange.group = plan.resolve(model)
    if exchange.group is None:
        exchange.auto = plan.auto(model)
        if exchange.auto is None:
            raise unknown_model(exchange)
    return False


def unknown_model(exchange: Exchange) -> UnknownModel:
    """The error for a name nothing serves, with the names this key may use."""
    plan: Plan = exchange.plan
    names = [name for name in plan.listed() if plan.usable(exchange.key, name)]
    shown = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    hint = f" Models this key may use: {shown}." if names else " This key may use no model."
    return UnknownModel(f"The model '{exchange.model[:200]}' does not exist.{hint}", param="model")
