"""Looks for what has no place in a tool's definition: text that is hidden from people, and orders to the model.

The classes are those of OWASP's MCP03, tool poisoning: https://owasp.org/www-project-mcp-top-10/
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from routeiq.mcp.wire import Message

LONGEST = 16 * 1024
"""Characters of one text."""
DEEPEST = 64
"""Levels a definition may have."""
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|earlier|above|all|other)\b.{0,40}"
    r"\b(instructions?|prompts?|rules|tools?)\b"
    r"|\b(do not|don't|never)\b.{0,20}\b(tell|mention|inform|show|reveal)\b.{0,40}\b(user|human|anyone)\b"
    r"|<\s*/?\s*(important|system|secret|instructions?)\s*>"
    r"|\bwithout\b.{0,20}\b(telling|informing|asking)\b.{0,20}\buser\b",
    re.I | re.S,
)
_PLACES = re.compile(
    r"~/\.(ssh|aws|kube|cursor|config)\b|\bid_(rsa|ed25519)\b|/etc/(passwd|shadow)\b|\bmcp\.json\b", re.I
)
_COMMENT = re.compile(r"<!--")
_BLOB = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")


def suspicious(definition: Message) -> str | None:
    """What is wrong with a definition, in words; `None` when nothing is."""
    try:
        texts = list(_texts(definition, DEEPEST))
    except RecursionError:
        return "nesting beyond measure"
    for text in texts:
        found = _text(text)
        if found is not None:
            return found
    return None


def _text(text: str) -> str | None:
    if len(text) > LONGEST:
        return f"a text of over {LONGEST} characters"
    if not text.isascii() and any(unicodedata.category(c) in ("Cf", "Co", "Cn") for c in text):
        return "characters that people do not see"
    if _COMMENT.search(text):
        return "a comment in HTML"
    if _ORDERS.search(text):
        return "orders to the model"
    if _PLACES.search(text):
        return "places where secrets are kept"
    if _BLOB.search(text):
        return "encoded data"
    return None


def _texts(value: Any, left: int) -> Iterator[str]:
    """Every text of a definition, names of its members among them."""
    if left == 0:
        raise RecursionError
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, below in value.items():
            if isinstance(name, str):
                yield name
            yield from _texts(below, left - 1)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below, left - 1)
