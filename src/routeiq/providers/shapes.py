"""The shapes of error answers, read alike: OpenAI's, and those of providers with one of their own.

OpenAI `{"error": {"message", "type", "param", "code"}}`: https://platform.openai.com/docs/guides/error-codes
watsonx `{"errors": [{"code", "message"}], "status_code"}`: https://cloud.ibm.com/apidocs/watsonx-ai#error-handling
Replicate `{"title", "detail", "status"}`: https://replicate.com/docs/reference/http#errors (RFC 9457)
Databricks `{"error_code", "message"}`: https://docs.databricks.com/api/workspace/introduction
AWS `{"__type", "message"}`, by the front door `Message`: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode


class Told(msgspec.Struct, kw_only=True, gc=False):
    """What a provider says of an error; `None` is nothing."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    status: int | None = None
    """HTTP's, where the body tells it."""


def read_error(body: bytes) -> Told:
    """What an error answer says, as far as it can be read. Never raises."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Told()
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, dict):
        return Told()
    status = _number(found.get("status_code"))
    if status is None:
        status = _number(found.get("status"))
    error = found.get("error")
    if isinstance(error, dict):
        return _of(error, status)
    if isinstance(error, str):
        return Told(message=error, code=_code(found.get("code")), status=status)
    errors = found.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return _of(errors[0], status)
    return _flat(found, status)


def _of(error: dict[str, Any], status: int | None) -> Told:
    return Told(
        message=_text(error.get("message")),
        type=_string(error.get("type")),
        param=_string(error.get("param")),
        code=_code(error.get("code")),
        status=status,
    )


def _flat(found: dict[str, Any], status: int | None) -> Told:
    """Members that stand by themselves."""
    kind = _string(found.get("__type"))
    code = kind.rpartition("#")[2].partition(":")[0] if kind else None
    for name in ("error_code", "code"):
        code = code or _string(found.get(name))
    for name in ("message", "Message", "detail", "title"):
        message = _text(found.get(name))
        if message:
            return Told(message=message, code=code, status=status)
    return Told(code=code, status=status)


def _text(value: Any) -> str | None:
    """A message: text, or what a validator has to say, as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value).decode()


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _code(value: Any) -> str | int | None:
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
