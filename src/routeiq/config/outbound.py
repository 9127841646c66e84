"""What the gateway sends to a server or an agent with every request: static headers and a credential."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Protocol

from routeiq.config.context import Context
from routeiq.config.report import Path

TOKENS = {"bearer_token": "Bearer ", "token": "token ", "authorization": ""}
"""What stands before a token in `Authorization`, by `auth_type`."""
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Credential(Protocol):
    """The settings they are told in."""

    @property
    def static_headers(self) -> Mapping[str, str]: ...

    @property
    def auth_type(self) -> str: ...

    @property
    def authentication_token(self) -> str | None: ...


def headers_of(ctx: Context, settings: Credential, path: Path) -> dict[str, str]:
    """Static headers, with the credential over them."""
    headers = dict(settings.static_headers)
    token = settings.authentication_token
    kind = settings.auth_type
    if kind not in ("none", "oauth2") and token is None:
        if not ctx.broken((*path, "authentication_token")):
            ctx.error((*path, "authentication_token"), f"is required for auth_type {kind}")
    elif token is not None:
        if kind == "api_key":
            headers["X-API-Key"] = token
        elif kind == "basic":
            headers["Authorization"] = "Basic " + base64.b64encode(token.encode()).decode()
        elif kind in TOKENS:
            headers["Authorization"] = TOKENS[kind] + token
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            ctx.error((*path, "static_headers"), f"{name[:60]!r} is not a header name")
        elif any((c < " " and c != "\t") or c == "\x7f" for c in value) or not value.isascii():
            ctx.error((*path, "static_headers", name), "holds characters that can't be in a header")
    return headers
