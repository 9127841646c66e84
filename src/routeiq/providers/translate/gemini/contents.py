"""A conversation as Gemini's `contents`: what is said, called and answered, in turns of `user` and `model`.

https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    Chat,
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
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.gemini.thinking import version_of
from routeiq.providers.translate.media import as_text, type_of

FILES = "https://generativelanguage.googleapis.com/v1beta/"
"""Where `files/…`, the name of an upload, lives: https://ai.google.dev/gemini-api/docs/files"""
UNSIGNED = "skip_thought_signature_validator"
"""Signature for calls another model made, which Gemini 3 else refuses.

https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
"""
_TYPES = {"image": "image/jpeg", "document": "application/pdf", "audio": "audio/wav", "video": "video/mp4"}
"""What a file most likely is when nobody says."""
_RESULT_MEDIA = frozenset(("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"))
"""What a function response may hold: https://ai.google.dev/gemini-api/docs/function-calling#multimodal"""
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
Part = dict[str, Any]


def json_object(text: str) -> msgspec.Raw | None:
    """The text as it is when it is a JSON object."""
    if not text.startswith(("{", " ", "\n", "\t", "\r")):
        return None
    raw = text.encode()
    try:
        _decode_object(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(raw)


class Contents:
    """Written once for a request: `system` are the parts of the instruction, `turns` the contents."""

    def __init__(self, context: Context, fit: Fit) -> None:
        self._fit = fit
        self._vertex = context.provider.startswith("vertex_ai")
        self._version = version_of(context.model)
        self._calls: dict[str, tuple[int, str]] = {}
        """Number and tool by id of a call."""
        self._order: dict[int, int] = {}
        """Number of its call, by identity of a result's part: without ids, order is what tells them apart."""
        self.system: list[Part] = []
        self.turns: list[dict[str, Any]] = []

    def write(self, chat: Chat) -> None:
        """Raises `BadRequest` for what Gemini can't be told."""
        for message in chat.messages:
            self._message(message)
        if self._vertex:
            for turn in self.turns:
                self._sort_results(turn["parts"])
        if not self.turns and self.system:
            self.turns, self.system = [{"role": "user", "parts": self.system}], []

    def _message(self, message: Message) -> None:
        if message.name and message.role != "tool":
            self._fit.ignore("name")
        parts: list[Part] = []
        if message.role in ("system", "developer"):
            for block in message.content:
                if not isinstance(block, Text):
                    self._fit.refuse("messages", "Gemini's instructions are text")
                elif block.text:
                    self.system.append({"text": block.text})
            return
        for block in message.content:
            if isinstance(block, ToolCall):
                parts.append(self._call(block, first=not any("functionCall" in part for part in parts)))
            elif isinstance(block, ToolResult):
                parts += self._result(block)
            elif isinstance(block, Thinking):
                self._thought(block, parts)
            else:
                parts += self._part(block)
        if not parts:
            return
        role = "model" if message.role == "assistant" else "user"
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})

    def _part(self, block: Block) -> list[Part]:
        if isinstance(block, (Text, Refusal)):
            return [{"text": block.text}] if block.text else []
        if isinstance(block, Media):
            return self._media(block)
        if isinstance(block, Native) and block.dialect == "gemini":
            return [block.value]
        what = f"{block.dialect} block" if isinstance(block, Native) else type(block).__name__
        self._fit.refuse("messages", f"a message holds a {what}, which Gemini does not have")
        return []

    def _media(self, media: Media) -> list[Part]:
        if media.text:
            return [{"text": as_text(media)}]
        part: Part
        media_type = media.media_type or type_of(media.name or media.url)
        if media.data:
            part = {"inlineData": {"mimeType": media_type or _TYPES[media.kind], "data": media.data}}
        else:
            part = {"fileData": {"fileUri": self._uri(media)}}
            if media_type or self._vertex:  # required there, found out here
                part["fileData"]["mimeType"] = media_type or _TYPES[media.kind]
        return [{"text": media.context}, part] if media.context else [part]

    def _uri(self, media: Media) -> str:
        if media.url:
            return media.url
        if media.file_id.startswith(("https://", "gs://")):
            return media.file_id
        if media.file_id.startswith("files/"):
            return FILES + media.file_id
        raise BadRequest(
            f"The {media.kind} '{media.file_id[:100]}' is an upload at another provider: send its data or a URL.",
            param="messages",
            code="unsupported_content",
        )

    def _thought(self, block: Thinking, parts: list[Part]) -> None:
        signature = unsealed("gemini", block.signature)
        if not signature:
            if block.text or block.signature or block.redacted:
                self._fit.ignore("thinking")
        elif block.text:
            parts.append({"text": block.text, "thought": True, "thoughtSignature": signature})
        elif parts and "thoughtSignature" not in parts[-1] and ("text" in parts[-1] or "inlineData" in parts[-1]):
            parts[-1]["thoughtSignature"] = signature
        else:
            parts.append({"text": "", "thoughtSignature": signature})

    def _call(self, call: ToolCall, *, first: bool) -> Part:
        self._calls[call.id] = len(self._calls), call.name
        arguments = call.arguments or "{}"
        args: Any = None if call.custom else json_object(arguments)
        shown: Part = {"name": call.name, "args": {"input": arguments} if args is None else args}
        if call.id and not self._vertex:
            shown["id"] = call.id
        part: Part = {"functionCall": shown}
        signature = unsealed("gemini", call.signature)
        if signature:
            part["thoughtSignature"] = signature
        elif first and self._version >= 3:
            part["thoughtSignature"] = UNSIGNED
        return part

    def _result(self, result: ToolResult) -> list[Part]:
        number, called = self._calls.get(result.id, (None, ""))
        name = result.name or called
        if not name:
            raise BadRequest(
                f"The tool result '{result.id[:100]}' answers no call of this conversation: Gemini needs the name of "
                "the tool. Send the message with the call too.",
                param="messages",
                code="invalid_value",
            )
        texts = []
        inside: list[Part] = []
        after: list[Part] = []
        for block in result.content:
            if isinstance(block, Text):
                texts.append(block.text)
                continue
            for part in self._media(block):
                if "text" in part:
                    texts.append(part["text"])
                elif self._version >= 3 and _media_type(part) in _RESULT_MEDIA:
                    inside.append(part)
                else:
                    after.append(part)
        text = "\n".join(texts)
        value: Any = json_object(text)
        if result.failed:
            value = {"error": text if value is None else value}
        elif value is None:
            value = {"output": text}
        shown: Part = {"name": name, "response": value}
        if result.id and not self._vertex:
            shown["id"] = result.id
        if inside:
            shown["parts"] = inside
        answer: Part = {"functionResponse": shown}
        if number is not None:
            self._order[id(answer)] = number
        return [answer, *after]

    def _sort_results(self, parts: list[Part]) -> None:
        slots = [at for at, part in enumerate(parts) if id(part) in self._order]
        ordered = sorted((parts[at] for at in slots), key=lambda part: self._order[id(part)])
        for at, part in zip(slots, ordered, strict=True):
            parts[at] = part


def _media_type(part: Part) -> str:
    found: str = (part.get("inlineData") or part.get("fileData") or {}).get("mimeType", "")
    return found
