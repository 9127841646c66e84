"""The end of a request: usage, cost, reservations, metrics, and the Event before the last byte of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.exchange import Exchange
from routeiq.core.usage import Usage
from routeiq.governance.windows import BUCKET_SECONDS
from routeiq.ledger.event import Event
from routeiq.ledger.journal import JournalFull
from routeiq.observe import metrics
from routeiq.pipeline import answer
from routeiq.providers.dialects import openai

if TYPE_CHECKING:
    from routeiq.governance.keys import Caller
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.plan import LiveGroup, Plan, Route

BUCKET = BUCKET_SECONDS * 1_000_000
CLIENT_CLOSED = 499
"""nginx's status for a client that went away before its answer was complete."""


def whole_answer(attempt: Attempt, body: bytes) -> str | None:
    """Settle and send an answer that is not streamed; what is wrong with it, when it can't be one."""
    try:
        read = openai.decode_answer(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "an answer that is not a JSON object" if body else "an empty answer"
    exchange = attempt.exchange
    attempt.succeeded()
    if read.usage is not None:
        exchange.usage = read.usage.usage()
    model = read.model
    if model is not None and model != exchange.public_model:
        body = _with_public_model(body, model, exchange.public_model)
    cost = settle(exchange, 200)
    head = answer.whole_head(exchange, attempt.route, cost, attempt.provider_headers())
    exchange.client.respond(exchange, head, body)
    return None


def settle(exchange: Exchange, status: int) -> int | None:
    """Account for the request, once. Returns its cost in nano-dollars, `None` when unpriced or nothing was used."""
    if exchange.settled:
        return None
    exchange.settled = True
    plan: Plan = exchange.plan
    services = plan.services
    group: LiveGroup | None = exchange.group
    route: Route | None = exchange.route
    attempt, exchange.attempt = exchange.attempt, None
    exchange.status = status
    exchange.settled_at = now = services.now()
    started = exchange.started
    duration = int((now - started) * 1e6)
    overhead = duration - int(exchange.upstream_seconds * 1e6)
    ttft = int((exchange.first_byte - started) * 1e6) if exchange.first_byte else 0

    services.in_flight -= 1
    if exchange.retrying:
        services.retrying -= 1
    all_meters = services.meters
    cells = all_meters.cells
    cells[all_meters.in_flight] -= 1
    meters = group.meters if group is not None else all_meters.group("")
    cells[meters.request(exchange.endpoint, status)] += 1
    meters.duration.observe(duration)
    all_meters.overhead(exchange.endpoint).observe(overhead)
    if exchange.error is not None:
        all_meters.count(metrics.ERRORS, model=meters.name, kind=exchange.error.kind)

    usage = exchange.usage
    if usage is None and exchange.began and attempt is not None:
        usage = exchange.usage = Usage(len(exchange.body) // 4, attempt.relayed, estimated=True)
    cost: int | None = None
    tokens = 0
    if usage is not None and route is not None:
        prompt, completion = usage.prompt, usage.completion
        tokens = prompt + completion
        target = route.target
        prices = plan.prices(target.spec, exchange.upstream_model) if route.wildcard else target.spec.prices
        if prices is not None:
            cost = prices.cost(prompt, completion, usage.cached, usage.written, usage.reasoning)
            cells[meters.cost] += cost
        else:
            cells[meters.unpriced] += 1
        cells[meters.prompt_tokens] += prompt
        cells[meters.completion_tokens] += completion
        if target.tpm is not None:
            at = exchange.at
            target.settle_tokens(exchange.reserved_tokens, tokens, at // BUCKET, (at + duration) // BUCKET)
        target.health.tokens += tokens
        meters.ttfb.observe(ttft)
    caller: Caller | None = exchange.key
    if caller is None:
        return cost
    if cost and caller.spend is not None:
        caller.spend.add(cost, exchange.at / 1e6)
    if exchange.reservation is not None:
        then = exchange.at / 1e6
        caller.settle(exchange.reservation, tokens, cost or 0, then, then + (now - started))
    event = _event(exchange, cost, duration, ttft, overhead)
    try:
        services.journal.append(event)
    except JournalFull:
        cells[all_meters.journal_dropped] += 1
    return cost


def _event(exchange: Exchange, cost: int | None, duration: int, ttft: int, overhead: int) -> Event:
    caller: Caller = exchange.key
    route: Route | None = exchange.route
    event = Event(
        id=exchange.call_id,
        at=exchange.at,
        endpoint=exchange.endpoint,
        key=caller.key.id,
        key_name=caller.name,
        model=exchange.model,
        status=exchange.status,
        stream=exchange.stream,
        cost=cost,
        duration=duration,
        ttft=ttft,
        overhead=overhead,
        retries=exchange.retries,
        fallbacks=exchange.fallbacks,
        hedged=exchange.hedged,
        tags=caller.key.tags,
        revision=exchange.plan.snapshot.revision,
        worker=exchange.plan.services.worker,
    )
    if exchange.group is not None:
        spec = exchange.group.spec
        event.group = spec.name
        event.strategy = spec.strategy
    if route is not None:
        event.deployment = route.label
        event.provider = route.target.spec.provider
        event.upstream_model = exchange.upstream_model
    usage = exchange.usage
    if usage is not None:
        event.prompt_tokens = usage.prompt
        event.completion_tokens = usage.completion
        event.cached_tokens = usage.cached
        event.reasoning_tokens = usage.reasoning
        event.estimated = usage.estimated
    if exchange.error is not None:
        event.error = exchange.error.kind
    if exchange.request_id:
        event.request_id = exchange.request_id.decode("latin-1")
    if exchange.peek is not None and exchange.peek.user:
        event.user = exchange.peek.user
    return event


def refuse(exchange: Exchange, error: GatewayError) -> None:
    """Settle with an error and tell the client."""
    if exchange.settled:
        return
    exchange.error = error
    if exchange.key is None or exchange.group is None:
        exchange.plan.services.meters.count(metrics.REFUSED, kind=error.kind)
    settle(exchange, error.status)
    exchange.client.respond(exchange, answer.error_head(exchange, error), error.body())


def abandon(exchange: Exchange) -> None:
    """The client went away: cancel the provider's work and account for what was used."""
    if exchange.settled:
        return
    attempt = exchange.attempt
    settle(exchange, CLIENT_CLOSED)
    if attempt is not None:
        attempt.drop()


def check_room(plan: Plan) -> None:
    """Raise `Overloaded` when the worker or its journal can't take another request."""
    services = plan.services
    limits = plan.snapshot.limits
    if services.in_flight >= limits.max_in_flight:
        raise Overloaded(f"The gateway has {limits.max_in_flight} requests in flight.", retry_after=1.0)
    journal = services.journal
    if journal.full and journal.limits.on_full == "reject":
        raise Overloaded(
            "The journal is full, and requests can't be accounted for.", code="journal_full", retry_after=5.0
        )


def _with_public_model(body: bytes, model: str, public: str) -> bytes:
    """Show the name the client asked for, as LiteLLM does: the first member spelled so, whatever its white space."""
    old, new = msgspec.json.encode(model), msgspec.json.encode(public)
    for colon in (b":", b": "):
        before = b'"model"' + colon + old
        if before in body:
            return body.replace(before, b'"model"' + colon + new, 1)
    return body
