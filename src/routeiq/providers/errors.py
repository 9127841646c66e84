"""A provider's error answer in OpenAI's words.

The status of an `openai/` upstream passes through; type, class and what may be tried next follow LiteLLM's table.
"""

from __future__ import annotations

import email.utils
import time

from routeiq.core.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from routeiq.providers.shapes import read_error

_TYPES = {
    401: ("authentication_error", "AuthenticationError"),
    403: ("permission_error", "APIError"),
    404: ("invalid_request_error", "NotFoundError"),
    408: ("timeout_error", "Timeout"),
    429: ("rate_limit_error", "RateLimitError"),
    500: ("internal_server_error", "InternalServerError"),
    502: ("internal_server_error", "BadGatewayError"),
    503: ("internal_server_error", "ServiceUnavailableError"),
    504: ("internal_server_error", "Timeout"),
}
_CONTEXT_CODES = {"context_length_exceeded", "string_above_max_length"}
_CONTEXT_WORDS = (
    "maximum context length",
    "context length",
    "context window",
    "model's maximum context",
    "prompt is too long",
    "input is too long",
)
_POLICY_CODES = {"content_policy_violation", "content_filter", "responsibleaipolicyviolation"}
_POLICY_WORDS = ("content management policy", "content policy", "safety system")
_MESSAGE_LIMIT = 4000


def from_answer(status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
    """The error for an answer with a status of 300 or above. Never raises."""
    wire = read_error(body)
    kind, class_name = _TYPES.get(
        status, ("internal_server_error" if status >= 500 else "invalid_request_error", "APIError")
    )
    if status in (400, 422):
        class_name = "BadRequestError"
    message = wire.message or f"{provider} answered with status {status}"
    code = str(wire.code) if wire.code is not None else None
    error = UpstreamError(
        message[:_MESSAGE_LIMIT],
        status=status if 400 <= status < 600 else 502,
        type=wire.type or kind,
        code=code,
        param=wire.param,
        retry_after=retry_after,
    )
    error.provider = provider
    error.class_name = class_name
    if status in (400, 413, 422) and _is_context(code, message):
        error.fallback, error.class_name = "context_window", "ContextWindowExceededError"
        error.code = error.code or "context_length_exceeded"
    elif status in (400, 403, 422) and _is_policy(code, message):
        error.fallback, error.class_name = "content_policy", "ContentPolicyViolationError"
    elif status in (400, 409, 413, 422) and status != 409:
        error.fallback = "none"
    error.retryable = status in (408, 409, 429) or status >= 500
    error.elsewhere = status in (401, 402, 403, 404) and error.fallback == "general"
    if 300 <= status < 400:
        error.message = f"{provider} answered with a redirect ({status}), which is not followed"
        error.retryable = False
    return error


def from_event(payload: bytes, *, provider: str) -> UpstreamError:
    """The error for an `error` event as the first of a stream."""
    wire = read_error(payload)
    status = wire.status
    if status is None and isinstance(wire.code, int):
        status = wire.code
    if status is None or not 400 <= status < 600:
        status = 502
    error = from_answer(status, payload, provider=provider, retry_after=None)
    error.retryable = True
    return error


def broken_answer(provider: str, what: str) -> UpstreamError:
    """The error for an answer of 200 that is none: empty, HTML, cut JSON. `provider` is empty where a codec says so."""
    error = UpstreamError(f"{provider or 'The provider'} sent {what}", status=502, code="invalid_upstream_answer")
    error.provider = provider
    error.retryable = True
    error.class_name = "APIError"
    return error


def timeout(provider: str, seconds: float, what: str, status: int) -> UpstreamTimeout:
    """The error for a deadline of ours that passed."""
    error = UpstreamTimeout(f"{provider} {what} within {seconds:g} s", status=status)
    error.provider = provider
    return error


def unreachable(provider: str, reason: str, detail: str) -> UpstreamUnreachable:
    """The error for a connection that failed; `reason` is that of `UpstreamBroken`."""
    error = UpstreamUnreachable(f"Connection to {provider} failed ({reason}): {detail}"[:_MESSAGE_LIMIT])
    error.provider = provider
    return error


def no_longtail(provider: str) -> UpstreamUnreachable:
    """The error when the process with LiteLLM's SDK is not there, or ended while it was at work."""
    message = (
        f"{provider} is called by LiteLLM's SDK in a process that is not there at the moment; it is being started."
    )
    error = UpstreamUnreachable(message, status=503, code="longtail_unavailable")
    error.provider = provider
    return error


def retry_after(value: bytes | None, now: float | None = None) -> float | None:
    """`Retry-After` in seconds, from seconds or an HTTP date (RFC 9110 10.2.3); `None` when absent or nonsense."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()[:64]
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_tz(text)
            if date is None:
                return None
            seconds = email.utils.mktime_tz(date) - (time.time() if now is None else now)
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return min(max(seconds, 0.0), 86_400.0) if seconds == seconds else None


def _is_context(code: str | None, message: str) -> bool:
    lowered = message.lower()
    return code in _CONTEXT_CODES or any(words in lowered for words in _CONTEXT_WORDS)


def _is_policy(code: str | None, message: str) -> bool:
    lowered = message.lower()
    return (code or "").lower() in _POLICY_CODES or any(words in lowered for words in _POLICY_WORDS)
