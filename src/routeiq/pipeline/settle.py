"""The end of a request: usage, cost, reservations, metrics, and the Event before the last byte of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.core import decisions
from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import COUNT_TOKENS, GENERATE_COUNT, RESPONSES
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.governance.windows import BUCKET_SECONDS
from routeiq.ledger.event import Event, LineTemplate, note_usage
from routeiq.ledger.journal import JournalFull
from routeiq.observe import metrics
from routeiq.pipeline import answer
from routeiq.providers.dialects.faces import FACES
from routeiq.providers.dialects.splice import show_model

if TYPE_CHECKING:
    from routeiq.governance.keys import Caller
    from routeiq.governance.reserving import Reservation
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.plan import LiveGroup, Plan, Route

BUCKET = BUCKET_SECONDS * 1_000_000
TEMPLATES = 1000
"""Line templates kept per deployment."""
CLIENT_CLOSED = 499
"""nginx's status for a client that went away before its answer was complete."""
BYTES_PER_TOKEN = 4
"""Of the estimate of what no provider counted: about English text."""
_SAID = ("content", "text", "reasoning", "reasoning_content", "thinking", "refusal", "arguments")
"""Members of an answer that hold what the model wrote, whatever the dialect."""
_UNCOUNTED = (COUNT_TOKENS, GENERATE_COUNT)
"""Endpoints whose answers tell no usage because there is none."""


def whole_answer(attempt: Attempt, body: bytes) -> str | None:
    """Settle and send an answer that is not streamed; what is wrong with it, when it can't be one.

    Raises `UpstreamError` for an answer that tells of an error.
    """
    exchange = attempt.exchange
    translation = attempt.translation
    told = body
    try:
        if translation is not None:
            body, usage = translation.answer(body)
            model = None
        else:
            model, usage = exchange.face.read_answer(body)
            if not body.isascii():
                body.decode()  # a client could not read what is not UTF-8
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if translation is not None and isinstance(error, msgspec.ValidationError):
            return f"an answer that can't be read: {error}"
        return "an answer that is not a JSON object" if body else "an empty answer"
    now = attempt.succeeded()
    if usage is not None:
        exchange.usage = usage
    elif exchange.endpoint not in _UNCOUNTED and (exchange.endpoint != RESPONSES or translation is not None):
        # A response passed on without usage is not complete: it failed, or waits in the provider's queue.
        written = _said(msgspec.json.decode(told)) // BYTES_PER_TOKEN
        exchange.usage = Usage(len(exchange.body) // BYTES_PER_TOKEN, written, estimated=True)
    if model is not None and model != exchange.public_model:
        body = show_model(body, model, msgspec.json.encode(exchange.public_model))
    if exchange.note is not None:
        exchange.note.add(body)
    settle(exchange, 200, now)
    exchange.client.respond(exchange, answer.whole_head(exchange, attempt.route, attempt.provider_headers()), body)
    return None


def _said(found: Any) -> int:
    """Characters of what the model wrote in a decoded answer."""
    if isinstance(found, list):
        return sum(map(_said, found))
    if not isinstance(found, dict):
        return 0
    return sum(
        len(value) if isinstance(value, str) and name in _SAID else _said(value) for name, value in found.items()
    )


def settle(exchange: Exchange, status: int, now: float) -> None:
    """Account for the request, once: what it used and cost is on the exchange afterwards. `now` is monotonic."""
    if exchange.settled:
        return
    exchange.settled = True
    plan: Plan = exchange.plan
    services = plan.services
    attempt, exchange.attempt = exchange.attempt, None
    exchange.status = status
    exchange.settled_at = now
    started = exchange.started
    duration = int((now - started) * 1e6)
    overhead = duration - int(exchange.upstream_seconds * 1e6)
    ttft = int((exchange.first_byte - started) * 1e6) if exchange.first_byte else 0

    services.in_flight -= 1
    if exchange.retrying:
        services.retrying -= 1
    endpoint = exchange.endpoint
    error = exchange.error
    meters = services.meters
    pending = meters.pending
    group: LiveGroup | None = exchange.group
    of_group = group.meters if group is not None else meters.group("")
    pending[of_group.request(endpoint, status)] += 1
    of_group.duration.observe(pending, duration)
    meters.overhead(endpoint).observe(pending, overhead)
    if error is not None:
        meters.count(metrics.ERRORS, model=of_group.name, kind=error.kind)

    route: Route | None = exchange.route
    usage = exchange.usage
    if exchange.began and attempt is not None:
        if usage is None:
            usage = exchange.usage = Usage(len(exchange.body) // BYTES_PER_TOKEN, attempt.relayed, estimated=True)
        elif usage.estimated:
            # What a stream said before it was cut: some tell the prompt from the start, Vertex AI nothing.
            usage.prompt = usage.prompt or len(exchange.body) // BYTES_PER_TOKEN
            usage.completion = max(usage.completion, attempt.relayed)
    cost: int | None = None
    tokens = 0
    rare = False
    if usage is not None and route is not None:
        rare = usage.rare
        if (
            rare
            or usage.written
            or usage.cached > usage.prompt
            or usage.reasoning > usage.completion
            or usage.prompt > MOST_TOKENS
            or usage.completion > MOST_TOKENS
        ):
            usage.bound()
        tokens = usage.prompt + usage.completion
        target = route.target
        prices = plan.prices(target.spec, exchange.upstream_model) if route.wildcard else target.spec.prices
        if prices is not None:
            if prices.timed and not usage.seconds:
                usage.seconds = exchange.upstream_seconds
                rare = True
            cost = exchange.cost = prices.cost(usage)
            pending[of_group.cost] += cost
        else:
            pending[of_group.unpriced] += 1
        if exchange.continuation is not None:
            # What the deployments before used of this one answer.
            usage.prompt += exchange.carried_prompt
            usage.completion += exchange.carried_completion
            tokens = usage.prompt + usage.completion
            if cost is not None:
                cost = exchange.cost = cost + exchange.carried_cost
        if target.purses:
            _pay(exchange, attempt, route, cost or 0)
        pending[of_group.prompt_tokens] += usage.prompt
        pending[of_group.completion_tokens] += usage.completion
        of_group.ttfb.observe(pending, ttft)
        target.health.tokens += tokens
        if target.tpm is not None:
            at = exchange.at
            target.settle_tokens(exchange.reserved_tokens, tokens, at // BUCKET, (at + duration) // BUCKET)
    if exchange.held is not None:
        exchange.held.settle(0)  # the attempt it was for was not made
        exchange.held = None
    if exchange.auto is not None and usage is not None and route is not None:
        exchange.auto.learn(exchange)
    caller: Caller | None = exchange.key
    if caller is None:
        return
    then = exchange.at / 1e6
    if caller.spend is not None:
        exchange.key_spend = caller.spend.add(cost or 0, then)
    if exchange.reservation is not None:
        reservation: Reservation = exchange.reservation
        reservation.settle(tokens, cost or 0, then, then + (now - started))
        if reservation.ticket and services.strict is not None:
            services.start(services.strict.settle(reservation, tokens, cost or 0, then))
    try:
        if usage is not None and route is not None and not rare and _is_plain(exchange):
            line = _template(exchange, caller, route).line(
                exchange.call_id,
                exchange.at,
                exchange.peek.model,
                exchange.stream,
                usage,
                cost,
                duration,
                ttft,
                overhead,
            )
            services.journal.append_line(line)
        else:
            services.journal.append(_event(exchange, duration, ttft, overhead))
    except JournalFull:
        pending[meters.journal_dropped] += 1


def _pay(exchange: Exchange, attempt: Attempt | None, route: Route, cost: int) -> None:
    """From the budgets of the deployment and its provider: what the attempt has taken, or without that at once."""
    held = attempt.held if attempt is not None else None
    if attempt is not None and held is not None:
        attempt.held = None
        held.settle(cost)
    elif cost:
        route.target.spend(cost, exchange.at / 1e6)


def _is_plain(exchange: Exchange) -> bool:
    """Whether nothing happened on the way that a line of the template would not tell."""
    return not (
        exchange.error is not None
        or exchange.status != 200
        or exchange.retries
        or exchange.fallbacks
        or exchange.hedged
        or exchange.request_id
        or exchange.path_model is not None
        or exchange.end_user
        or exchange.run_id
        or exchange.request_tags
        or exchange.note is not None
        or exchange.decision is not None
        or exchange.route.wildcard
    )


def _template(exchange: Exchange, caller: Caller, route: Route) -> LineTemplate:
    """The template for this caller, deployment and endpoint, made when new."""
    key = (caller, exchange.endpoint)  # not its digest: a key may move to another team
    template = route.lines.get(key)
    if template is None:
        constant = _event(exchange, 0, 0, 0)
        constant.id = constant.model = ""
        constant.at = constant.prompt_tokens = constant.completion_tokens = 0
        constant.cached_tokens = constant.written_tokens = constant.reasoning_tokens = 0
        constant.cost = None
        constant.stream = constant.estimated = False
        if len(route.lines) >= TEMPLATES:
            route.lines.clear()
        template = route.lines[key] = LineTemplate(constant)
    return template


def _event(exchange: Exchange, duration: int, ttft: int, overhead: int) -> Event:
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
        cost=exchange.cost,
        duration=duration,
        ttft=ttft,
        overhead=overhead,
        retries=exchange.retries,
        fallbacks=exchange.fallbacks,
        hedged=exchange.hedged,
        tags=caller.key.tags,
        user_id=caller.key.user_id,
        team_id=caller.key.team_id,
        organization_id=caller.key.organization_id,
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
        note_usage(event, usage)
    if exchange.error is not None:
        event.error = exchange.error.kind
    if exchange.continuation is not None:
        event.continued = exchange.continuation.times
    if exchange.request_id:
        event.request_id = exchange.request_id.decode("latin-1")
    event.user = exchange.end_user
    event.run_id = exchange.run_id
    event.request_tags = exchange.request_tags
    if exchange.note is not None:
        event.prompt, event.answer = exchange.note.texts()
    if exchange.decision is not None:
        event.decision_id = exchange.decision.id
        event.decision = decisions.encode(exchange.decision).decode()
        event.strategy = exchange.decision.strategy
    return event


def refuse(exchange: Exchange, error: GatewayError) -> None:
    """Settle with an error and tell the client."""
    if exchange.settled:
        return
    exchange.error = error
    if exchange.key is None or exchange.group is None:
        exchange.plan.services.meters.count(metrics.REFUSED, kind=error.kind)
    settle(exchange, error.status, exchange.plan.services.now())
    exchange.client.respond(exchange, answer.error_head(exchange, error), FACES[exchange.endpoint].error(error))


def abandon(exchange: Exchange) -> None:
    """The client went away: cancel the provider's work and account for what was used."""
    if exchange.settled:
        return
    attempt = exchange.attempt
    services = exchange.plan.services
    settle(exchange, CLIENT_CLOSED, services.now())
    services.outbox.commit()  # there will be no answer to take the Event along
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
