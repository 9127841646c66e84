"""watsonx.ai: requests its reference describes, and streams without an end marker."""

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
from routeiq.providers.translate.chat import (
    Chat,
    Delta,
    Ended,
    Finished,
    Format,
    Media,
    Message,
    Reasoning,
    Refusal,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Used,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.embed import Embed
from routeiq.providers.translate.watsonx.provider import WatsonxProvider
from support import chunks
from support.fake_watsonx import check, event, named
from support.native import Turn

CODEC = WatsonxProvider()
USER = Message(role="user", content=[Text(text="hi")])
SCHEMA = {"type": "object", "properties": {}}
TOOLS = [Tool(name="weather", parameters=SCHEMA, strict=True), Tool(name="clock")]
NOTHING = Chat(messages=[])
PROJECT = {"project_id": "p-1", "space_id": "s-1"}


def write(chat: Chat, options: dict[str, str] = PROJECT, **fit: Any) -> tuple[dict[str, Any], list[str]]:
    how = Fit("watsonx", **fit)
    outgoing = CODEC.write(chat, Context(provider="watsonx", model="ibm/granite", options=options), how)
    assert outgoing.operation == "watsonx_chat"
    return check(outgoing.body, deployed="no_model" in options), how.dropped


def refused(chat: Chat, param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        write(chat)
    assert raised.value.param == param


def test_parameters() -> None:
    chat = Chat(
        messages=[USER],
        max_tokens=9,
        temperature=0.5,
        top_p=0.25,
        seed=7,
        n=2,
        stop=["a"],
        logit_bias={"5": 1.0},
        presence_penalty=0.5,
        frequency_penalty=0.25,
        logprobs=True,
        top_logprobs=2,
        reasoning=Reasoning(effort="max"),
        format=Format(schema=SCHEMA, name="x"),
        user="u",
        metadata={"a": "b"},
        store=True,
        stream=True,
        extra={"time_limit": 5000, "guided_regex": "a+"},
    )
    body, dropped = write(chat)
    del body["messages"]
    assert body == {
        "model_id": "ibm/granite",
        "project_id": "p-1",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "seed": 7,
        "n": 2,
        "stop": ["a"],
        "logit_bias": {"5": 1.0},
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        "time_limit": 5000,
        "guided_regex": "a+",
    }
    assert dropped == ["user", "metadata", "store"]
    body, dropped = write(Chat(messages=[USER], reasoning=Reasoning(effort="none")))
    assert ("reasoning_effort" in body, dropped) == (False, ["reasoning_effort"])


def test_where_it_is_billed() -> None:
    chat = Chat(messages=[USER])
    assert write(chat, {"space_id": "s-1"})[0]["space_id"] == "s-1"
    assert set(write(chat, {**PROJECT, "no_model": "true"})[0]) == {"messages"}


def test_turns() -> None:
    chat = Chat(
        messages=[
            Message(role="developer", content=[Text(text="one"), Text(text="two")]),
            Message(role="user", content=[Text(text="see"), Media(kind="image", media_type="image/png", data="aGk=")]),
            Message(
                role="assistant",
                content=[
                    Thinking(text="hm"),
                    Text(text="a"),
                    Refusal(text="b"),
                    ToolCall(id="1", name="weather", arguments="{}"),
                ],
            ),
            Message(role="tool", content=[ToolResult(id="1", content=[Text(text="sun"), Text(text="wind")])]),
        ]
    )
    body, dropped = write(chat)
    assert body["messages"] == [
        {"role": "system", "content": "one\ntwo"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": "a\nb",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "sun\nwind"},
    ]
    assert dropped == ["thinking"]
    paper = Media(kind="document", media_type="application/pdf", data="aGk=")
    refused(Chat(messages=[Message(role="user", content=[paper])]), "messages")


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), {"tool_choice_option": "auto"}),
        (ToolChoice(mode="none"), {"tool_choice_option": "none"}),
        (ToolChoice(mode="required"), {"tool_choice_option": "required"}),
        (
            ToolChoice(mode="tool", names=("clock",)),
            {"tool_choice": {"type": "function", "function": {"name": "clock"}}},
        ),
    ],
)
def test_tool_choice(choice: ToolChoice, written: dict[str, Any]) -> None:
    body, dropped = write(Chat(messages=[USER], tools=TOOLS, tool_choice=choice))
    assert {name: value for name, value in body.items() if name.startswith("tool_choice")} == written
    assert (chunks.offered(body), dropped) == (["weather", "clock"], ["strict"])


def test_only_the_tools_that_are_allowed_are_shown() -> None:
    choice = ToolChoice(mode="required", names=("clock",))
    body, _ = write(Chat(messages=[USER], tools=TOOLS, tool_choice=choice))
    assert (chunks.offered(body), body["tool_choice_option"]) == (["clock"], "required")


def test_what_is_refused() -> None:
    refused(Chat(messages=[USER], top_k=3), "top_k")
    refused(Chat(messages=[USER], parallel_tool_calls=False), "parallel_tool_calls")
    refused(Chat(messages=[USER], extra={"mirostat": 1}), "mirostat")
    body, dropped = write(Chat(messages=[USER], top_k=3), tolerant=True)
    assert (set(body), dropped) == ({"model_id", "project_id", "messages"}, ["top_k"])


def read(*pieces: bytes) -> list[Delta]:
    reader = CODEC.reader(NOTHING)
    return [delta for piece in pieces for delta in reader.feed(piece)] + reader.finish()


FOUND = [*chunks.pieces(Turn(thought="hm", calls=(("weather", {"city": "Köln"}),))), chunks.used()]
STREAM = b"".join(event(number, named(chunk)) for number, chunk in enumerate(FOUND))


def test_a_stream_without_a_marker_ends_with_the_connection() -> None:
    deltas = read(STREAM)
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)] == ["Hello", ", ", "world."]
    assert deltas[-3:] == [Finished(reason="tool_calls"), Used(usage=Usage(7, 5)), Ended()]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_cut_into_any_pieces_is_the_same(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[start:end] for start, end in pairwise(at))) == read(STREAM)


def test_a_stream_cut_off_before_its_finish_never_ends() -> None:
    last = sum(len(event(number, named(chunk))) for number, chunk in enumerate(FOUND[:-2]))
    for size in range(last):
        assert Ended() not in read(STREAM[:size])


def test_an_error_in_a_stream() -> None:
    failed = {"errors": [{"code": "oops", "message": "fell over"}], "status_code": 503, "trace": "t"}
    with pytest.raises(UpstreamError, match="fell over") as raised:
        read(STREAM[:0] + event(1, named(FOUND[0])) + event(2, failed, "error"))
    assert (raised.value.status, raised.value.code) == (503, "oops")


def test_an_answer_that_took_too_long() -> None:
    answer = named(chunks.whole(Turn()))
    answer["choices"][0]["finish_reason"] = "time_limit"
    del answer["model"]
    found = CODEC.read(json.dumps(answer).encode(), NOTHING)
    assert (found.choices[0].finish, found.usage) == ("length", Usage(7, 5))


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_anything_is_read_or_refused(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        CODEC.read(body, NOTHING)
    try:
        read(b"data: " + body + b"\n\n")
    except UpstreamError:
        pass


def test_embeddings() -> None:
    context = Context(provider="watsonx", model="ibm/slate", options=PROJECT)
    fit = Fit("watsonx")
    sent = CODEC.write_embed(Embed(inputs=["a", "b"], task="query", user="u"), context, fit)
    assert (sent.operation, fit.dropped) == ("watsonx_embed", ["task", "user"])
    assert json.loads(sent.body) == {"model_id": "ibm/slate", "project_id": "p-1", "inputs": ["a", "b"]}
    found = CODEC.read_embed(
        b'{"results":[{"embedding":[1]},{"embedding":[2.5]}],"input_token_count":6}', Embed(inputs=[])
    )
    assert (found.vectors, found.usage) == ([[1.0], [2.5]], Usage(prompt=6))
    with pytest.raises(BadRequest) as raised:
        CODEC.write_embed(Embed(inputs=["a"], dimensions=3), context, fit)
    assert raised.value.param == "dimensions"
    with pytest.raises(BadRequest):
        CODEC.write_embed(Embed(inputs=[[1]]), context, fit)
