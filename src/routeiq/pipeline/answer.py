"""Response heads: what the gateway tells about an answer besides the answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Exchange, Header
from routeiq.core.money import dollars

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_HIDDEN = frozenset(
    b"""connection content-encoding content-length content-type date keep-alive proxy-authenticate server set-cookie
    strict-transport-security te trailer transfer-encoding upgrade vary via alt-svc""".split()
)
_KNOWN_NAMES: dict[bytes, bytes] = {}
_MAX_NAMES = 256


def whole_head(exchange: Exchange, attempt: Attempt, cost: int | None) -> bytes:
    """The head of a whole answer, up to `Content-Length`."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + _details(exchange, attempt, cost, True)


def stream_head(exchange: Exchange, attempt: Attempt) -> bytes:
    """The head of a streamed answer; cost and duration are not known yet."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n" + _details(exchange, attempt, None, False)
    )


def error_head(exchange: Exchange | None, error: GatewayError) -> bytes:
    """The head of an error answer, up to `Content-Length`."""
    lines = [b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n" % (error.status, reason(error.status))]
    if error.retry_after is not None:
        lines.append(b"Retry-After: %d\r\n" % max(1, int(error.retry_after + 0.999)))
    if error.status == 401:
        lines.append(b"WWW-Authenticate: Bearer\r\n")
    lines += [b"%b: %b\r\n" % header for header in error.headers]
    if exchange is not None:
        if exchange.request_id:
            lines.append(b"x-request-id: %b\r\n" % exchange.request_id)
        else:
            lines.append(b"x-request-id: %b\r\n" % exchange.call_id.encode())
        lines.append(
            b"x-litellm-call-id: %b\r\nx-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
            % (exchange.call_id.encode(), exchange.retries, exchange.fallbacks)
        )
        if exchange.route is not None:
            lines.append(exchange.route.static_headers)
        if exchange.key is not None and not error.headers and exchange.key.limited:
            lines += [b"%b: %b\r\n" % header for header in exchange.key.headers(exchange.at / 1e6)]
    return b"".join(lines)


def reason(status: int) -> bytes:
    """The reason phrase of a status."""
    return _REASONS.get(status, b"Unknown")


def _details(exchange: Exchange, attempt: Attempt, cost: int | None, whole: bool) -> bytes:
    call_id = exchange.call_id.encode()
    services = exchange.plan.services
    elapsed = services.loop.time() - exchange.started
    spent = attempt.route.static_headers + (
        b"x-request-id: %b\r\nx-litellm-call-id: %b\r\n"
        b"x-litellm-attempted-retries: %d\r\nx-litellm-attempted-fallbacks: %d\r\n"
        % (exchange.request_id or call_id, call_id, exchange.retries, exchange.fallbacks)
    )
    if whole:
        spent += b"x-litellm-response-duration-ms: %.3f\r\nx-litellm-overhead-duration-ms: %.3f\r\n" % (
            elapsed * 1e3,
            (elapsed - exchange.upstream_seconds) * 1e3,
        )
        if cost is not None:
            spent += b"x-litellm-response-cost: %b\r\n" % dollars(cost).encode()
    caller = exchange.key
    if caller.spend is not None:
        spent += b"x-litellm-key-spend: %b\r\n" % dollars(caller.spend.add(0, exchange.at / 1e6)).encode()
        if caller.limited:
            for name, value in caller.headers(exchange.at / 1e6):
                spent += b"%b: %b\r\n" % (name, value)
    return spent + _echo(attempt.provider_headers())


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
