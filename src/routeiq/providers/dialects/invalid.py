"""What a client is told of a body that can't be decoded, in every dialect."""

from __future__ import annotations

import msgspec

from routeiq.core.errors import BadRequest

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a request raises."""


def misplaced(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and the way to it: `messages[0].content`; empty for the whole body."""
    message, _, path = str(error).partition(" - at `$")
    return message, path.rstrip("`").lstrip(".")


def invalid_request(error: Exception) -> BadRequest:
    """The error for one of `UNREADABLE`, with the place of what is wrong."""
    if isinstance(error, msgspec.ValidationError):
        message, path = misplaced(error)
        shown = f" at `{path}`" if path else ""
        return BadRequest(f"Invalid request body: {message}{shown}", param=path or None, code="invalid_type")
    if isinstance(error, RecursionError):
        return BadRequest("The request body is nested too deeply.", code="invalid_json")
    return BadRequest(f"The request body is not valid JSON: {error}", code="invalid_json")
