"""Asks a token endpoint (RFC 6749 5) with the standard library: one form, one JSON answer."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from routeiq.providers.signing.grant import BEARER, Grant, SourceError
from routeiq.transport import once

SECONDS = 20.0
_MOST = 1024 * 1024
"""Bytes of an answer that are read."""
_REASONS = ("error_description", "errorMessage", "message", "error", "errorCode")


def ask_token(url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> Grant:
    """The `access_token` and its end (`expires_in`, or IBM's `expiration`).

    `basic` is a user name and password for HTTP Basic (RFC 6749 2.3.1). Raises `SourceError`.
    """
    host = urlsplit(url).netloc
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if basic is not None:
        pair = ":".join(basic).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    request = urllib.request.Request(url, urlencode(form).encode(), headers, method="POST")  # noqa: S310 - configured
    asked = time.time()
    try:
        with once.send(request, SECONDS) as answer:
            data = answer.read(_MOST)
    except urllib.error.HTTPError as error:
        with error:
            raise SourceError(f"{host} answered {error.code}{_reason(error.read(_MOST))}") from None
    except urllib.error.URLError as error:
        raise SourceError(f"{host} can't be reached: {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise SourceError(f"{host} can't be reached: {error or type(error).__name__}") from None
    document = _document(data)
    token = document.get("access_token")
    if not isinstance(token, str) or not token:
        raise SourceError(f"{host} answered without an access_token")
    return Grant(kind=BEARER, token=token, expires=_expires(document, asked))


def _expires(document: Mapping[str, Any], asked: float) -> float:
    """Unix seconds. An answer that does not say counts as an hour, the customary life."""
    life, until = document.get("expires_in"), document.get("expiration")
    try:
        if life is not None:
            return asked + float(life)
        if until is not None:
            return float(until)
    except (TypeError, ValueError):
        pass
    return asked + 3600.0


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _reason(data: bytes) -> str:
    """What an error answer says, when it is JSON."""
    document = _document(data)
    found = next((document[name] for name in _REASONS if isinstance(document.get(name), str)), "")
    return f": {found}" if found else ""
