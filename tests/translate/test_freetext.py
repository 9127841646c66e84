"""Tools of free text where tools take JSON: there and back the text is the same, however it comes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Delta,
    Ended,
    Finished,
    Message,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolDelta,
    ToolResult,
    ToolStarted,
)
from routeiq.providers.translate.freetext import RestoringReader, as_functions, restored, text_tools

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
NAMES = frozenset(("patch",))


class Told:
    """A reader that says what it was given, one delta a byte."""

    def __init__(self, deltas: list[Delta]) -> None:
        self._deltas = deltas

    def feed(self, data: bytes) -> list[Delta]:
        out, self._deltas = self._deltas[: len(data)], self._deltas[len(data) :]
        return out

    def finish(self) -> list[Delta]:
        return self.feed(b"x" * len(self._deltas))


def test_requests() -> None:
    function = Tool(name="run", parameters={"type": "object"})
    chat = Chat(
        messages=[
            Message(role="user", content=[Text(text="hi")]),
            Message(role="assistant", content=[ToolCall(id="1", name="patch", arguments='a "b"\n', custom=True)]),
            Message(role="tool", content=[ToolResult(id="1", content=[Text(text="ok")], custom=True)]),
        ],
        tools=[function, Tool(name="patch", description="Edits.", custom=True, native=GRAMMAR)],
    )
    assert text_tools(chat) == NAMES
    changed = as_functions(chat)
    assert changed.tools[0] is function
    made = changed.tools[1]
    assert (made.custom, made.native) == (False, None)
    assert made.parameters is not None
    assert made.parameters["required"] == ["input"]
    assert made.description == "Edits.\nThe input must follow this grammar (lark):\nstart: WORD"
    call, result = changed.messages[1].content[0], changed.messages[2].content[0]
    assert isinstance(call, ToolCall)
    assert (json.loads(call.arguments), call.custom) == ({"input": 'a "b"\n'}, False)
    assert isinstance(result, ToolResult)
    assert not result.custom
    assert chat.messages[1].content[0] == ToolCall(id="1", name="patch", arguments='a "b"\n', custom=True)


@given(st.text())
def test_answers(text: str) -> None:
    written = json.dumps({"input": text})
    content = [ToolCall(id="1", name="patch", arguments=written), ToolCall(id="2", name="run", arguments=written)]
    answer = restored(Answer(choices=[Choice(content=list(content))]), NAMES)
    assert answer.choices[0].content == [
        ToolCall(id="1", name="patch", arguments=text, custom=True),
        ToolCall(id="2", name="run", arguments=written),
    ]


def test_what_is_no_object_is_the_text_itself() -> None:
    content = [ToolCall(id="1", name="patch", arguments="*** Begin Patch")]
    answer = restored(Answer(choices=[Choice(content=list(content))]), NAMES)
    assert answer.choices[0].content == [ToolCall(id="1", name="patch", arguments="*** Begin Patch", custom=True)]


@given(st.text(), st.integers(1, 9))
def test_streams(text: str, size: int) -> None:
    written = json.dumps({"input": text})
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    deltas: list[Delta] = [
        TextDelta(text="so"),
        ToolStarted(index=0, id="1", name="patch"),
        ToolStarted(index=1, id="2", name="run"),
        *(ToolDelta(index=0, arguments=piece) for piece in pieces),
        ToolDelta(index=1, arguments="{}"),
        Finished(reason="tool_calls"),
        Ended(),
    ]
    reader = RestoringReader(Told(deltas), NAMES)
    out = reader.feed(b"xxx") + reader.finish()
    assert out == [
        TextDelta(text="so"),
        ToolStarted(index=0, id="1", name="patch", custom=True),
        ToolStarted(index=1, id="2", name="run"),
        ToolDelta(index=1, arguments="{}"),
        ToolDelta(index=0, arguments=text),
        Finished(reason="tool_calls"),
        Ended(),
    ]
