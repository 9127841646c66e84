"""A conversation for models that take one prompt, as a transcript, or plain messages without parts."""

from __future__ import annotations

from typing import Any

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import Media, Message, Native, Refusal, Text, Thinking, ToolCall, ToolResult
from routeiq.providers.translate.codec import Fit
from routeiq.providers.translate.media import as_text, data_url

_SPEAKERS = {"user": "User", "assistant": "Assistant"}


class Prompt:
    """The parts of one conversation: `system`, `turns` of (role, text), `images` as URLs or data URLs."""

    def __init__(self, messages: list[Message], fit: Fit) -> None:
        self._fit = fit
        self.images: list[str] = []
        system: list[str] = []
        self.turns: list[tuple[str, str]] = []
        for message in messages:
            if message.name:
                fit.ignore("name")
            text = self._text(message)
            if message.role in ("system", "developer"):
                system.append(text)
            else:
                self.turns.append(("assistant" if message.role == "assistant" else "user", text))
        self.system = "\n".join(system)

    def written(self) -> str:
        """One question as it is; a longer conversation as a transcript that the model goes on with."""
        if len(self.turns) == 1 and self.turns[0][0] == "user":
            return self.turns[0][1]
        lines = [f"{_SPEAKERS[role]}: {text}" for role, text in self.turns]
        if not self.turns or self.turns[-1][0] == "user":
            lines.append("Assistant:")
        return "\n\n".join(lines)

    def messages(self) -> list[dict[str, Any]]:
        """The same for a model that takes messages."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *({"role": role, "content": text} for role, text in self.turns)]

    def _text(self, message: Message) -> str:
        texts: list[str] = []
        for block in message.content:
            if isinstance(block, Text | Refusal):
                texts.append(block.text)
            elif isinstance(block, Media):
                self._media(block, texts)
            elif isinstance(block, Thinking):
                self._fit.ignore("thinking")
            elif isinstance(block, ToolCall | ToolResult):
                self._fit.refuse("messages", "a message holds a call of a tool, and this provider has no tools")
            elif isinstance(block, Native):
                why = f"a message holds a {block.dialect} block, which this provider does not know"
                self._fit.refuse("messages", why)
        return ("" if message.role == "assistant" else "\n").join(texts)

    def _media(self, media: Media, texts: list[str]) -> None:
        if media.kind == "image" and (media.data or media.url):
            self.images.append(media.url or data_url(media.media_type or "image/png", media.data))
        elif media.text:
            texts.append(as_text(media))
        else:
            raise BadRequest(f"This model takes no {media.kind}.", param="messages", code="unsupported_content")
