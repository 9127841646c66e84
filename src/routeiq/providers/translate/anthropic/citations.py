"""Sources of an answer: https://docs.claude.com/en/docs/build-with-claude/citations"""

from __future__ import annotations

from typing import Any

from routeiq.providers.translate.chat import Citation


def read_citation(wire: dict[str, Any]) -> Citation:
    """One of Anthropic's five kinds; its own form is kept for clients that know it."""
    return Citation(
        text=_text(wire.get("cited_text")),
        url=_text(wire.get("url") or wire.get("source")),
        title=_text(wire.get("title") or wire.get("document_title")),
        dialect="anthropic",
        native=wire,
    )


def write_citation(citation: Citation) -> dict[str, Any]:
    """Its own form, or for another provider's the one for search results on the web."""
    if citation.dialect == "anthropic" and isinstance(citation.native, dict):
        return citation.native
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.text,
        "encrypted_index": "",
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
