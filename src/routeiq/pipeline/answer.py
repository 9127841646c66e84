"""Response heads: what the gateway tells about an answer besides the answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from routeiq.core.decisions import Decision
from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Exchange, Header
from routeiq.core.money import NANO_PER_DOLLAR
from routeiq.core.text import printable
from routeiq.governance.keys import Caller
from routeiq.governance.reserving import Reservation, rate_headers, rated

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Route

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_HIDDEN = frozenset(
    b"""connection content-encoding content-length content-type date keep-alive proxy-authenticate server set-cookie
    strict-transport-security te trailer transfer-encoding upgrade vary via alt-svc""".split()
)
_LONGEST = 1000
"""Bytes of a list in a header."""
_KNOWN_NAMES: dict[bytes, bytes] = {}
_MAX_NAMES = 256


def whole_head(exchange: Exchange, route: Route, upstream: list[Header]) -> bytes:
    """The head of a whole answer, up to `Content-Length`. The exchange is settled."""
    caller: Caller = exchange.key
    elapsed = exchange.settled_at - exchange.started
    call_id = exchange.call_id.encode()
    cost = exchange.cost
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bx-request-id: %b\r\nx-litellm-call-id: %b\r\n"
        b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
        b"x-litellm-response-duration-ms: %.3f\r\nx-litellm-overhead-duration-ms: %.3f\r\n%b%b%b%b%b"
    ) % (
        route.static_headers if exchange.decision is None else _decided(exchange, route),
        exchange.request_id or call_id,
        call_id,
        exchange.retries,
        exchange.fallbacks,
        elapsed * 1e3,
        (elapsed - exchange.upstream_seconds) * 1e3,
        b"" if cost is None else b"x-litellm-response-cost: %d.%09d\r\n" % divmod(cost, NANO_PER_DOLLAR),
        b""
        if caller.spend is None
        else b"x-litellm-key-spend: %d.%09d\r\n" % divmod(exchange.key_spend, NANO_PER_DOLLAR),
        _rates(exchange) if caller.windowed or exchange.also else b"",
        _dropped(exchange) if exchange.dropped else b"",
        _echo(upstream),
    )


def stream_head(exchange: Exchange, route: Route, upstream: list[Header], continuable: bool) -> bytes:
    """The head of a streamed answer; cost and duration are not known yet.

    `continuable`: whether another deployment may go on with it.
    """
    caller: Caller = exchange.key
    call_id = exchange.call_id.encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
        b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n%bx-request-id: %b\r\nx-litellm-call-id: %b\r\n"
        b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n%b%b%b%b%b"
    ) % (
        exchange.face.stream_type,
        route.static_headers if exchange.decision is None else _decided(exchange, route),
        exchange.request_id or call_id,
        call_id,
        exchange.retries,
        exchange.fallbacks,
        b"x-litellm-key-spend: %d.%09d\r\n" % divmod(caller.spend.add(0, exchange.at / 1e6), NANO_PER_DOLLAR)
        if caller.spend is not None
        else b"",
        _rates(exchange) if caller.windowed or exchange.also else b"",
        b"x-routeiq-stream-failover: on\r\n" if continuable else b"",
        _dropped(exchange) if exchange.dropped else b"",
        _echo(upstream),
    )


def played_head(exchange: Exchange, cost: int | None) -> bytes:
    """The head of an answer that was put together out of several, which cost so many nano-dollars: `None` where that
    is not known yet.
    """
    decision: Decision | None = exchange.decision
    call_id = exchange.call_id.encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nx-request-id: %b\r\nx-litellm-call-id: %b\r\n"
        b"x-routeiq-revision: %b\r\n%b%b"
    ) % (
        exchange.face.stream_type if exchange.stream else b"application/json",
        exchange.request_id or call_id,
        call_id,
        exchange.plan.snapshot.revision.encode(),
        b"" if cost is None else b"x-litellm-response-cost: %d.%09d\r\n" % divmod(cost, NANO_PER_DOLLAR),
        b"" if decision is None else _chosen(decision, exchange.public_model),
    )


def _rates(exchange: Exchange) -> bytes:
    """The rate-limit headers: as the reservation saw them, or as they are now."""
    reservation: Reservation | None = exchange.reservation
    if reservation is not None:
        return rated(reservation, exchange.at / 1e6)
    caller: Caller = exchange.key
    return rate_headers(caller.accounts, exchange.at / 1e6) if caller.windowed else b""


def _decided(exchange: Exchange, route: Route) -> bytes:
    """What is told about the deployment and how it was chosen; `x-routeiq-decision-id` leads to all of it."""
    return route.plain_headers + _chosen(exchange.decision, exchange.public_model)


def _chosen(decision: Decision, model: str) -> bytes:
    return (
        f"x-routeiq-strategy: {printable(decision.strategy)}\r\nx-routeiq-decision-id: {decision.id}\r\n"
        f"x-routeiq-variant: {printable(decision.variant)}\r\nx-routeiq-selected-model: {printable(model)}\r\n"
    ).encode()


def _dropped(exchange: Exchange) -> bytes:
    names = ", ".join(exchange.dropped or ()).encode("ascii", "replace")
    return b"x-routeiq-dropped-params: %b\r\n" % names[:_LONGEST].replace(b"\r", b"?").replace(b"\n", b"?")


def error_head(exchange: Exchange | None, error: GatewayError) -> bytes:
    """The head of an error answer, up to `Content-Length`."""
    lines = [b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n" % (error.status, reason(error.status))]
    if error.retry_after is not None:
        lines.append(b"Retry-After: %d\r\n" % max(1, int(error.retry_after + 0.999)))
    if error.status == 401 and not error.headers:
        lines.append(b"WWW-Authenticate: Bearer\r\n")
    lines.append(error.headers)
    if exchange is not None:
        call_id = exchange.call_id.encode()
        lines.append(
            b"x-request-id: %b\r\nx-litellm-call-id: %b\r\n"
            b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
            % (exchange.request_id or call_id, call_id, exchange.retries, exchange.fallbacks)
        )
        if exchange.route is not None:
            route: Route = exchange.route
            lines.append(route.static_headers if exchange.decision is None else _decided(exchange, route))
        if exchange.key is not None and not error.headers:
            lines.append(_rates(exchange))
    return b"".join(lines)


def reason(status: int) -> bytes:
    """The reason phrase of a status."""
    return _REASONS.get(status, b"Unknown")


def _echo(headers: list[Header]) -> bytes:
    """The provider's own headers as `llm_provider-*`, without those of the connection."""
    out = b""
    for name, value in headers:
        if name in _HIDDEN:
            continue
        prefixed = _KNOWN_NAMES.get(name)
        if prefixed is None:
            prefixed = b"llm_provider-" + name + b": "
            if len(_KNOWN_NAMES) < _MAX_NAMES:
                _KNOWN_NAMES[name] = prefixed
        out += prefixed + value + b"\r\n"
    return out
