"""Ollama's own API: requests its SDK would make, answers and streams of its types."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.translate.chat import (
    CacheMark,
    Chat,
    Delta,
    Ended,
    Finished,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolDelta,
    ToolResult,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.embed import Embed
from routeiq.providers.translate.ollama.provider import OllamaProvider
from support.fake_ollama import call, check, last, line, logprob

CODEC = OllamaProvider()
USER = Message(role="user", content=[Text(text="hi")])
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool(name="weather", description="d", parameters=SCHEMA)
CLOCK = Tool(name="clock")
NOTHING = Chat(messages=[])


def write(chat: Chat, model: str = "llama3", **fit: Any) -> tuple[dict[str, Any], list[str]]:
    how = Fit("ollama", **fit)
    outgoing = CODEC.write(chat, Context(provider="ollama", model=model), how)
    assert outgoing.operation == "ollama_chat"
    return check(outgoing.body), how.dropped


def refused(chat: Chat, param: str) -> str:
    with pytest.raises(BadRequest) as raised:
        write(chat)
    assert raised.value.param == param
    return raised.value.message


def test_turns() -> None:
    picture = Media(kind="image", media_type="image/png", data="aGk=")
    chat = Chat(
        messages=[
            Message(role="developer", content=[Text(text="be", cache=CacheMark())]),
            Message(
                role="user", content=[Text(text="see"), picture, Media(kind="document", text="words", name="a.txt")]
            ),
            Message(
                role="assistant",
                content=[
                    Thinking(text="hm"),
                    Text(text="ye"),
                    Text(text="s"),
                    Refusal(text="!"),
                    ToolCall(id="1", name="weather", arguments='{"city":"Rome"}'),
                    ToolCall(id="2", name="clock", arguments="now"),
                ],
                name="bob",
            ),
            Message(
                role="user",
                content=[
                    ToolResult(id="1", content=[Text(text="sun"), Text(text="wind"), picture]),
                    ToolResult(id="2", failed=True),
                    ToolResult(id="3", content=[picture]),
                    Text(text="so?"),
                ],
            ),
        ]
    )
    body, dropped = write(chat)
    assert body == {
        "model": "llama3",
        "stream": False,
        "messages": [
            {"role": "system", "content": "be"},
            {"role": "user", "content": "see\na.txt\nwords", "images": ["aGk="]},
            {
                "role": "assistant",
                "content": "yes!",
                "thinking": "hm",
                "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Rome"}}},
                    {"function": {"name": "clock", "arguments": {"input": "now"}}},
                ],
            },
            {"role": "tool", "content": "sun\nwind", "tool_name": "weather"},
            {"role": "user", "content": "", "images": ["aGk="]},
            {"role": "tool", "content": "The tool failed.", "tool_name": "clock"},
            {"role": "tool", "content": "The result follows in the next message."},
            {"role": "user", "content": "", "images": ["aGk="]},
            {"role": "user", "content": "so?"},
        ],
    }
    assert dropped == ["name", "cache_control", "is_error"]


def test_parameters() -> None:
    chat = Chat(
        messages=[USER],
        max_tokens=9,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        min_p=0.125,
        seed=7,
        presence_penalty=1.5,
        frequency_penalty=0.5,
        stop=["a", "b"],
        logprobs=True,
        top_logprobs=2,
        user="u",
        stream=True,
        extra={"keep_alive": "5m", "num_ctx": 8192, "options": {"mirostat": 1, "seed": 1}},
    )
    body, dropped = write(chat)
    del body["messages"]
    assert body == {
        "model": "llama3",
        "stream": True,
        "logprobs": True,
        "top_logprobs": 2,
        "keep_alive": "5m",
        "options": {
            "mirostat": 1,
            "seed": 7,
            "temperature": 0.5,
            "top_p": 0.25,
            "top_k": 3,
            "min_p": 0.125,
            "presence_penalty": 1.5,
            "frequency_penalty": 0.5,
            "num_ctx": 8192,
            "num_predict": 9,
            "stop": ["a", "b"],
        },
    }
    assert dropped == ["user"]
    names = ["max_tokens", "stop", "seed", "num_ctx", "keep_alive", "options"]
    body, dropped = write(chat, always=names)
    assert set(body["options"]) == {"temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"}
    assert "keep_alive" not in body
    assert set(dropped) == {*names, "user"}


@pytest.mark.parametrize(
    ("reasoning", "model", "think"),
    [
        (Reasoning(effort="none"), "qwen3", False),
        (Reasoning(effort="low"), "qwen3", True),
        (Reasoning(budget=4096), "qwen3", True),
        (Reasoning(adaptive=True), "qwen3", True),
        (Reasoning(), "qwen3", None),
        (Reasoning(effort="minimal"), "gpt-oss:20b", "low"),
        (Reasoning(effort="max"), "gpt-oss:120b-cloud", "high"),
        (Reasoning(effort="none"), "gpt-oss:20b", "low"),
    ],
)
def test_thinking(reasoning: Reasoning, model: str, think: Any) -> None:
    assert write(Chat(messages=[USER], reasoning=reasoning), model)[0].get("think") == think


def test_thinking_in_its_own_words() -> None:
    chat = Chat(messages=[USER], reasoning=Reasoning(effort="low"), extra={"think": "high"})
    assert write(chat)[0]["think"] == "high"
    assert "think" not in write(chat, always=["think"])[0]


def test_tools() -> None:
    chat = Chat(messages=[USER], tools=[WEATHER, msgspec.structs.replace(CLOCK, strict=True, cache=CacheMark())])
    body, dropped = write(chat)
    assert body["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert dropped == ["cache_control", "strict"]
    chat.tool_choice = ToolChoice(mode="auto", names=("clock",))
    assert [tool["function"]["name"] for tool in write(chat)[0]["tools"]] == ["clock"]
    chat.tool_choice = ToolChoice(mode="none")
    assert "tools" not in write(chat)[0]
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="tool", names=("clock",))):
        chat.tool_choice = choice
        assert "make a model call" in refused(chat, "tool_choice")
    body, dropped = write(chat, tolerant=True)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock"]
    assert "tool_choice" in dropped


def test_format() -> None:
    assert write(Chat(messages=[USER], format=Format()))[0]["format"] == "json"
    assert write(Chat(messages=[USER], format=Format(schema=SCHEMA)))[0]["format"] == SCHEMA
    assert "format" not in write(Chat(messages=[USER], format=Format()), always=["response_format"])[0]


def test_what_is_refused() -> None:
    refused(Chat(messages=[USER], n=2), "n")
    refused(Chat(messages=[USER], parallel_tool_calls=False), "parallel_tool_calls")
    refused(Chat(messages=[USER], extra={"guided_regex": "x"}), "guided_regex")
    refused(Chat(messages=[USER], extra={"options": "x"}), "options")
    refused(Chat(messages=[Message(role="user", content=[Native(dialect="gemini", value={})])]), "messages")
    for media in (Media(kind="image", url="https://a.example/b.png"), Media(kind="audio", data="aGk=")):
        refused(Chat(messages=[Message(role="user", content=[media])]), "messages")


def test_a_whole_answer() -> None:
    whole = line(
        "yes",
        thinking="hm",
        tool_calls=[call("weather", {"city": "Rome"}), call("clock", {})],
        done_reason="stop",
        prompt_eval_count=3,
        eval_count=2,
        logprobs=[logprob("y", -0.5, n=-1.5)],
    )
    answer = CODEC.read(whole, NOTHING)
    [choice] = answer.choices
    assert answer.usage == Usage(3, 2)
    assert choice.content == [
        Thinking(text="hm"),
        Text(text="yes"),
        ToolCall(id="call_20261121100000123456789_0", name="weather", arguments='{"city": "Rome"}'),
        ToolCall(id="call_20261121100000123456789_1", name="clock", arguments="{}"),
    ]
    assert choice.finish == "tool_calls"
    [token] = choice.logprobs["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("y", -0.5, [121])
    assert token["top_logprobs"] == [{"token": "n", "logprob": -1.5, "bytes": [110]}]
    assert CODEC.read(line("x"), NOTHING).usage is None
    assert CODEC.read(last("length"), NOTHING).choices[0].finish == "length"
    named = CODEC.read(b'{"message":{"tool_calls":[{"id":"call_9","function":{"name":"f"}}]}}', NOTHING)
    assert named.choices[0].content == [ToolCall(id="call_9", name="f", arguments="{}")]


STREAM = b"".join(
    (
        line(thinking="hm"),
        line("yé"),
        line("s", logprobs=[logprob("s", -0.25)]),
        line(tool_calls=[call("weather", {"city": "Köln"}), call("clock", {})]),
        last(),
    )
)


def read(*pieces: bytes) -> list[Delta]:
    reader = CODEC.reader(NOTHING)
    return [delta for piece in pieces for delta in reader.feed(piece)] + reader.finish()


def test_a_stream() -> None:
    content = [{"token": "s", "logprob": -0.25, "bytes": [115], "top_logprobs": []}]
    assert read(STREAM) == [
        Started(model="llama3"),
        ThinkingDelta(text="hm"),
        TextDelta(text="yé"),
        TextDelta(text="s", logprobs={"content": content, "refusal": None}),
        ToolStarted(index=0, id="call_20261121100000123456789_0", name="weather"),
        ToolDelta(index=0, arguments=json.dumps({"city": "Köln"})),
        ToolStarted(index=1, id="call_20261121100000123456789_1", name="clock"),
        ToolDelta(index=1, arguments="{}"),
        Finished(reason="tool_calls"),
        Used(usage=Usage(7, 5)),
        Ended(),
    ]
    assert read(STREAM.rstrip()) == read(STREAM)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_cut_into_any_pieces_is_the_same(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[start:end] for start, end in pairwise(at))) == read(STREAM)


def test_a_stream_that_was_cut_off_never_ends() -> None:
    for size in range(len(STREAM) - 1):
        assert Ended() not in read(STREAM[:size])


def test_errors() -> None:
    with pytest.raises(UpstreamError, match="fell over"):
        read(line("x"), b'{"error":"the model fell over"}\n')
    with pytest.raises(UpstreamError):
        read(b"<html>\n")
    with pytest.raises(UpstreamError, match="no room"):
        CODEC.read(b'{"error":"no room"}', NOTHING)
    error = errors.from_answer(404, b'{"error":"model \'x\' not found"}', provider="ollama", retry_after=None)
    assert (error.message, error.class_name) == ("model 'x' not found", "NotFoundError")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "done", "error", "content", "tool_calls", "function", "arguments", "name"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.binary(max_size=40))
def test_anything_is_read_or_refused(value: Any) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    try:
        CODEC.read(body, NOTHING)
    except (msgspec.DecodeError, UnicodeDecodeError, UpstreamError):
        pass
    try:
        read(body + b"\n")
    except UpstreamError:
        pass


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(UpstreamError):
        read(b'{"error":' + b"[" * 100_000 + b"\n")


def test_embeddings() -> None:
    context = Context(provider="ollama", model="nomic-embed-text")
    fit = Fit("ollama")
    sent = CODEC.write_embed(Embed(inputs=["a", "b"], dimensions=3, task="query", user="u"), context, fit)
    assert (sent.operation, fit.dropped) == ("ollama_embed", ["task", "user"])
    assert json.loads(sent.body) == {"model": "nomic-embed-text", "input": ["a", "b"], "dimensions": 3}
    found = CODEC.read_embed(b'{"embeddings":[[1,2.5],[3,4]],"prompt_eval_count":6}', Embed(inputs=["a", "b"]))
    assert (found.vectors, found.usage) == ([[1.0, 2.5], [3.0, 4.0]], Usage(prompt=6))
    with pytest.raises(BadRequest):
        CODEC.write_embed(Embed(inputs=[[1, 2]]), context, fit)
    with pytest.raises(msgspec.DecodeError):
        CODEC.read_embed(b'{"error":"x"}', Embed(inputs=["a"]))
