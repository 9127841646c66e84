"""From one dialect into another and back: a request means what it meant, an answer says what it said.

client A ─read─► Chat ─write─► provider B's body ─read─► Chat ─write─► provider A's body
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.usage import Usage
from routeiq.providers.translate.anthropic.client import AnthropicClient
from routeiq.providers.translate.anthropic.provider import AnthropicProvider
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Format,
    Media,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.codec import ClientCodec, Context, Fit, ProviderCodec
from routeiq.providers.translate.gemini.client import GeminiClient
from routeiq.providers.translate.gemini.provider import GeminiProvider
from routeiq.providers.translate.openai.client import OpenAIClient
from routeiq.providers.translate.openai.provider import OpenAIProvider

MODELS = {"openai": "gpt-5.1", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
CLIENTS: dict[str, ClientCodec] = {
    "openai": OpenAIClient(),
    "anthropic": AnthropicClient(),
    "gemini": GeminiClient(),
}
PROVIDERS: dict[str, ProviderCodec] = {
    "openai": OpenAIProvider(),
    "anthropic": AnthropicProvider(),
    "gemini": GeminiProvider(),
}
PAIRS = [(one, other) for one in CLIENTS for other in CLIENTS if one != other]

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(
    str.strip
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers(-1000, 1000) | texts
arguments = st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=3)
images = st.binary(min_size=1, max_size=8).map(
    lambda data: Media(kind="image", media_type="image/png", data=base64.b64encode(data).decode())
)
schemas = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(
            names,
            st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]),
            min_size=1,
            max_size=3,
        ),
    }
)
tools = st.builds(Tool, name=names, description=texts, parameters=schemas)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    """What all dialects can say."""
    offered = draw(st.lists(tools, max_size=3, unique_by=lambda tool: tool.name))
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message(role="system", content=[Text(text=draw(texts))]))
    for turn in range(draw(st.integers(1, 3))):
        messages.append(Message(role="user", content=draw(st.lists(texts.map(_text) | images, min_size=1, max_size=3))))
        if turn == 2:
            break
        calls = [
            ToolCall(id=f"call_{turn}_{at}_{tool.name}", name=tool.name, arguments=json.dumps(draw(arguments)))
            for at, tool in enumerate(offered[: draw(st.integers(0, 2))])
        ]
        said: list[Any] = [Text(text=draw(texts))] if not calls or draw(st.booleans()) else []
        messages.append(Message(role="assistant", content=[*said, *calls]))
        for call in calls:
            result = ToolResult(id=call.id, name=call.name, content=[Text(text=draw(texts))])
            messages.append(Message(role="tool", content=[result]))
    if messages[-1].role == "assistant":
        messages.append(Message(role="user", content=[Text(text=draw(texts))]))
    choice = None
    if offered:
        modes = st.sampled_from(["auto", "none", "required"]).map(lambda mode: ToolChoice(mode=mode))
        one = st.just(ToolChoice(mode="tool", names=(offered[0].name,)))
        choice = draw(st.none() | modes | one)
    return Chat(
        messages=messages,
        tools=offered,
        tool_choice=choice,
        max_tokens=draw(st.integers(3000, 8000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        top_p=draw(st.none() | st.sampled_from([0.25, 0.5])),
        stop=draw(st.lists(texts, max_size=3, unique=True)),
        format=draw(st.none() | schemas.map(lambda schema: Format(schema=schema, name="answer")))
        if not offered
        else None,
    )


def _text(value: str) -> Text:
    return Text(text=value)


def written(name: str, chat: Chat) -> bytes:
    fit = Fit(name)
    body = PROVIDERS[name].write(chat, Context(provider=name, model=MODELS[name]), fit).body
    assert fit.dropped == [], fit.dropped
    return body


def meaning(chat: Chat) -> dict[str, Any]:
    """A request without what may differ: how turns are cut into messages, the order of a schema's members."""
    turns: list[tuple[str, list[Any]]] = []
    for message in chat.messages:
        role = "user" if message.role == "tool" else message.role
        blocks = [_block(block) for block in message.content]
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    wanted = chat.format.schema if chat.format is not None else None
    return {
        "turns": [(role, _joined(blocks)) for role, blocks in turns],
        "tools": [(tool.name, tool.description, _schema(tool.parameters)) for tool in chat.tools],
        "choice": None if chat.tool_choice in (None, ToolChoice(mode="auto")) else chat.tool_choice,
        "format": _schema(wanted),
        "sampling": (chat.max_tokens, chat.temperature, chat.top_p, chat.stop),
        "reasoning": chat.reasoning,
    }


def _block(block: Any) -> Any:
    if isinstance(block, Text):
        return ("text", block.text)
    if isinstance(block, Media):
        return ("image", block.media_type, base64.b64decode(block.data))
    if isinstance(block, ToolCall):
        return ("call", block.name, json.loads(block.arguments))
    assert isinstance(block, ToolResult)
    return ("result", [part.text for part in block.content if isinstance(part, Text)])


def _joined(blocks: list[Any]) -> list[Any]:
    """Texts that follow each other as one."""
    out: list[Any] = []
    for block in blocks:
        if block[0] == "text" and out and out[-1][0] == "text":
            out[-1] = ("text", out[-1][1] + block[1])
        else:
            out.append(block)
    return out


def _schema(schema: Any) -> Any:
    if isinstance(schema, dict):
        ignored = ("additionalProperties", "propertyOrdering", "required", "strict")
        return {name: _schema(value) for name, value in sorted(schema.items()) if name not in ignored}
    return schema.lower() if isinstance(schema, str) else schema


@pytest.mark.parametrize(("here", "there"), PAIRS)
@settings(max_examples=60, deadline=None)
@given(chat=chats())
def test_requests(here: str, there: str, chat: Chat) -> None:
    asked = CLIENTS[here].read(written(here, chat))
    assert meaning(asked) == meaning(chat)
    away = CLIENTS[there].read(written(there, asked))
    back = CLIENTS[here].read(written(here, away))
    assert meaning(back) == meaning(asked)


@pytest.mark.parametrize(("here", "there"), PAIRS)
@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_reasoning(here: str, there: str, effort: Any) -> None:
    """An effort may become a budget on its way, and is the same effort when it is back."""
    chat = Chat(messages=[Message(role="user", content=[Text(text="hi")])], max_tokens=9000)
    chat.reasoning = Reasoning(effort=effort)
    away = CLIENTS[there].read(written(there, chat))
    back = CLIENTS["openai"].read(written("openai", away))
    assert back.reasoning is not None
    assert back.reasoning.effort == effort


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    calls = [
        ToolCall(id=f"call_{at}_{name}", name=name, arguments=json.dumps(draw(arguments)))
        for at, name in enumerate(draw(st.lists(names, max_size=3)))
    ]
    said: list[Any] = [Text(text=draw(texts))] if not calls or draw(st.booleans()) else []
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    usage = Usage(prompt=draw(st.integers(1, 10**6)), completion=draw(st.integers(1, 10**6)))
    usage.cached = draw(st.integers(0, usage.prompt))
    return Answer(id="a1", model="m", created=1, choices=[Choice(content=[*said, *calls], finish=finish)], usage=usage)


@pytest.mark.parametrize("name", CLIENTS)
@settings(max_examples=80, deadline=None)
@given(answer=answers())
def test_answers(name: str, answer: Answer) -> None:
    chat = Chat(messages=[])
    back = PROVIDERS[name].read(CLIENTS[name].write(answer, chat), chat)
    assert back.choices[0].finish == answer.choices[0].finish
    blocks = [_block(block) for block in back.choices[0].content]
    assert _joined(blocks) == _joined([_block(block) for block in answer.choices[0].content])
    assert back.usage is not None
    assert answer.usage is not None
    told, meant = back.usage, answer.usage
    assert (told.prompt, told.completion, told.cached) == (meant.prompt, meant.completion, meant.cached)
