"""`import routeiq` in another program: the data plane as a library.

    from routeiq import completion
    print(completion(model="openai/gpt-4o", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)

Requests run through the same pipeline as in a gateway, on one background thread; nothing starts before the first call.
"""

from __future__ import annotations

from routeiq.sdk.direct import Direct
from routeiq.sdk.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    Timeout,
    UnprocessableEntityError,
)
from routeiq.sdk.messages import assistant_message, system_message, user_message
from routeiq.sdk.router import Router

_direct = Direct()

completion, acompletion = _direct.completion, _direct.acompletion
embedding, aembedding = _direct.embedding, _direct.aembedding
responses, aresponses = _direct.responses, _direct.aresponses

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "Router",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "acompletion",
    "aembedding",
    "aresponses",
    "assistant_message",
    "completion",
    "embedding",
    "responses",
    "system_message",
    "user_message",
]
