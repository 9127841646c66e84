"""Structured output for providers that have none: the answer as the arguments of a tool the model must call.

The tool has a name of its own, so that what comes back is known without any memory of the request.
"""

from __future__ import annotations

import msgspec

from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Delta,
    Finished,
    Format,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolDelta,
    ToolStarted,
)
from routeiq.providers.translate.codec import DeltaReader

ANSWER_TOOL = "structured_answer"


def answer_tool(wanted: Format) -> Tool:
    """The tool whose arguments are the answer."""
    description = "Give your whole answer by calling this tool, once."
    if wanted.description:
        description = f"{wanted.description}\n{description}"
    schema = wanted.schema if wanted.schema is not None else {"type": "object", "additionalProperties": True}
    return Tool(name=ANSWER_TOOL, description=description, parameters=schema)


def unwrap(answer: Answer) -> Answer:
    """The answer with calls of the tool turned into text."""
    for choice in answer.choices:
        if any(isinstance(block, ToolCall) and block.name == ANSWER_TOOL for block in choice.content):
            choice.content = [_text(block) for block in choice.content if not isinstance(block, Text)]
            others = any(isinstance(block, ToolCall) for block in choice.content)
            if choice.finish == "tool_calls" and not others:
                choice.finish = "stop"
    return answer


def _text(block: Block) -> Block:
    if isinstance(block, ToolCall) and block.name == ANSWER_TOOL:
        return Text(text=block.arguments)
    return block


class UnwrappingReader:
    """The same for a stream: a `DeltaReader` around the provider's own.

    Text that does not begin like JSON may be said before the tool is called, and is no part of the answer then: it is
    held back until that is known.
    """

    __slots__ = ("_answers", "_held", "_json", "_others", "_reader")

    def __init__(self, reader: DeltaReader) -> None:
        self._reader = reader
        self._answers: set[tuple[int, int]] = set()
        self._others: set[int] = set()
        self._json: set[int] = set()
        """Choices whose text is the answer."""
        self._held: dict[int, list[TextDelta]] = {}
        """Text of the others, by choice."""

    def feed(self, data: bytes) -> list[Delta]:
        return self._unwrapped(self._reader.feed(data))

    def finish(self) -> list[Delta]:
        return self._unwrapped(self._reader.finish())

    def _unwrapped(self, deltas: list[Delta]) -> list[Delta]:
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, TextDelta):
                if not self._is_answer(delta):
                    self._held.setdefault(delta.choice, []).append(delta)
                    continue
            elif isinstance(delta, ToolStarted):
                if delta.name == ANSWER_TOOL:
                    self._held.pop(delta.choice, None)
                    self._answers.add((delta.choice, delta.index))
                    continue
                self._others.add(delta.choice)
            elif isinstance(delta, ToolDelta) and (delta.choice, delta.index) in self._answers:
                out.append(TextDelta(text=delta.arguments, choice=delta.choice))
                continue
            elif isinstance(delta, Finished):
                out += self._held.pop(delta.choice, ())
                if delta.reason == "tool_calls" and delta.choice not in self._others:
                    delta = msgspec.structs.replace(delta, reason="stop")
            out.append(delta)
        return out

    def _is_answer(self, delta: TextDelta) -> bool:
        """Whether this text can be shown at once."""
        if delta.choice in self._json:
            return True
        if delta.choice in self._held or not delta.text.lstrip().startswith(("{", "[")):
            return False
        self._json.add(delta.choice)
        return True
