"""Names of tools a provider refuses: it is told others, and the client is told its own."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolStarted,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.registry import CHAT_PROVIDERS
from routeiq.providers.translate.toolnames import NamingReader, names_restored, renamed
from routeiq.providers.translate.whole import WholeReader

DIALECTS = {
    "openai": r"[a-zA-Z0-9_-]{1,64}",
    "anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "gemini": r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
    "bedrock": r"[a-zA-Z0-9_-]{1,64}",
    "watsonx": r"[a-zA-Z0-9_-]{1,64}",
}
ODD = ["mcp.files/read", "mcp.files.read", "1st", "x" * 200, "wetter für ☃"]


def asked(names: list[str]) -> Chat:
    calls = [ToolCall(id=f"c{at}", name=name, arguments="{}") for at, name in enumerate(names)]
    results = [ToolResult(id=call.id, name=call.name) for call in calls]
    return Chat(
        messages=[
            Message(role="user", content=[]),
            Message(role="assistant", content=[*calls]),
            Message(role="tool", content=[*results]),
        ],
        tools=[Tool(name=name, parameters={"type": "object", "properties": {"a": {}}}) for name in names],
        tool_choice=ToolChoice(mode="tool", names=(names[0],)),
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@given(names=st.lists(st.text(min_size=1, max_size=150) | st.sampled_from(ODD), min_size=1, max_size=5, unique=True))
def test_every_name_is_one_the_provider_takes(dialect: str, names: list[str]) -> None:
    chat, back = renamed(asked(names), dialect)
    told = [tool.name for tool in chat.tools]
    assert all(re.fullmatch(DIALECTS[dialect], name) for name in told)
    assert [back.get(name, name) for name in told] == names
    assert chat.tool_choice == ToolChoice(mode="tool", names=(told[0],))
    blocks = [block for message in chat.messages for block in message.content]
    assert [block.name for block in blocks if isinstance(block, (ToolCall, ToolResult))] == told * 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_a_provider_takes_are_left_alone(dialect: str) -> None:
    chat = asked(["weather", "mcp__files__read"])
    assert renamed(chat, dialect) == (chat, {})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_body_holds_none_of_the_odd_names(dialect: str) -> None:
    chat, _ = renamed(asked(ODD), dialect)
    body = CHAT_PROVIDERS[dialect].write(chat, Context(provider=dialect, model="claude"), Fit(dialect)).body.decode()
    names = re.findall(r'"(?:name|toolName)":"([^"]*)"', body)
    assert len(names) > len(ODD)
    assert all(re.fullmatch(DIALECTS[dialect], name) for name in names)


def test_answers_name_them_as_the_client_does() -> None:
    chat, back = renamed(asked(ODD), "openai")

    def answer() -> Answer:
        calls = [ToolCall(id=tool.name, name=tool.name, arguments="{}") for tool in chat.tools]
        return Answer(choices=[Choice(content=[*calls, ToolCall(id="o", name="other", arguments="{}")])])

    blocks = names_restored(answer(), back).choices[0].content
    assert [block.name for block in blocks if isinstance(block, ToolCall)] == [*ODD, "other"]
    reader = NamingReader(WholeReader(lambda _: answer(), 10), back)
    deltas = reader.feed(json.dumps({}).encode()) + reader.finish()
    assert [delta.name for delta in deltas if isinstance(delta, ToolStarted)] == [*ODD, "other"]
