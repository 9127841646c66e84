"""Every error a client can meet, in one tree.

    GatewayError
    ├── BadRequest (400)
    │   ├── UnknownModel (404), UnknownPath (404)
    │   └── BodyTooLarge (413)
    ├── Unauthorized (401) / Forbidden (403)
    ├── LimitExceeded (429) ── BudgetExceeded (422 by default)
    ├── Overloaded (503)                  too many requests in flight, drain, journal full
    └── UpstreamError                     what a provider answered, or failed to
        ├── UpstreamTimeout (504, or 408 as LiteLLM answers)
        └── UpstreamUnreachable (502)     refused, reset, DNS, TLS, broken HTTP

Errors carry data; they are rendered once, by `body()`, in OpenAI's shape.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class ErrorObject(msgspec.Struct, omit_defaults=True):
    """OpenAI's error object, and who failed after how many retries. `code` is a string, as its clients expect."""

    message: str
    type: str
    param: str | None
    code: str | None
    provider: str = ""
    retries: int = 0


class ErrorBody(msgspec.Struct):
    error: ErrorObject


_encode = msgspec.json.Encoder().encode


class GatewayError(Exception):
    """Base of what the gateway tells a client.

    `status` is the HTTP status, `type`/`code`/`param` the OpenAI fields, `retry_after` seconds for the
    `Retry-After` header, `headers` more header lines (each ended by CRLF), `retryable` whether another attempt may
    succeed, `provider` who failed.
    """

    status: int = 500
    type: str = "internal_server_error"
    code: str | None = None
    retryable: bool = False
    kind: ClassVar[str] = "internal"
    """Label of the error in metrics and Events: a small closed set."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type
        if code is not None:
            self.code = code
        self.param = param
        self.retry_after = retry_after
        self.headers = headers
        self.provider = ""
        self.retries = 0

    def body(self) -> bytes:
        """The error as JSON bytes."""
        code = self.code if self.code is not None else str(self.status)
        return _encode(ErrorBody(ErrorObject(self.message, self.type, self.param, code, self.provider, self.retries)))


class BadRequest(GatewayError):
    """The request can't be understood."""

    status = 400
    type = "invalid_request_error"
    kind = "bad_request"


class UnknownModel(BadRequest):
    """No deployment serves the model, or the key may not see it."""

    status = 404
    code = "model_not_found"
    kind = "unknown_model"


class UnknownPath(BadRequest):
    """Nothing is served under this path."""

    status = 404
    code = "not_found"
    kind = "unknown_path"


class BodyTooLarge(BadRequest):
    """The body is over the configured limit."""

    status = 413
    code = "request_too_large"
    kind = "too_large"


class Unauthorized(GatewayError):
    """No key, or one nobody knows."""

    status = 401
    type = "auth_error"
    code = "invalid_api_key"
    kind = "unauthorized"


class Forbidden(GatewayError):
    """The key is known and may not do this."""

    status = 403
    type = "permission_error"
    kind = "forbidden"


class LimitExceeded(GatewayError):
    """A rate or concurrency limit is used up."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    kind = "limited"


class BudgetExceeded(LimitExceeded):
    """A budget is used up."""

    status = 422
    type = "budget_exceeded"
    code = "budget_exceeded"
    kind = "budget"


class Overloaded(GatewayError):
    """The gateway itself can't take more right now."""

    status = 503
    type = "overloaded_error"
    code = "overloaded"
    kind = "overloaded"


class UpstreamError(GatewayError):
    """A provider's error, already mapped to OpenAI's words."""

    status = 502
    type = "internal_server_error"
    kind = "upstream"
    elsewhere: bool = False
    """Another deployment may do what this one refused: its credentials, its region, its list of models."""
    fallback: str = "general"
    """Which list of fallbacks applies: `general`, `context_window`, `content_policy`, or `none`."""
    class_name: str = "APIError"
    """LiteLLM's exception class, by which `retry_policy` is keyed."""


class UpstreamTimeout(UpstreamError):
    """The provider did not answer in time."""

    status = 504
    type = "timeout_error"
    code = "timeout"
    retryable = True
    kind = "timeout"
    class_name = "Timeout"


class UpstreamUnreachable(UpstreamError):
    """Connection refused, reset, DNS or TLS failure, or an answer that is not HTTP."""

    retryable = True
    code = "upstream_unreachable"
    kind = "unreachable"
    class_name = "APIConnectionError"
