"""The end of a request: usage, cost, reservations, metrics, and the Event before the last byte of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.exchange import Exchange
from routeiq.core.usage import Usage
from routeiq.ledger.event import Event
from routeiq.ledger.journal import JournalFull
from routeiq.observe import metrics
from routeiq.pipeline import answer
from routeiq.providers.dialects import openai

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.plan import Plan

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
    client = exchange.client
    client.respond(exchange, answer.whole_head(exchange, attempt, cost), body)
    return None


def settle(exchange: Exchange, status: int) -> int | None:
    """Account for the request, once. Returns its cost in nano-dollars, `None` when unpriced or nothing was used."""
    if exchange.settled:
        return None
    exchange.settled = True
    plan: Plan = exchange.plan
    services = plan.services
    now = services.loop.time()
    error = exchange.error
    usage = exchange.usage
    group = exchange.group
    route = exchange.route
    caller = exchange.key
    exchange.status = status
    if exchange.retrying:
        services.retrying -= 1
    cells = services.table.cells
    services.in_flight -= 1
    cells[services.meters.in_flight] -= 1
    duration = int((now - exchange.started) * 1e6)
    overhead = max(0, duration - int(exchange.upstream_seconds * 1e6))
    ttft = int((exchange.first_byte - exchange.started) * 1e6) if exchange.first_byte else 0
    cost: int | None = None
    meters = group.meters if group is not None else services.meters.group("")
    prompt = completion = 0
    if route is not None and usage is None and exchange.began:
        usage = Usage(len(exchange.body) // 4, exchange.attempt.relayed if exchange.attempt else 0, estimated=True)
    if route is not None and usage is not None:
        prompt, completion = usage.prompt, usage.completion
        prices = plan.prices(route.target.spec, exchange.upstream_model)
        if prices is not None:
            cost = prices.cost(prompt, completion, usage.cached, usage.written, usage.reasoning)
            cells[meters.cost] += cost
        else:
            cells[meters.unpriced] += 1
        cells[meters.prompt_tokens] += prompt
        cells[meters.completion_tokens] += completion
        if exchange.reserved_tokens:
            route.target.settle_tokens(exchange.reserved_tokens, prompt + completion, exchange.at // 5_000_000)
        route.target.health.tokens += prompt + completion
        meters.ttfb.observe(ttft)
    cells[meters.request(exchange.endpoint, status)] += 1
    meters.duration.observe(duration)
    services.meters.overhead(exchange.endpoint).observe(overhead)
    if error is not None:
        services.meters.count(metrics.ERRORS, model=meters.name, kind=error.kind)
    if caller is None:
        return cost
    wall = exchange.at / 1e6
    if caller.spend is not None and cost:
        caller.spend.add(cost, wall)
    reservation = exchange.reservation
    if reservation is not None:
        caller.settle(reservation, prompt + completion, cost or 0, wall)
    event = Event(
        id=exchange.call_id,
        at=exchange.at,
        request_id=exchange.request_id.decode("latin-1") if exchange.request_id else "",
        endpoint=exchange.endpoint,
        key=caller.key.id,
        key_name=caller.name,
        model=exchange.model,
        group=group.spec.name if group is not None else "",
        deployment=route.label if route is not None else "",
        provider=route.target.spec.provider if route is not None else "",
        upstream_model=exchange.upstream_model,
        strategy=group.spec.strategy if group is not None else "",
        status=status,
        error=error.kind if error is not None else "",
        stream=exchange.stream,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=cost,
        duration=duration,
        ttft=ttft,
        overhead=overhead,
        retries=exchange.retries,
        fallbacks=exchange.fallbacks,
        hedged=exchange.hedged,
        revision=plan.snapshot.revision,
        worker=services.worker,
    )
    if usage is not None:
        event.cached_tokens = usage.cached
        event.reasoning_tokens = usage.reasoning
        event.estimated = usage.estimated
    peek = exchange.peek
    if peek is not None and peek.user:
        event.user = peek.user
    if caller.key.tags:
        event.tags = caller.key.tags
    try:
        services.journal.append(event)
    except JournalFull:
        cells[services.meters.journal_dropped] += 1
    return cost


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
    settle(exchange, CLIENT_CLOSED)
    attempt = exchange.attempt
    if attempt is not None:
        attempt.drop()
        exchange.attempt = None


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
