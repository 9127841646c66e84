"""A conversation in Messages' words: system apart, turns that alternate, blocks of content."""

from __future__ import annotations

import re
from typing import Any

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.anthropic.citations import write_citation
from routeiq.providers.translate.chat import (
    Block,
    CacheMark,
    Media,
    Message,
    Native,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    unsealed,
)
from routeiq.providers.translate.codec import Context, Fit, input_of, short_id

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_ID = re.compile("[a-zA-Z0-9_-]+")
"""Of a call, as the API takes it: https://docs.claude.com/en/api/messages"""
EMPTY = "(empty)"
"""Instead of a message without content, which the API refuses."""


def conversation(
    messages: list[Message], context: Context, fit: Fit
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(system blocks, messages). Neighbours of one role become one message, results of tools the user's."""
    system: list[dict[str, Any]] = []
    out: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            for block in message.content:
                if isinstance(block, Text):
                    system += _written(block, context, fit)
                else:
                    fit.refuse("messages", "this provider's instructions are text")
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if message.name:
            fit.ignore("name")
        blocks = [block for each in message.content for block in _written(each, context, fit)]
        if out and out[-1]["role"] == role:
            out[-1]["content"] += blocks
        elif blocks or message.content or role == "user":
            out.append({"role": role, "content": blocks})
    for each in out:
        if not each["content"]:
            each["content"] = [{"type": "text", "text": EMPTY}]
        elif each["role"] == "user":
            # Results must come first in the message that answers the calls.
            each["content"].sort(key=lambda block: block["type"] != "tool_result")
    if out and out[-1]["role"] == "assistant":
        _trim(out[-1]["content"][-1])
    if not out or out[0]["role"] != "user":
        out.insert(0, {"role": "user", "content": [{"type": "text", "text": EMPTY}]})
    return system, out


def _trim(block: dict[str, Any]) -> None:
    """The API refuses an answer begun for the model that ends in white space."""
    if block["type"] == "text":
        block["text"] = block["text"].rstrip()


def _written(block: Block, context: Context, fit: Fit) -> list[dict[str, Any]]:
    if isinstance(block, Text):
        if not block.text.strip():
            return []  # the API refuses text of nothing but white space
        text: dict[str, Any] = {"type": "text", "text": block.text}
        if any(citation.dialect == "anthropic" for citation in block.citations):
            text["citations"] = [write_citation(each) for each in block.citations if each.dialect == "anthropic"]
        return [_marked(text, block.cache)]
    if isinstance(block, Media):
        return [_marked(_media(block, context), block.cache)]
    if isinstance(block, ToolCall):
        call = {"type": "tool_use", "id": short_id(block.id, _ID), "name": block.name, "input": input_of(block)}
        return [_marked(call, block.cache)]
    if isinstance(block, ToolResult):
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": short_id(block.id, _ID)}
        content = [written for each in block.content for written in _written(each, context, fit)]
        if content:
            only_text = len(content) == 1 and content[0].keys() == {"type", "text"}
            result["content"] = content[0]["text"] if only_text else content
        if block.failed:
            result["is_error"] = True
        return [_marked(result, block.cache)]
    if isinstance(block, Thinking):
        return _thought(block, fit)
    if isinstance(block, Refusal):
        return [{"type": "text", "text": block.text}] if block.text.strip() else []
    if isinstance(block, Native) and block.dialect == "anthropic":
        return [block.value]
    fit.refuse("messages", f"a message holds a {block.dialect} block, which this provider does not know")
    return []


def _marked(block: dict[str, Any], mark: CacheMark | None) -> dict[str, Any]:
    if mark is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}
    return block


def _thought(block: Thinking, fit: Fit) -> list[dict[str, Any]]:
    """Only what is proven by Anthropic's own signature may be sent back."""
    redacted = unsealed("anthropic", block.redacted)
    if redacted:
        return [{"type": "redacted_thinking", "data": redacted}]
    signature = unsealed("anthropic", block.signature)
    if signature:
        return [{"type": "thinking", "thinking": block.text, "signature": signature}]
    fit.ignore("thinking")
    return []


def _media(media: Media, context: Context) -> dict[str, Any]:
    if media.kind not in ("image", "document"):
        raise BadRequest(f"This model takes no {media.kind}.", param="messages", code="unsupported_content")
    source = _source(media)
    if source["type"] == "url" and context.options.get("anthropic_version", "").startswith("bedrock"):
        raise BadRequest(
            f"This model takes no {media.kind} by URL: send it as base64 data.",
            param="messages",
            code="unsupported_content",
        )
    out: dict[str, Any] = {"type": media.kind, "source": source}
    if media.kind == "document":
        if media.name:
            out["title"] = media.name
        if media.context:
            out["context"] = media.context
        if media.cited:
            out["citations"] = {"enabled": True}
    return out


def _source(media: Media) -> dict[str, Any]:
    if media.text:
        return {"type": "text", "media_type": "text/plain", "data": media.text}
    if media.url:
        return {"type": "url", "url": media.url}
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.kind == "image" and media.media_type not in _IMAGES:
        raise BadRequest(
            f"This model takes images as PNG, JPEG, GIF or WebP, not {media.media_type or 'of an unnamed type'}.",
            param="messages",
            code="unsupported_content",
        )
    return {"type": "base64", "media_type": media.media_type or "application/pdf", "data": media.data}
