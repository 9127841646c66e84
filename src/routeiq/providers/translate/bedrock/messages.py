"""A conversation in Converse's words: system apart, turns that alternate, blocks that are unions.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from routeiq.core.errors import BadRequest
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
from routeiq.providers.translate.codec import Fit, input_of, short_id
from routeiq.providers.translate.media import extension_of

EMPTY = "(empty)"
"""Instead of text that would be empty, which the API refuses."""
_CACHING = re.compile(r"claude|nova|^arn:")
"""Models with prompt caching: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_IMAGES = ("png", "jpeg", "gif", "webp")
_DOCUMENTS = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
_VIDEOS = ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")
_AUDIO = ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "pcm", "webm")
_FORMATS = {"image": _IMAGES, "document": _DOCUMENTS, "video": _VIDEOS, "audio": _AUDIO}
_RENAMED = {
    "jpg": "jpeg",
    "quicktime": "mov",
    "3gpp": "three_gp",
    "x-matroska": "mkv",
    "x-ms-wmv": "wmv",
    "plain": "txt",
    "markdown": "md",
    "msword": "doc",
    "vnd.ms-excel": "xls",
    "x-wav": "wav",
    "mp4a-latm": "m4a",
}
"""Formats by the words of media types that differ."""
_ODD = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")


class Conversation:
    """Writes the messages of one request for one model."""

    def __init__(self, model: str, fit: Fit) -> None:
        self._fit = fit
        self._claude = "claude" in model
        self._caches = _CACHING.search(model) is not None
        self._lasting = "nova" not in model
        """Whether a cache point may say how long it is kept."""
        self._documents = 0

    def written(self, messages: list[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(system blocks, messages). Neighbours of one role become one message, results of tools the user's."""
        system: list[dict[str, Any]] = []
        out: list[dict[str, Any]] = []
        for message in messages:
            if message.name:
                self._fit.ignore("name")
            if message.role in ("system", "developer"):
                for block in message.content:
                    if isinstance(block, Text):
                        system += self._written(block)
                    else:
                        self._fit.refuse("messages", "this provider's instructions are text")
                continue
            blocks = [block for each in message.content for block in self._written(each)]
            role = "assistant" if message.role == "assistant" else "user"
            if out and out[-1]["role"] == role:
                out[-1]["content"] += blocks
            elif blocks or message.content or role == "user":
                out.append({"role": role, "content": blocks})
        if not out or out[0]["role"] != "user":
            out.insert(0, {"role": "user", "content": []})
        for each in out:
            self._complete(each)
        if out[-1]["role"] == "assistant" and "text" in out[-1]["content"][-1]:
            # An answer begun for the model must not end in white space.
            out[-1]["content"][-1]["text"] = out[-1]["content"][-1]["text"].rstrip()
        return system, out

    def mark(self, cache: CacheMark | None) -> list[dict[str, Any]]:
        """The block that ends what is worth caching."""
        if cache is None:
            return []
        if not self._caches:
            self._fit.ignore("cache_control")
            return []
        point: dict[str, Any] = {"type": "default"}
        if cache.ttl in ("5m", "1h") and self._lasting:
            point["ttl"] = cache.ttl
        return [{"cachePoint": point}]

    def _complete(self, message: dict[str, Any]) -> None:
        """Results must come first in the message that answers the calls; documents must not come without text."""
        content = message["content"]
        if message["role"] == "user":
            content[:] = _results_first(content)
        if not any(block.keys() != {"cachePoint"} for block in content) or (
            any("document" in block for block in content) and not any("text" in block for block in content)
        ):
            content.insert(0, {"text": EMPTY})

    def _written(self, block: Block) -> list[dict[str, Any]]:
        if isinstance(block, Text):
            return [{"text": block.text}, *self.mark(block.cache)] if block.text.strip() else self.mark(block.cache)
        if isinstance(block, Media):
            return [self._media(block), *self.mark(block.cache)]
        if isinstance(block, ToolCall):
            use = {"toolUseId": short_id(block.id, _ID), "name": block.name, "input": input_of(block)}
            return [{"toolUse": use}, *self.mark(block.cache)]
        if isinstance(block, ToolResult):
            return [{"toolResult": self._result(block)}, *self.mark(block.cache)]
        if isinstance(block, Thinking):
            return self._thought(block)
        if isinstance(block, Refusal):
            return [{"text": block.text}] if block.text.strip() else []
        if isinstance(block, Native) and block.dialect == "bedrock":
            return [block.value]
        self._fit.refuse("messages", f"a message holds a {block.dialect} block, which this provider does not know")
        return []

    def _result(self, result: ToolResult) -> dict[str, Any]:
        if any(each.cache is not None for each in result.content):
            self._fit.ignore("cache_control")  # cache points stand between blocks, not in them
        content = [
            written
            for each in result.content
            for written in ([{"text": each.text}] if isinstance(each, Text) and each.text else [])
            + ([self._media(each)] if isinstance(each, Media) else [])
        ]
        out: dict[str, Any] = {"toolUseId": short_id(result.id, _ID), "content": content or [{"text": EMPTY}]}
        if result.failed:
            out["status"] = "error"
        return out

    def _thought(self, block: Thinking) -> list[dict[str, Any]]:
        """Only what is proven may be sent back; Claude's proofs hold wherever it runs."""
        redacted, signature = unsealed("bedrock", block.redacted), unsealed("bedrock", block.signature)
        if self._claude:
            redacted = redacted or unsealed("anthropic", block.redacted)
            signature = signature or unsealed("anthropic", block.signature)
        if redacted:
            return [{"reasoningContent": {"redactedContent": redacted}}]
        if signature:
            return [{"reasoningContent": {"reasoningText": {"text": block.text, "signature": signature}}}]
        self._fit.ignore("thinking")
        return []

    def _media(self, media: Media) -> dict[str, Any]:
        kind = _format(media)
        out: dict[str, Any] = {"format": kind, "source": _source(media)}
        if media.kind == "document":
            self._documents += 1
            # Two documents of one name are refused, and a name is read by the model: it says nothing of its own.
            name = " ".join(_ODD.sub(" ", media.name.rpartition(".")[0] or media.name).split())[:180]
            out["name"] = f"{name} {self._documents}" if name and self._documents > 1 else name
            out["name"] = out["name"] or f"Document {self._documents}"
            if media.context:
                out["context"] = media.context
            if media.cited:
                out["citations"] = {"enabled": True}
        return {media.kind: out}


def tool_names(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The tools that were called so far."""
    called = {block["toolUse"]["name"]: None for each in messages for block in each["content"] if "toolUse" in block}
    return list(called)


def uses_tools(messages: Sequence[dict[str, Any]]) -> bool:
    """Whether there are calls or results in the conversation, which need `toolConfig`."""
    return any("toolUse" in block or "toolResult" in block for each in messages for block in each["content"])


def _results_first(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with each cache point still behind its block."""
    results: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    part = rest
    for block in content:
        if "cachePoint" not in block:
            part = results if "toolResult" in block else rest
        part.append(block)
    return results + rest


def _format(media: Media) -> str:
    if media.text:
        return "txt"
    found = extension_of(media.media_type) if media.media_type else ""
    if not found:
        found = (media.name or media.url).rpartition(".")[2].lower() if "." in (media.name or media.url) else ""
    found = _RENAMED.get(found, found)
    if found not in _FORMATS[media.kind]:
        raise BadRequest(
            f"This model takes {media.kind}s as {', '.join(_FORMATS[media.kind])}, not "
            f"{media.media_type or 'of an unnamed type'}.",
            param="messages",
            code="unsupported_content",
        )
    return found


def _source(media: Media) -> dict[str, Any]:
    if media.text:
        return {"text": media.text}
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    raise BadRequest(
        f"This model takes no {media.kind} by URL, unless it is in S3 (s3://): send it as base64 data.",
        param="messages",
        code="unsupported_content",
    )
