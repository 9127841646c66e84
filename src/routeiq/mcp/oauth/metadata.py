"""Where the authorization server of an MCP server is, and whether what it says of itself may be believed.

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization, RFC 9728, RFC 8414
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from routeiq.mcp.wire import Message

_PARAM = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|([^\s,]+))')
_PROTECTED = "/.well-known/oauth-protected-resource"
_SERVER = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


class Untrusted(ValueError):
    """Metadata that contradicts itself, or whoever pointed to it."""


def challenge(header: str) -> dict[str, str]:
    """The parameters of a `WWW-Authenticate: Bearer …`."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "bearer":
        return {}
    return {name: quoted or plain for name, quoted, plain in _PARAM.findall(rest)}


def resource_urls(server: str, told: str) -> list[str]:
    """Where a server's protected resource metadata may be: where it says, else at its well-known places."""
    if told:
        return [told]
    parts = urlsplit(server)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    return list(dict.fromkeys((f"{origin}{_PROTECTED}{path}", f"{origin}{_PROTECTED}")))


def server_urls(issuer: str) -> list[str]:
    """Where an issuer's metadata may be, in the order of the specification."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if not path:
        return [f"{origin}{_SERVER}", f"{origin}{_OPENID}"]
    return [f"{origin}{_SERVER}{path}", f"{origin}{_OPENID}{path}", f"{origin}{path}{_OPENID}"]


def check_resource(server: str, metadata: Message) -> None:
    """Raise `Untrusted` unless metadata is about this server, or about what it is a part of (RFC 8707)."""
    resource = metadata.get("resource")
    if not isinstance(resource, str):
        raise Untrusted("The protected resource metadata names no resource.")
    ours, theirs = urlsplit(server), urlsplit(resource)
    same = (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
    path, base = ours.path.rstrip("/") + "/", theirs.path.rstrip("/") + "/"
    if not same or not path.startswith(base):
        raise Untrusted("The protected resource metadata is about another resource.")


def check_server(issuer: str, metadata: Message) -> None:
    """Raise `Untrusted` unless metadata is the issuer's own, letter by letter, and PKCE is possible."""
    if metadata.get("issuer") != issuer:
        raise Untrusted("The authorization server's metadata is another issuer's.")


def check_pkce(metadata: Message) -> None:
    """Raise `Untrusted` where codes can't be bound to who asked for them."""
    methods = metadata.get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        raise Untrusted("The authorization server does not say that it supports PKCE with S256.")


def check_iss(metadata: Message, issuer: str, given: str | None) -> None:
    """Raise `Untrusted` for an answer of another authorization server than was asked: RFC 9207."""
    if given is None:
        if metadata.get("authorization_response_iss_parameter_supported") is True:
            raise Untrusted("The authorization server did not say who it is.")
    elif given != issuer:
        raise Untrusted("The answer is another authorization server's.")


def scopes_for(told: dict[str, str], resource: Message, server: Message, configured: tuple[str, ...]) -> list[str]:
    """What to ask for: what the server wants, else what it knows, else nothing."""
    if configured:
        chosen = list(configured)
    elif told.get("scope"):
        chosen = told["scope"].split()
    else:
        chosen = _texts(resource.get("scopes_supported"))
    if chosen and "offline_access" in _texts(server.get("scopes_supported")) and "offline_access" not in chosen:
        chosen.append("offline_access")
    return chosen


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
