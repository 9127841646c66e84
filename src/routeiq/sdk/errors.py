"""What calls raise, under the names OpenAI's SDK gives them: https://github.com/openai/openai-python#handling-errors

APIError
├── APIConnectionError ── APITimeoutError (also called Timeout)
├── BadRequestError ── ContextWindowExceededError, ContentPolicyViolationError
├── AuthenticationError, PermissionDeniedError, NotFoundError, UnprocessableEntityError, RateLimitError
└── InternalServerError ── ServiceUnavailableError
"""

from __future__ import annotations

from collections.abc import Mapping

from routeiq.core.errors import GatewayError, UpstreamError, UpstreamTimeout, UpstreamUnreachable


class APIError(Exception):
    """Base of them all. `llm_provider` is empty when no provider was asked, `response_headers` are in lower case."""

    usual_type: str | None = None
    """`type` where none is told."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 500,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,
        llm_provider: str = "",
        response_headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.param = param
        self.type = type or self.usual_type
        self.llm_provider = llm_provider
        self.response_headers = dict(response_headers or {})


class APIConnectionError(APIError):
    """The provider can't be reached, or what it sent is no HTTP."""


class APITimeoutError(APIConnectionError):
    """The answer did not come in time."""


Timeout = APITimeoutError
"""LiteLLM's name for it."""


class BadRequestError(APIError):
    """400, 413: the request, or the configuration it needs, is wrong."""

    usual_type = "invalid_request_error"


class ContextWindowExceededError(BadRequestError):
    """The prompt is longer than the model takes."""


class ContentPolicyViolationError(BadRequestError):
    """The provider refuses such content."""


class AuthenticationError(APIError):
    """401: there is no key, or the provider does not take it."""


class PermissionDeniedError(APIError):
    """403."""


class NotFoundError(APIError):
    """404: no such model, among other things."""


class UnprocessableEntityError(APIError):
    """422."""


class RateLimitError(APIError):
    """429: a limit, the provider's or one of the configuration."""


class InternalServerError(APIError):
    """500 and above."""


class ServiceUnavailableError(InternalServerError):
    """503."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: APITimeoutError,
    413: BadRequestError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    504: APITimeoutError,
}
_BY_NAME: dict[str, type[APIError]] = {
    "ContextWindowExceededError": ContextWindowExceededError,
    "ContentPolicyViolationError": ContentPolicyViolationError,
}


def of_gateway(error: GatewayError, headers: Mapping[str, str]) -> APIError:
    """The exception for an error of the pipeline and the headers of its answer."""
    if isinstance(error, UpstreamTimeout):
        kind: type[APIError] = APITimeoutError
    elif isinstance(error, UpstreamUnreachable):
        kind = APIConnectionError
    else:
        name = error.class_name if isinstance(error, UpstreamError) else ""
        other = InternalServerError if error.status >= 500 else APIError
        kind = _BY_NAME.get(name) or _BY_STATUS.get(error.status, other)
    return kind(
        error.message,
        status_code=error.status,
        code=error.code,
        param=error.param,
        type=error.type,
        llm_provider=error.provider,
        response_headers=headers,
    )
