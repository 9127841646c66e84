"""Large catalogs a step at a time: three tools in place of all, to search, to describe, to call."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from routeiq.mcp.view import View
from routeiq.mcp.wire import INVALID_PARAMS, McpError, Message, encode

SEARCH, DESCRIBE, CALL = "search_tools", "describe_tool", "call_tool"
FOUND, MOST = 10, 50
"""Tools a search gives, unless it says how many, and at most."""
SATURATION, LENGTH = 1.2, 0.75
"""Okapi BM25's k1 and b, as is usual: https://en.wikipedia.org/wiki/Okapi_BM25"""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_NAME = {"type": "string", "description": "The tool's name, as a search gives it."}
TOOLS: list[Message] = [
    {
        "name": SEARCH,
        "description": "Finds tools by what they do. There are more tools than are listed: search before giving up.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What the tool should do, in a few words."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
            },
            "required": ["query"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": DESCRIBE,
        "description": "The full definition of a tool, with the schema of its arguments.",
        "inputSchema": {"type": "object", "properties": {"name": _NAME}, "required": ["name"]},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": CALL,
        "description": "Calls a tool that a search has found.",
        "inputSchema": {
            "type": "object",
            "properties": {"name": _NAME, "arguments": {"type": "object"}},
            "required": ["name"],
        },
    },
]
NAMES = frozenset((SEARCH, DESCRIBE, CALL))


class Index:
    """Words of every tool in a view. Built once for it."""

    def __init__(self, view: View) -> None:
        self._tools = view.entries("tools/list")
        self._counts = [Counter(_words(f"{tool['name']} {tool.get('description') or ''}")) for tool in self._tools]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean = sum(self._lengths) / len(self._lengths) if self._lengths else 1.0
        self._documents = Counter(word for counts in self._counts for word in counts)

    def search(self, query: str, limit: int) -> list[Message]:
        """The tools that fit best, best first, with their descriptions alone."""
        wanted = set(_words(query))
        scored = [(self._score(position, wanted), position) for position in range(len(self._tools))]
        best = sorted((item for item in scored if item[0] > 0), key=lambda item: (-item[0], item[1]))[:limit]
        return [
            {"name": self._tools[position]["name"], "description": self._tools[position].get("description") or ""}
            for _, position in best
        ]

    def _score(self, position: int, wanted: set[str]) -> float:
        counts, total = self._counts[position], 0.0
        norm = SATURATION * (1 - LENGTH + LENGTH * self._lengths[position] / self._mean)
        for word in wanted:
            count = counts.get(word, 0)
            if count:
                having = self._documents[word]
                rarity = math.log(1 + (len(self._tools) - having + 0.5) / (having + 0.5))
                total += rarity * count * (SATURATION + 1) / (count + norm)
        return total


def described(view: View, arguments: Message) -> Message:
    """The result of `describe_tool`. Raises `McpError` for one that is not there."""
    name = arguments.get("name")
    found = next((tool for tool in view.entries("tools/list") if tool["name"] == name), None)
    if found is None:
        raise McpError(INVALID_PARAMS, f"Unknown tool: {str(name)[:200]}")
    return _result(found)


def searched(index: Index, arguments: Message) -> Message:
    """The result of `search_tools`. Raises `McpError` for arguments that are none."""
    query, limit = arguments.get("query"), arguments.get("limit", FOUND)
    if not isinstance(query, str) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise McpError(INVALID_PARAMS, f"query must be text, and limit a number from 1 to {MOST}.")
    return _result({"tools": index.search(query, limit)})


def _result(found: Any) -> Message:
    return {"content": [{"type": "text", "text": encode(found).decode()}], "structuredContent": found}


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
