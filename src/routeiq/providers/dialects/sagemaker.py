"""SageMaker's errors: its own, and those of a container, which it wraps.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
and /API_runtime_InvokeEndpointWithResponseStream.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.providers import errors
from routeiq.providers.dialects.bedrock import exception

_MODEL_ERROR = 424
"""The status of a container's error."""


class ModelError(msgspec.Struct, rename="pascal", gc=False):
    original_status_code: int
    original_message: str


_decode = msgspec.json.Decoder(ModelError).decode


def from_answer(status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
    """The error for an answer with a status of 300 or above; a container's with its own. Never raises."""
    if status == _MODEL_ERROR:
        try:
            inner = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return _inner(inner, provider, retry_after)
    error = errors.from_answer(status, body, provider=provider, retry_after=retry_after)
    if status == _MODEL_ERROR:
        error.retryable = True  # the model failed, not the request
        error.class_name = "InternalServerError"
    return error


def from_exception(headers: Mapping[str, Any], payload: bytes) -> UpstreamError:
    """The error for a message of a stream that is an exception. Never raises."""
    code, payload = exception(headers, payload)
    status = _MODEL_ERROR if code == "ModelStreamError" else 500
    error = from_answer(status, payload, provider="", retry_after=None)
    error.code = error.code or code or None
    return error


def _inner(found: ModelError, provider: str, retry_after: float | None) -> UpstreamError:
    """The container's answer: JSON in one of the usual shapes, or plain text."""
    body = found.original_message.encode()
    if not body.lstrip().startswith((b"{", b"[")):
        body = msgspec.json.encode({"message": found.original_message})
    status = found.original_status_code
    return errors.from_answer(status if status >= 400 else 502, body, provider=provider, retry_after=retry_after)
