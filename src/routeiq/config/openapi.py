"""From an OpenAPI 3 document to operations that are offered as MCP tools: https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from routeiq.core.mcp import Operation

MOST_BYTES = 8 * 1024 * 1024
MOST = 1000
"""Operations of one document."""
DEEPEST = 12
MOST_VALUES = 500_000
"""References within references that are put in, and values of all operations; what is beyond may be anything."""
METHODS = ("get", "put", "post", "delete", "patch")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def read(path: str) -> dict[str, Any]:
    """The document. Raises `ValueError` with what is wrong with it."""
    file = Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"is over {MOST_BYTES} bytes")
        text = file.read_text()
        found = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError, RecursionError):
        raise ValueError("is neither JSON nor YAML") from None
    if not isinstance(found, dict) or not str(found.get("openapi", "")).startswith("3."):
        raise ValueError("is not an OpenAPI document of version 3")
    return found


def base_of(document: dict[str, Any]) -> str | None:
    """The first server's URL, where that is a whole one."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    url = first.get("url")
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) and "{" not in url else None


def operations(document: dict[str, Any]) -> tuple[Operation, ...]:
    """Every operation, in the order of the document, each with a name of its own."""
    out: list[Operation] = []
    names: set[str] = set()
    whole = _Document(document)
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not isinstance(item, dict) or not isinstance(path, str) or not path.startswith("/"):
            continue
        for method in METHODS:
            if isinstance(item.get(method), dict) and len(out) < MOST:
                found = _operation(whole, path, method, item, names)
                names.add(found.name)
                out.append(found)
    return tuple(out)


def _operation(document: _Document, path: str, method: str, item: dict[str, Any], names: set[str]) -> Operation:
    told = item[method]
    name = _UNFIT.sub("_", str(told.get("operationId") or f"{method}{path}")).strip("_")[:64] or method
    while name in names:
        name = f"{name[:60]}_{len(names)}"
    places: dict[str, list[str]] = {"path": [], "query": [], "header": []}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in (*_list(item.get("parameters")), *_list(told.get("parameters"))):
        one = document.resolved(parameter)
        word, place = one.get("name"), one.get("in")
        if not isinstance(word, str) or place not in places or (place == "header" and not _TOKEN.fullmatch(word)):
            continue
        if word not in properties:
            places[place].append(word)
        schema = one.get("schema")
        properties[word] = {**(schema if isinstance(schema, dict) else {})}
        if isinstance(one.get("description"), str):
            properties[word].setdefault("description", one["description"])
        if one.get("required") is True or place == "path":
            required.append(word)
    body = document.resolved(told.get("requestBody"))
    content = body.get("content")
    media = content.get("application/json") if isinstance(content, dict) else None
    if isinstance(media, dict):
        schema = media.get("schema")
        properties["body"] = schema if isinstance(schema, dict) else {}
        if body.get("required") is True:
            required.append("body")
    texts = [text for text in (told.get("summary"), told.get("description")) if isinstance(text, str)]
    return Operation(
        name=name,
        description="\n\n".join(texts) or f"{method.upper()} {path}",
        method=method.upper(),
        path=path,
        in_path=tuple(places["path"]),
        query=tuple(places["query"]),
        headers=tuple(places["header"]),
        body=isinstance(media, dict),
        schema=msgspec.json.encode(
            {"type": "object", "properties": properties, "required": list(dict.fromkeys(required))}
        ),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class _Document:
    """A document whose references are put in; nothing is fetched."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._left = MOST_VALUES

    def resolved(self, value: Any) -> dict[str, Any]:
        """An object with what it refers to; empty where it is none."""
        found = self._inlined(value, frozenset())
        return found if isinstance(found, dict) else {}

    def _inlined(self, value: Any, above: frozenset[str]) -> Any:
        """`above` are the references that led here: what refers to itself may be anything there."""
        self._left -= 1
        if self._left < 0 or len(above) > DEEPEST:
            return {}
        if isinstance(value, list):
            return [self._inlined(below, above) for below in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return {name: self._inlined(below, above) for name, below in value.items()}
        if reference in above or not reference.startswith("#/"):
            return {}
        target: Any = self._document
        for part in reference[2:].split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        return self._inlined(target, above | {reference})
