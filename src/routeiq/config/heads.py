"""Renders request heads: all of an upstream request that is the same every time, checked byte by byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from routeiq import __version__
from routeiq.config.address import Address
from routeiq.core.provider import OPENAI_PATHS, ProviderSpec
from routeiq.core.snapshot import MODEL_MARK

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A field name: RFC 9110 5.6.2."""
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
"""A field value without odd characters: visible ASCII, spaces and tabs inside only."""
_CREDENTIAL = re.compile(r"(Bearer |ZenApiKey )?[\x21-\x7e]+")
_KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
RESERVED = {
    *("host", "content-length", "content-type", "transfer-encoding", "accept-encoding", "te", "trailer", "expect"),
    *("connection", "keep-alive", "upgrade", "proxy-authorization", "proxy-connection"),
}
"""Headers the gateway itself must own: they frame the message."""


def header_problem(name: str, value: str) -> str | None:
    """Why a header can't be sent, or `None`. Never repeats the value."""
    if not _TOKEN.fullmatch(name):
        return "has a name that is not a header name"
    if name.lower() in RESERVED:
        return "is a header the gateway sets itself"
    if not _VALUE.fullmatch(value):
        return "has a value with characters that are not allowed in a header"
    return None


def credential(spec: ProviderSpec, key: str | None, bearer: str | None) -> tuple[str, str] | None:
    """The header that carries the key. `bearer` is a token that goes into `Authorization` whatever the scheme."""
    if bearer:
        return "Authorization", f"Bearer {bearer}"
    if not key or spec.auth == "none":
        return None
    return (spec.auth, key) if spec.auth in _KEY_HEADERS else ("Authorization", f"Bearer {key}")


def render(
    spec: ProviderSpec,
    address: Address,
    *,
    model: str,
    version: str | None,
    auth: tuple[str, str] | None,
    extra: Mapping[str, str],
) -> dict[str, bytes]:
    """A head by operation, each line ended by CRLF, up to and without `Content-Length`.

    A wildcard's model in the path is left as `MODEL_MARK`. A header in `extra` replaces one of ours of the same name.
    Raises `ValueError` when a piece could break the request apart; the reason names the piece and never its value.
    """
    headers = {"user-agent": ("User-Agent", f"routeiq/{__version__}")}
    headers |= {name.lower(): (name, value) for name, value in spec.headers.items()}
    if auth is not None:
        headers[auth[0].lower()] = auth
    for name, value in extra.items():
        problem = header_problem(name, value)
        if problem:
            raise ValueError(f"extra_headers.{name if _TOKEN.fullmatch(name) else '?'} {problem}")
        headers[name.lower()] = (name, value)
    if auth is not None and not _CREDENTIAL.fullmatch(auth[1]):
        raise ValueError("the key has spaces, line ends or characters that are not ASCII")
    for name, value in headers.values():
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} has characters that are not allowed in a header")
    fixed = [
        f"Host: {address.host_header}",
        *(f"{name}: {value}" for name, value in headers.values()),
        "Content-Type: application/json",
        "Accept-Encoding: identity",
    ]
    tail = "\r\n".join(fixed) + "\r\n"
    base = _base_path(spec, address)
    named = MODEL_MARK.decode("ascii") if "*" in model else quote(model, safe="")
    nested = quote(model, safe="/")
    heads: dict[str, bytes] = {}
    for endpoint, path in endpoint_paths(spec, version).items():
        if "{path}" in path and "*" in model:
            raise ValueError("the model can't be a wildcard here: its name is more than one part of the address")
        target = base + path.format(model=named, path=nested, version=quote(version or "", safe=""))
        heads[endpoint] = f"POST {target} HTTP/1.1\r\n{tail}".encode("ascii")
    return heads


def endpoint_paths(spec: ProviderSpec, version: str | None) -> Mapping[str, str]:
    """Path by endpoint. Azure's v1 API (`api_version: v1`) has the model in the body and no dated version."""
    if spec.auth == "api-key" and version in ("v1", "latest", "preview"):
        query = "?api-version=preview" if version == "preview" else ""
        own = OPENAI_PATHS | {"responses": "/responses"}
        return {endpoint: f"/openai/v1{path}{query}" for endpoint, path in own.items()}
    return spec.paths


def _base_path(spec: ProviderSpec, address: Address) -> str:
    """The base without an endpoint's path at its end: `…/v1/chat/completions` counts as `…/v1`."""
    for path in spec.paths.values():
        if path and "{" not in path and address.path.endswith(path):
            return address.path.removesuffix(path)
    return address.path
