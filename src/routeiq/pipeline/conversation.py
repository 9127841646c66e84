"""What comes before a request of Responses: the conversation it goes on from, and who keeps its answer.

    read ──► begin ─┬─ nothing to wait for ───────────────────────► admit …
                    └─ ask the control plane ─┬─ kept here ──► its items before the request's own ──► admit …
                                              └─ kept by a provider ──► only deployments of that account ──► admit …

https://platform.openai.com/docs/guides/conversation-state
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.responses import UNDER_WAY
from routeiq.core.snapshot import RESPONSES
from routeiq.pipeline import background, mcp_request
from routeiq.pipeline.keeping import Keeping
from routeiq.pipeline.plan import LiveGroup, Plan, Route
from routeiq.pipeline.ranking import LiveAuto
from routeiq.pipeline.services import ResponseStore, Services
from routeiq.pipeline.waiting import wait
from routeiq.providers.dialects.responses import ResponsesRequest, decode_recalled
from routeiq.providers.translate.chat import Thread
from routeiq.providers.translate.responses.answer import PREFIX
from routeiq.providers.translate.responses.kept import INPUT, REFERENCE, references, resolved, with_items

_NEVER = ("not_allowed", "not_asked_for", "excluded")
"""Why a candidate may not even go on with what it began; where it only should not be chosen, it may."""


def begin(exchange: Exchange) -> bool:
    """Find out what the request goes on from; True while the control plane is asked."""
    if exchange.endpoint != RESPONSES:
        return False
    request: ResponsesRequest = exchange.peek
    services: Services = exchange.plan.services
    store = services.responses
    thread = exchange.thread = Thread(
        id=PREFIX + os.urandom(24).hex(),
        previous=request.previous_response_id or "",
        stored=store is not None and request.store is not False,
        background=bool(request.background),
    )
    if store is None:
        if thread.previous or thread.background:
            _leave_to_provider(exchange, thread)
        return False
    if thread.previous or thread.background or REFERENCE in exchange.body:
        services.start(wait(exchange, _recall(exchange, store)))
        return True
    if thread.stored:
        exchange.client = Keeping(exchange.client, store, exchange.body)
    return False


def _leave_to_provider(exchange: Exchange, thread: Thread) -> None:
    """Without a store only a provider that has one can serve this."""
    if not narrow(exchange, _is_native):
        param = "previous_response_id" if thread.previous else "background"
        raise BadRequest(
            f"'{param}' needs responses to be kept, which this model's provider does not do, and the library has no "
            "store: send the whole conversation as input, or use a gateway.",
            param=param,
            code="unsupported_parameter",
        )


async def _recall(exchange: Exchange, store: ResponseStore) -> bool:
    """Get what has to be known; False where the exchange goes on in the background."""
    body, thread = exchange.body, exchange.thread
    if thread.previous:
        await _go_on(exchange, store, thread.previous)
    if REFERENCE in body:
        await _resolve(exchange, store)
    if exchange.settled:
        return False
    plays = exchange.auto is not None and exchange.auto.player is not None
    tools = exchange.plan.snapshot.mcp is not None and bool(mcp_request.wanted(exchange))
    if thread.background and (plays or tools or not narrow(exchange, _is_native)):
        await background.run(exchange, store, body)
        return False
    if thread.stored:
        exchange.client = Keeping(exchange.client, store, body)
    return True


async def _go_on(exchange: Exchange, store: ResponseStore, previous: str) -> None:
    found = await store.conversation(exchange.key.key.id, previous)
    if found is None:
        raise not_found(previous)
    if found.deployment:
        _pin(exchange, found.deployment, previous)
        return
    if found.status in UNDER_WAY:
        raise BadRequest(
            f"The response '{previous}' is not complete yet: its status is {found.status}.",
            param="previous_response_id",
            code="previous_response_not_complete",
        )
    _put_body(exchange, with_items(exchange.body, found.items))


def not_found(previous: str) -> BadRequest:
    """OpenAI's words for an id that is not there, or another key's."""
    return BadRequest(
        f"Previous response with id '{previous[:200]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


async def _resolve(exchange: Exchange, store: ResponseStore) -> None:
    """Put the items that are referred to in the place of the references."""
    places = references(exchange.body)
    responses = {ident for ident, _ in places.values()}
    known: dict[str, Raw] = {}
    for response in responses:
        kept = await store.find(exchange.key.key.id, response)
        if kept is None or kept.deployment:
            continue
        output = msgspec.json.decode(kept.response, type=dict[str, Raw]).get("output", Raw(b"[]"))
        asked, answered = (msgspec.json.decode(part, type=list[Raw]) for part in (kept.input, output))
        for item, (ident, number) in places.items():
            items, at = (asked, number - INPUT) if number >= INPUT else (answered, number)
            if ident == response and at < len(items):
                known[item] = items[at]
    if known:
        _put_body(exchange, resolved(exchange.body, known))


def _put_body(exchange: Exchange, body: bytes) -> None:
    exchange.body = body
    exchange.peek = decode_recalled(body)
    exchange.asked = None


def _pin(exchange: Exchange, deployment: str, previous: str) -> None:
    plan: Plan = exchange.plan
    home = plan.find(deployment)
    if home is None:
        raise BadRequest(
            f"The response '{previous}' is kept by the deployment '{deployment}', which is not configured any more.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if exchange.auto is not None:
        _go_home(exchange, home)
    if not narrow(exchange, lambda route: _shares_account(route, home)):
        raise BadRequest(
            f"The response '{previous}' is kept by the provider of '{home.target.spec.group}', and the model "
            f"'{exchange.model}' is not served with the same account there.",
            param="previous_response_id",
            code="previous_response_elsewhere",
        )


def _go_home(exchange: Exchange, home: Route) -> None:
    """Let an auto model go on where it was, as far as it may choose that for this request."""
    auto: LiveAuto = exchange.auto
    for candidate, option in zip(auto.candidates, exchange.decision.candidates, strict=True):
        group = auto.group(candidate.name, exchange.query.wishes)
        if option.removed not in _NEVER and group is not None and home in group.routes:
            exchange.group = group
            exchange.public_model = exchange.decision.selected = candidate.name
            return


def _shares_account(route: Route, home: Route) -> bool:
    """Whether one has what was left with the other: the same place, asked in the same words with the same key."""
    if not _is_native(route):
        return False
    if route.label == home.label:
        return True
    one, other = route.target.spec, home.target.spec
    same = one.heads[RESPONSES] == other.heads.get(RESPONSES) and one.signing == other.signing
    return same and (one.host, one.port) == (other.host, other.port)


def _is_native(route: Route) -> bool:
    return RESPONSES in route.operations


def narrow(exchange: Exchange, serves: Callable[[Route], bool]) -> bool:
    """Leave only some of the group's deployments, and no fallbacks; False, and nothing changed, for none."""
    group: LiveGroup = exchange.group
    routes = [route for route in group.routes if serves(route)]
    if not routes:
        return False
    spec = msgspec.structs.replace(group.spec, fallbacks=(), context_window_fallbacks=(), content_policy_fallbacks=())
    exchange.group = group.of(routes, spec)
    if exchange.auto is not None:
        exchange.pending_fallbacks = []
    return True
