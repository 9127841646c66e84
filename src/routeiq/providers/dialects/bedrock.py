"""Bedrock's errors: answers with a status, and exceptions in the midst of a stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the errors of /API_runtime_ConverseStream
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.providers import errors

_STATUS = {
    "accessDeniedException": 403,
    "internalServerException": 500,
    "modelErrorException": 424,
    "modelNotReadyException": 429,
    "modelStreamErrorException": 424,
    "modelTimeoutException": 408,
    "resourceNotFoundException": 404,
    "serviceQuotaExceededException": 400,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""Status by exception, as the service's model names it."""


def from_answer(status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
    """The error for an answer with a status of 300 or above. Never raises."""
    error = errors.from_answer(status, body, provider=provider, retry_after=retry_after)
    if status == 424:
        error.retryable = True  # the model failed, not the request
        error.class_name = "InternalServerError"
    return error


def from_exception(headers: Mapping[str, Any], payload: bytes) -> UpstreamError:
    """The error for a message of a stream that is an exception (modelled) or an error (not). Never raises."""
    code, payload = exception(headers, payload)
    status = _STATUS.get(code[:1].lower() + code[1:], 500)
    error = from_answer(status, payload, provider="", retry_after=None)
    error.code = error.code or code or None
    return error


def exception(headers: Mapping[str, Any], payload: bytes) -> tuple[str, bytes]:
    """Code and body of what an event stream tells of: an exception of the service's model, or an error of its own."""
    if headers.get(":message-type") != "error":
        return str(headers.get(":exception-type", "")), payload
    code = str(headers.get(":error-code", ""))
    return code, msgspec.json.encode({"message": f"{code}: {headers.get(':error-message', '')}"})
