"""RouteIQ: one endpoint in front of every model, tool and agent.

The names of the SDK (`routeiq.sdk`) are here too; they are imported when first asked for, since every process of a
gateway imports this module.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routeiq.sdk import (
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
        Router,
        ServiceUnavailableError,
        Timeout,
        UnprocessableEntityError,
        acompletion,
        aembedding,
        aresponses,
        assistant_message,
        completion,
        embedding,
        responses,
        system_message,
        user_message,
    )

__version__ = version("routeiq")

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
    "__version__",
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


def __getattr__(name: str) -> object:
    """A name of the SDK, imported on demand."""
    if name in __all__:
        return getattr(import_module("routeiq.sdk"), name)
    raise AttributeError(f"module 'routeiq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
