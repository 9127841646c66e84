"""A conversation in Ollama's words: text, with images beside it, and results that name their tool.

https://docs.ollama.com/api/chat, https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

from typing import Any

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    Media,
    Message,
    Native,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from routeiq.providers.translate.codec import Fit, input_of
from routeiq.providers.translate.media import as_text


class Conversation:
    """Writes the messages of one request."""

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._names: dict[str, str] = {}
        """Of the tools called, by id of the call."""

    def written(self, messages: list[Message]) -> list[dict[str, Any]]:
        """The messages; results of tools come each as one of its own."""
        out: list[dict[str, Any]] = []
        for message in messages:
            if message.name:
                self._fit.ignore("name")
            rest: list[Block] = []
            for block in message.content:
                if isinstance(block, ToolResult):
                    out += self._result(block)
                else:
                    rest.append(block)
            if rest or not message.content:
                role = {"developer": "system", "tool": "user"}.get(message.role, message.role)
                out.append(self._message(role, rest))
        return out

    def _message(self, role: str, blocks: list[Block]) -> dict[str, Any]:
        texts: list[str] = []
        thought: list[str] = []
        images: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in blocks:
            if isinstance(block, Text | Refusal):
                texts.append(block.text)
            elif isinstance(block, Media):
                self._media(block, texts, images)
            elif isinstance(block, Thinking):
                thought.append(block.text)
                if not block.text:
                    self._fit.ignore("thinking")
            elif isinstance(block, ToolCall):
                self._names[block.id] = block.name
                calls.append({"function": {"name": block.name, "arguments": input_of(block)}})
            elif isinstance(block, Native):
                why = f"a message holds a {block.dialect} block, which this provider does not know"
                self._fit.refuse("messages", why)
        # Parts of an answer are one text that was cut; parts of a question are texts of their own.
        out: dict[str, Any] = {"role": role, "content": ("" if role == "assistant" else "\n").join(texts)}
        if any(thought):
            out["thinking"] = "".join(thought)
        if images:
            out["images"] = images
        if calls:
            out["tool_calls"] = calls
        return out

    def _result(self, result: ToolResult) -> list[dict[str, Any]]:
        """The tool's message; its images follow as the user's, because templates show them nowhere else."""
        texts: list[str] = []
        images: list[str] = []
        for block in result.content:
            if isinstance(block, Text):
                texts.append(block.text)
            else:
                self._media(block, texts, images)
        if not texts and result.failed:
            texts.append("The tool failed.")
        elif not texts and images:
            texts.append("The result follows in the next message.")
        out: dict[str, Any] = {"role": "tool", "content": "\n".join(texts)}
        name = result.name or self._names.get(result.id)
        if name:
            out["tool_name"] = name
        return [out, {"role": "user", "content": "", "images": images}] if images else [out]

    def _media(self, media: Media, texts: list[str], images: list[str]) -> None:
        if media.kind == "image" and media.data:
            images.append(media.data)
        elif media.text:
            texts.append(as_text(media))
        else:
            what = "images as base64 data only" if media.kind == "image" else f"no {media.kind}"
            raise BadRequest(f"This model takes {what}.", param="messages", code="unsupported_content")
