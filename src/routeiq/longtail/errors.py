"""LiteLLM's exceptions as answers in OpenAI's words: https://docs.litellm.ai/docs/exception_mapping"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.longtail.sdk import SdkMissing

SECRET = re.compile(r"key|token|secret|passw|credential|auth|cert|private|headers", re.I)
"""Names under which secrets stand."""
_SHORTEST = 6
"""Characters of a secret worth hiding: shorter ones would blot out words."""
_LONGEST_MESSAGE = 4000
_PREFIX = re.compile(r"^(litellm\.\w+: )+")
_MACHINERY = re.compile(
    r"\s*(?:Traceback \(most recent call last\)|This looks like a bug in LiteLLM|To drop these, set"
    r"|Handle with `litellm\.)"
)
"""Where what LiteLLM has to say of its own inside and settings begins."""
_CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_policy_violation",
    "UnsupportedParamsError": "unsupported_parameter",
}
_TYPES = {401: "authentication_error", 403: "permission_error", 408: "timeout_error", 429: "rate_limit_error"}

log = logging.getLogger("routeiq.longtail")


class Refusal(msgspec.Struct, frozen=True):
    """An error as the worker is told of it."""

    status: int
    body: bytes
    retry_after: str | None = None

    def event(self) -> bytes:
        """The same as an event of a stream that has begun."""
        return b"data: %b\n\n" % self.body


def refusal(error: Exception, secrets: Iterable[str]) -> Refusal:
    """What to answer for an exception: of ours, of LiteLLM's (they have a `status_code`), or a fault."""
    if isinstance(error, GatewayError):
        return _made(error.status, error.message, error.type, error.code, error.param)
    if isinstance(error, SdkMissing):
        return _made(503, str(error), "internal_server_error", "sdk_missing", None)
    if isinstance(error, msgspec.MsgspecError):
        return _made(400, f"Invalid request body: {error}", BadRequest.type, "invalid_json", None)
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 600:
        log.error("LiteLLM's SDK failed with a %s", type(error).__name__)
        status = 500
    name = type(error).__name__
    message = _PREFIX.sub("", _MACHINERY.split(str(getattr(error, "message", None) or error), maxsplit=1)[0]) or name
    if name == "UnsupportedParamsError":
        message += " Leave it out, or set drop_params: true."
    for secret in secrets:
        message = message.replace(secret, "***")
    kind = _TYPES.get(status, "internal_server_error" if status >= 500 else "invalid_request_error")
    param = getattr(error, "param", None)
    told = _made(status, message[:_LONGEST_MESSAGE], kind, _CODES.get(name), param if isinstance(param, str) else None)
    return msgspec.structs.replace(told, retry_after=_retry_after(error))


def secrets_of(arguments: dict[str, Any]) -> tuple[str, ...]:
    """Values that must not be shown: those of the arguments, and of the environment, which LiteLLM looks into."""
    found = {value for name, value in os.environ.items() if SECRET.search(name)}
    for name, value in arguments.items():
        if SECRET.search(name):
            found.update(_texts(value))
    # `pat/…` of Snowflake, `Bearer …`: the part that is the secret is hidden wherever it stands alone.
    found |= {part for value in found for part in (value.rpartition("/")[2], value.rpartition(" ")[2])}
    return tuple(sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _made(status: int, message: str, kind: str, code: str | None, param: str | None) -> Refusal:
    told = {"message": message, "type": kind, "param": param, "code": code}
    return Refusal(status, msgspec.json.encode({"error": told, "status_code": status}))


def _retry_after(error: Exception) -> str | None:
    """The provider's own `Retry-After`, wherever LiteLLM keeps the headers of its answer."""
    response = getattr(error, "response", None)
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(error, "headers", None),
        getattr(response, "headers", None),
    ):
        try:
            value = headers.get("retry-after") or headers.get("Retry-After") if headers else None
        except AttributeError:
            continue
        if value and re.fullmatch(r"[\x20-\x7e]{1,64}", str(value)):
            return str(value)
    return None
