"""Tools that take free text, for providers whose tools take JSON: as functions of one string, `input`.

https://platform.openai.com/docs/guides/function-calling#custom-tools
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Delta,
    Ended,
    Finished,
    Message,
    Tool,
    ToolCall,
    ToolDelta,
    ToolResult,
    ToolStarted,
)
from routeiq.providers.translate.codec import DeltaReader

_encode = msgspec.json.Encoder().encode


class _Input(msgspec.Struct):
    input: str


_decode = msgspec.json.Decoder(_Input).decode


def text_tools(chat: Chat) -> frozenset[str]:
    """Names of the tools that take free text."""
    return frozenset(tool.name for tool in chat.tools if tool.custom)


def as_functions(chat: Chat) -> Chat:
    """The request with such tools, calls of them and their results as functions'."""
    return msgspec.structs.replace(
        chat,
        tools=[_function(tool) if tool.custom else tool for tool in chat.tools],
        messages=[_message(message) for message in chat.messages],
    )


def _function(tool: Tool) -> Tool:
    said = [tool.description]
    grammar = tool.native.get("definition") if isinstance(tool.native, dict) else None
    if isinstance(grammar, str):
        said.append(f"The input must follow this grammar ({tool.native.get('syntax', 'lark')}):\n{grammar}")
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input, as plain text."}},
        "required": ["input"],
        "additionalProperties": False,
    }
    return Tool(name=tool.name, description="\n".join(filter(None, said)), parameters=schema, cache=tool.cache)


def _message(message: Message) -> Message:
    if not any(isinstance(block, (ToolCall, ToolResult)) and block.custom for block in message.content):
        return message
    return msgspec.structs.replace(message, content=[_block(block) for block in message.content])


def _block(block: Block) -> Block:
    if isinstance(block, ToolCall) and block.custom:
        arguments = _encode({"input": block.arguments}).decode()
        return msgspec.structs.replace(block, arguments=arguments, custom=False)
    if isinstance(block, ToolResult) and block.custom:
        return msgspec.structs.replace(block, custom=False)
    return block


def restored(answer: Answer, names: frozenset[str]) -> Answer:
    """The answer with calls of the tools `names` as they take them."""
    for choice in answer.choices:
        for block in choice.content:
            if isinstance(block, ToolCall) and block.name in names:
                block.arguments, block.custom = _text(block.arguments), True
    return answer


def _text(arguments: str) -> str:
    try:
        return _decode(arguments).input
    except msgspec.DecodeError:
        return arguments  # the model wrote the text itself


class RestoringReader:
    """The same for a stream: a `DeltaReader` around the provider's own. A text is told when it is complete."""

    __slots__ = ("_names", "_open", "_reader")

    def __init__(self, reader: DeltaReader, names: frozenset[str]) -> None:
        self._reader = reader
        self._names = names
        self._open: dict[tuple[int, int], list[str]] = {}
        """Pieces of the arguments, by choice and index."""

    def feed(self, data: bytes) -> list[Delta]:
        return self._restored(self._reader.feed(data))

    def finish(self) -> list[Delta]:
        return self._restored(self._reader.finish())

    def _restored(self, deltas: list[Delta]) -> list[Delta]:
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, ToolStarted) and delta.name in self._names:
                self._open[delta.choice, delta.index] = []
                delta.custom = True
            elif isinstance(delta, ToolDelta) and (delta.choice, delta.index) in self._open:
                self._open[delta.choice, delta.index].append(delta.arguments)
                continue
            elif isinstance(delta, Finished):
                out += self._told(delta.choice)
            elif isinstance(delta, Ended):
                out += [told for choice in {choice for choice, _ in self._open} for told in self._told(choice)]
            out.append(delta)
        return out

    def _told(self, choice: int) -> list[Delta]:
        keys = [key for key in self._open if key[0] == choice]
        return [ToolDelta(index=key[1], arguments=_text("".join(self._open.pop(key))), choice=choice) for key in keys]
