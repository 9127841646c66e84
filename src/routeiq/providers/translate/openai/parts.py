"""What stands in messages and chunks alike: calls, thoughts, sources, pictures and sound."""

from __future__ import annotations

from typing import Any

from routeiq.providers.translate.chat import Citation, Media, Thinking, ToolCall, unsealed
from routeiq.providers.translate.media import data_url


def thinking_block(block: Thinking) -> dict[str, str]:
    """A thought with its proof, which the client sends back for the provider to check."""
    if block.redacted:
        return {"type": "redacted_thinking", "data": unsealed("anthropic", block.redacted) or block.redacted}
    shown = {"type": "thinking", "thinking": block.text}
    if block.signature:
        shown["signature"] = unsealed("anthropic", block.signature) or block.signature
    return shown


def tool_call(call: ToolCall) -> dict[str, Any]:
    """A call as it stands in a message."""
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    out: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    signature = unsealed("gemini", call.signature)
    if signature:
        out["extra_content"] = {"google": {"thought_signature": signature}}
    return out


def annotation(citation: Citation) -> dict[str, Any]:
    """A source of the answer."""
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": citation.start or 0,
            "end_index": citation.end or 0,
            "url": citation.url,
            "title": citation.title,
        },
    }


def image(media: Media) -> dict[str, Any]:
    """A generated image, the way OpenRouter and LiteLLM hand it over."""
    return {"type": "image_url", "image_url": {"url": media.url or data_url(media.media_type, media.data)}}


def audio(media: Media) -> dict[str, Any]:
    """Spoken answer, or a piece of one: only what is there."""
    members = {"id": media.file_id, "data": media.data, "transcript": media.text}
    return {name: value for name, value in members.items() if value}
