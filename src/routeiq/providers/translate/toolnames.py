"""Names of tools that a provider refuses: changed on the way there, and back in its answers.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools, https://docs.claude.com/en/api/messages,
https://ai.google.dev/api/caching#FunctionDeclaration,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Delta,
    Message,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolStarted,
)
from routeiq.providers.translate.codec import DeltaReader

_PLAIN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TAKEN = {
    "openai": _PLAIN,
    "watsonx": _PLAIN,
    "sagemaker": _PLAIN,
    "bedrock": _PLAIN,
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    "gemini": re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"),
}
"""By dialect, what a name may be; the others take any."""
_ODD = re.compile(r"[^a-zA-Z0-9_-]+")
_MOST_KEPT = 50


def renamed(chat: Chat, dialect: str) -> tuple[Chat, dict[str, str]]:
    """The request with names that providers of `dialect` take, and the client's names by those that were made."""
    taken = _TAKEN.get(dialect)
    if taken is None:
        return chat, {}
    names = [tool.name for tool in chat.tools if not tool.dialect]
    names += [block.name for message in chat.messages for block in message.content if isinstance(block, ToolCall)]
    made = {name: _made(name) for name in names if not taken.fullmatch(name)}
    if not made:
        return chat, {}
    choice = chat.tool_choice
    if choice is not None and choice.names:
        choice = ToolChoice(mode=choice.mode, names=tuple(made.get(name, name) for name in choice.names))
    changed = msgspec.structs.replace(
        chat,
        tools=[msgspec.structs.replace(tool, name=made.get(tool.name, tool.name)) for tool in chat.tools],
        tool_choice=choice,
        messages=[_message(message, made) for message in chat.messages],
    )
    return changed, {new: name for name, new in made.items()}


def plain_name(name: str) -> str:
    """A name that every provider takes: this one, or one made of it."""
    return name if _PLAIN.fullmatch(name) else _made(name)


def _made(name: str) -> str:
    """One that stays the same from turn to turn, and that no other tool has."""
    return f"t_{_ODD.sub('_', name)[:_MOST_KEPT]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _message(message: Message, made: Mapping[str, str]) -> Message:
    if not any(isinstance(block, (ToolCall, ToolResult)) and block.name in made for block in message.content):
        return message
    return msgspec.structs.replace(message, content=[_block(block, made) for block in message.content])


def _block(block: Block, made: Mapping[str, str]) -> Block:
    if isinstance(block, (ToolCall, ToolResult)) and block.name in made:
        return msgspec.structs.replace(block, name=made[block.name])
    return block


def names_restored(answer: Answer, names: Mapping[str, str]) -> Answer:
    """The answer with calls of the tools as the client names them."""
    for choice in answer.choices:
        for block in choice.content:
            if isinstance(block, ToolCall):
                block.name = names.get(block.name, block.name)
    return answer


class NamingReader:
    """The same for a stream: a `DeltaReader` around the provider's own."""

    __slots__ = ("_names", "_reader")

    def __init__(self, reader: DeltaReader, names: Mapping[str, str]) -> None:
        self._reader = reader
        self._names = names

    def feed(self, data: bytes) -> list[Delta]:
        return self._restored(self._reader.feed(data))

    def finish(self) -> list[Delta]:
        return self._restored(self._reader.finish())

    def _restored(self, deltas: list[Delta]) -> list[Delta]:
        for delta in deltas:
            if isinstance(delta, ToolStarted):
                delta.name = self._names.get(delta.name, delta.name)
        return deltas
