"""Ask the provider, and when it fails: again, elsewhere, or as somebody else.

launch ──► attempt ──► answered ───────────────────────────► settle
              │
              └─ failed ─► retry (other deployment at once, same one after a wait)
                        ─► fallback group
                        ─► refuse
"""

from __future__ import annotations

from msgspec import UNSET

from routeiq.core.errors import UpstreamError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Resilience, Snapshot
from routeiq.observe import metrics
from routeiq.pipeline import hedge
from routeiq.pipeline.attempt import Attempt
from routeiq.pipeline.continuing import can_continue, take_up
from routeiq.pipeline.decide import has_other, next_fallback, select, unavailable
from routeiq.pipeline.plan import Plan, Route, Stage
from routeiq.pipeline.relay import break_stream
from routeiq.pipeline.sending import send
from routeiq.pipeline.services import Services
from routeiq.pipeline.settle import refuse
from routeiq.pipeline.translation import adapted, translate
from routeiq.providers.dialects import openai
from routeiq.providers.dialects.face import Face
from routeiq.providers.dialects.splice import Piece
from routeiq.providers.signing import Signer

_LONGEST_WAIT = 60.0
"""A `Retry-After` above this many seconds is not waited for."""


def choose(snapshot: Snapshot) -> Stage:
    """Plain, or with a timer for a second attempt."""
    resilience = snapshot.resilience
    hedged = resilience.hedge_after is not None or resilience.hedge_quantile is not None
    return call_hedged if hedged else call


def call(exchange: Exchange) -> bool:
    """Send the request to the chosen route."""
    if exchange.peek.mock_testing_fallbacks and exchange.plan.snapshot.mock_testing and not exchange.fallbacks:
        error = UpstreamError("mock_testing_fallbacks: this attempt fails on purpose", status=500)
        failed(exchange, None, error)
        return True
    launch(exchange, exchange.route)
    return True


def call_hedged(exchange: Exchange) -> bool:
    """The same, and watch for an answer that takes too long to begin."""
    call(exchange)
    if exchange.attempt is not None:
        hedge.watch(exchange, exchange.attempt, launch)
    return True


def launch(exchange: Exchange, route: Route) -> Attempt:
    """Start one attempt. Raises `BadRequest` when the deployment can't be asked this."""
    plan: Plan = exchange.plan
    services = plan.services
    if route.wildcard:
        exchange.upstream_model, model_json = plan.upstream_model(route, exchange.public_model)
    else:
        exchange.upstream_model, model_json = route.target.spec.model, route.model_json
    endpoint = exchange.endpoint
    extra = b""
    body: tuple[Piece, ...] | None = None
    translation = None
    operation = endpoint
    if endpoint in route.operations and exchange.continuation is None:
        face: Face = exchange.face
        if route.adapt is not None and route.adapt.applies(exchange.peek):
            body = adapted(exchange, route, model_json)
        else:
            body = face.upstream_body(exchange.peek, exchange.body, model_json)
        for name in face.forwarded:
            value = exchange.headers.get(name)
            if value is not None:
                extra += b"%b: %b\r\n" % (name, value)
    if body is None:
        translation = translate(exchange, route)
        exchange.dropped = translation.dropped
        outgoing = translation.outgoing
        operation, extra, body = outgoing.operation, outgoing.headers, (outgoing.body,)
    attempt = Attempt(exchange, route, failed, services.now())
    attempt.upstream_model = exchange.upstream_model
    attempt.translation = translation
    if exchange.held is not None:
        attempt.held, exchange.held = exchange.held, None
    route.target.begin()
    services.active.add(attempt)
    exchange.attempt = attempt
    if translation is not None:
        known = translation.local()
        if known is not None:
            attempt.recite(known)
            return attempt
    if route.local or (exchange.peek.mock_response is not UNSET and plan.snapshot.mock_testing):
        _play(exchange, attempt, operation, body)
        return attempt
    head = route.head(operation, exchange)
    if extra:
        head += extra
    if route.target.spec.signing is not None:
        _sign_and_send(exchange, attempt, head, body)
    else:
        send(attempt, head, body)
    return attempt


def _sign_and_send(exchange: Exchange, attempt: Attempt, head: bytes, body: tuple[Piece, ...]) -> None:
    """With credentials that are made or renewed as time goes by; the first request waits for them."""
    services: Services = exchange.plan.services
    signer = services.credentials.signer(attempt.route.target.spec)
    if signer is not None:
        send(attempt, head + signature(signer, head, body), body)
        return
    services.start(_fetch_and_send(services, attempt, head, body))


async def _fetch_and_send(services: Services, attempt: Attempt, head: bytes, body: tuple[Piece, ...]) -> None:
    try:
        signer = await services.credentials.fetch(attempt.route.target.spec)
    except UpstreamError as error:
        if not attempt.cancelled:
            attempt.failed(error)
        return
    if not attempt.cancelled:
        send(attempt, head + signature(signer, head, body), body)


def signature(signer: Signer, head: bytes, body: tuple[Piece, ...]) -> bytes:
    """The header lines that a signer puts on a request; `head` ends with its last own line."""
    method, target, _ = head[: head.index(b"\r\n")].split(b" ", 2)
    start = head.index(b"\r\nHost: ") + 8
    return signer.lines(method, target, head[start : head.index(b"\r\n", start)], body)


def failed(exchange: Exchange, attempt: Attempt | None, error: UpstreamError) -> None:
    """An attempt failed: try what is left to try, or tell the client."""
    plan: Plan = exchange.plan
    error.retries = exchange.retries
    if exchange.began:
        assert attempt is not None
        if not _continue(exchange, attempt):
            break_stream(exchange, error, attempt.error_event(error))
        return
    exchange.attempt = None
    if plan.services.now() >= exchange.started + plan.snapshot.timeouts.total:
        refuse(exchange, error)
        return
    if exchange.tried is None:
        exchange.tried = []
    exchange.tried.append(exchange.route.target)
    if attempt is not None and _may_retry(exchange, error):
        delay = _delay(exchange, error, plan.snapshot.resilience)
        if delay is not None and plan.services.now() + delay < exchange.started + plan.snapshot.timeouts.total:
            exchange.retries += 1
            plan.services.meters.pending[exchange.group.meters.retries] += 1
            if delay:
                plan.services.loop.call_later(delay, _again, exchange, error)
            else:
                _again(exchange, error)
            return
    _fall_back(exchange, error)


def _continue(exchange: Exchange, attempt: Attempt) -> bool:
    """Let another deployment go on with a stream that broke; False where none can."""
    if not exchange.plan.snapshot.resilience.stream_failover or not take_up(exchange, attempt):
        return False
    exchange.tried = [*(exchange.tried or []), attempt.route.target]
    while has_other(exchange):
        route = select(exchange)
        if route is None or route.target in exchange.tried:
            return False
        exchange.tried.append(route.target)
        if can_continue(route):
            exchange.route = route
            exchange.retries += 1
            launch(exchange, route)
            return True
    return False


def _again(exchange: Exchange, error: UpstreamError) -> None:
    """The attempt after the first, on a deployment of the same group."""
    if exchange.settled:
        return
    route = select(exchange)
    if route is None:
        _fall_back(exchange, error)
    else:
        _go(exchange, route)


def _fall_back(exchange: Exchange, error: UpstreamError) -> None:
    if error.fallback != "none":
        kind = error.fallback
        while next_fallback(exchange, kind):
            kind = "general"
            route = select(exchange)
            if route is not None:
                _go(exchange, route)
                return
            error.__cause__ = unavailable(exchange)
    refuse(exchange, error)


def _go(exchange: Exchange, route: Route) -> None:
    exchange.route = route
    plan: Plan = exchange.plan
    stages = plan.stages
    exchange.stage = len(stages) - 1  # `call` is the last of them
    plan.resume(exchange)


def _may_retry(exchange: Exchange, error: UpstreamError) -> bool:
    """Whether policy and retry budget allow one more attempt on this group."""
    plan: Plan = exchange.plan
    resilience = plan.snapshot.resilience
    policy = resilience.retries.get(error.class_name)
    useful = error.fallback == "general" and (error.retryable or (error.elsewhere and has_other(exchange)))
    if not useful and not policy:
        return False
    routing = exchange.key.routing
    allowed = routing.num_retries if routing is not None else None
    if allowed is None:
        allowed = exchange.route.target.spec.max_retries
    if allowed is None:
        allowed = exchange.group.spec.num_retries if policy is None else policy
    if exchange.retries >= allowed:
        return False
    services = plan.services
    if exchange.retrying:
        # Each retry asks anew: in a storm those that were let through once are not let through again.
        exchange.retrying = False
        services.retrying -= 1
    budget = max(resilience.retry_budget_min, int(resilience.retry_budget * services.in_flight))
    if services.retrying >= budget:
        services.meters.count(metrics.REFUSED, kind="retry_budget")
        return False
    exchange.retrying = True
    services.retrying += 1
    return True


def _delay(exchange: Exchange, error: UpstreamError, resilience: Resilience) -> float | None:
    """Seconds to wait: none when another deployment is free, else what the provider asks or an exponential back-off.

    `None` when waiting is pointless.
    """
    if has_other(exchange):
        return resilience.retry_after
    if error.retry_after is not None:
        if error.retry_after > _LONGEST_WAIT:
            return None
        return max(error.retry_after, resilience.retry_after)
    backoff = min(resilience.backoff_base * 2.0**exchange.retries, resilience.backoff_max)
    # Half of it is drawn, so that clients that failed together do not come back together.
    jittered: float = backoff * (0.5 + exchange.plan.services.rng.random() / 2)
    return max(jittered, resilience.retry_after)


def _play(exchange: Exchange, attempt: Attempt, operation: str, body: tuple[Piece, ...]) -> None:
    """Routes that need no network: the embedded provider, mocks."""
    spec = attempt.route.target.spec
    whole = b"".join(body)
    if exchange.peek.mock_response is not UNSET and exchange.plan.snapshot.mock_testing:
        attempt.play(operation, whole, openai.mock_text(exchange.peek), 0.0)
    elif spec.kind == "mock":
        attempt.play(operation, whole, spec.mock_response, 0.0)
    else:
        attempt.play(operation, whole, None, None)
