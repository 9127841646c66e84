"""Routing headers of the stateless revision: what repeats the body, and values that are wrapped to survive HTTP.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from routeiq.mcp.wire import HEADER_MISMATCH, McpError, Message

ANNOTATION = "x-mcp-header"
"""In a tool's input schema: the name, after `Mcp-Param-`, of the header that repeats an argument."""
_PREFIX = "Mcp-Param-"
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DECIMAL = re.compile(r"(-?[0-9]+)(\.0+)?")
_SINGLE = frozenset((
    "items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties", "not",
    "if", "then", "else", "contentSchema",
))  # fmt: skip
_MANY = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NAMED = frozenset(("patternProperties", "dependentSchemas", "$defs", "definitions"))
"""Keywords of JSON Schema 2020-12 below which there are schemas that no argument stands at for certain."""
_MOST = 10_000
"""Schemas within one schema that are looked at."""

Params = dict[tuple[str, ...], tuple[str, str]]
"""Header (as written) and type by the path of the argument."""


def wrap(value: str) -> str:
    """A value as a header may hold it: base64 where it is not printable ASCII without spaces around it."""
    if not value or (_PLAIN.fullmatch(value) and not _WRAPPED.fullmatch(value)):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def unwrap(header: bytes) -> str | None:
    """The value of a header; `None` when it is wrapped and can't be read."""
    text = header.strip(b" \t").decode("latin-1")
    found = _WRAPPED.fullmatch(text)
    if found is None:
        return text
    try:
        data = base64.b64decode(found[1], validate=True)
        return data.decode() if base64.b64encode(data).decode() == found[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def annotated(schema: Any) -> Params:
    """The arguments an input schema wants repeated in headers. Raises `ValueError` where an annotation is wrong."""
    found: Params = {}
    seen: set[str] = set()
    for path, one in _schemas(schema):
        if ANNOTATION not in one:
            continue
        name, kind = one[ANNOTATION], one.get("type")
        if not path:
            raise ValueError(f"{ANNOTATION} where no argument stands for certain")
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"{ANNOTATION} that is not the name of a header")
        if kind not in ("string", "integer", "boolean"):
            raise ValueError(f"{ANNOTATION} on an argument that is not a string, integer or boolean")
        if name.lower() in seen:
            raise ValueError(f"{ANNOTATION} {name} twice")
        seen.add(name.lower())
        found[path] = (_PREFIX + name, kind)
    return found


def _schemas(root: Any) -> Iterator[tuple[tuple[str, ...] | None, Mapping[str, Any]]]:
    """Every schema in a schema, with the path of the argument it is certain to be about, else `None`."""
    left: list[tuple[tuple[str, ...] | None, Any]] = [((), root)]
    count = 0
    while left:
        path, node = left.pop()
        if not isinstance(node, dict):
            continue
        count += 1
        if count > _MOST:
            raise ValueError("a schema too large")
        yield path, node
        for word, value in node.items():
            if word == "properties" and isinstance(value, dict):
                left += [((*path, name) if path is not None else None, below) for name, below in value.items()]
            elif word in _SINGLE:
                left.append((None, value))
            elif word in _MANY and isinstance(value, list):
                left += [(None, below) for below in value]
            elif word in _NAMED and isinstance(value, dict):
                left += [(None, below) for below in value.values()]


def repeated(params: Params, arguments: Any) -> dict[str, str]:
    """The headers for arguments."""
    out = {}
    for path, (name, _) in params.items():
        text = _text(_at(arguments, path))
        if text is not None:
            out[name] = wrap(text)
    return out


def check_params(params: Params, arguments: Any, fields: Mapping[bytes, bytes]) -> None:
    """Raise `McpError` unless headers and arguments say the same."""
    for path, (name, kind) in params.items():
        header = fields.get(name.lower().encode())
        value = _at(arguments, path)
        text = _text(value)
        if text is None:
            if header is not None:
                raise McpError(HEADER_MISMATCH, f"Header mismatch: {name} is there without its argument.")
        elif header is None:
            raise McpError(HEADER_MISMATCH, f"Header mismatch: {name} is missing.")
        elif not _same(kind, value, text, unwrap(header)):
            raise McpError(HEADER_MISMATCH, f"Header mismatch: {name} does not have the argument's value.")


def check_header(fields: Mapping[bytes, bytes], name: str, value: Any) -> None:
    """Raise `McpError` unless a header has a value of the body."""
    header = fields.get(name.lower().encode())
    if header is None:
        raise McpError(HEADER_MISMATCH, f"Header mismatch: {name} is missing.")
    if unwrap(header) != value:
        raise McpError(HEADER_MISMATCH, f"Header mismatch: {name} does not have the value in the body.")


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _same(kind: str, value: Any, text: str, header: str | None) -> bool:
    if header is None:
        return False
    if kind == "integer" and isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
        found = _DECIMAL.fullmatch(header)
        return found is not None and len(found[1]) < 100 and int(found[1]) == int(value)
    return header == text


def trace_of(meta: Message, fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """W3C trace context of a request: what its body says, else its headers."""
    out = {}
    for name in ("traceparent", "tracestate", "baggage"):
        value = meta.get(name)
        if not isinstance(value, str):
            header = fields.get(name.encode())
            value = header.decode("latin-1") if header is not None else None
        if value is not None:
            out[name] = value
    return out
