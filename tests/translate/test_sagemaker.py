"""SageMaker's endpoints: what containers take, and their bytes out of AWS's frames."""

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
from routeiq.providers.dialects import sagemaker
from routeiq.providers.translate.chat import (
    Chat,
    Delta,
    Ended,
    Finished,
    Format,
    Media,
    Message,
    Reasoning,
    Started,
    Text,
    TextDelta,
    Tool,
    Used,
)
from routeiq.providers.translate.codec import Context, Fit, ProviderCodec
from routeiq.providers.translate.embed import Embed
from routeiq.providers.translate.sagemaker.provider import SagemakerProvider
from routeiq.providers.translate.sagemaker.text import SagemakerTextProvider
from support.fake_sagemaker import Sagemaker, SagemakerText, failure, model_error, part
from support.native import Turn

CHAT, TEXT = SagemakerProvider(), SagemakerTextProvider()
USER = Message(role="user", content=[Text(text="hi")])
NOTHING = Chat(messages=[])
TOOL = Tool(name="weather", parameters={"type": "object"})


def write(codec: ProviderCodec, chat: Chat, options: dict[str, str] | None = None, **fit: Any) -> tuple[Any, list[str]]:
    how = Fit("sagemaker", **fit)
    outgoing = codec.write(chat, Context(provider="sagemaker", model="e", options=options or {}), how)
    assert outgoing.operation == "invoke"
    return json.loads(outgoing.body), how.dropped


def refused(chat: Chat, param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        write(TEXT, chat)
    assert raised.value.param == param


def test_messages() -> None:
    chat = Chat(
        messages=[USER],
        tools=[TOOL],
        max_tokens=9,
        top_k=3,
        min_p=0.5,
        n=2,
        reasoning=Reasoning(effort="low"),
        user="u",
        metadata={"a": "b"},
        stream=True,
        extra={"chat_template_kwargs": {"enable_thinking": False}, "ignore_eos": True},
    )
    body, dropped = write(CHAT, chat, always=["ignore_eos"])
    assert body == {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "max_tokens": 9,
        "top_k": 3,
        "min_p": 0.5,
        "n": 2,
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": False},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert dropped == ["user", "metadata", "ignore_eos"]
    assert write(CHAT, Chat(messages=[USER]), {"served_model": "meta/llama"})[0]["model"] == "meta/llama"


def test_a_prompt() -> None:
    chat = Chat(
        messages=[Message(role="system", content=[Text(text="be")]), USER],
        max_tokens=9,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        seed=7,
        stop=["a"],
        frequency_penalty=0.5,
        user="u",
        stream=True,
        extra={"repetition_penalty": 1.5},
    )
    assert write(TEXT, chat) == (
        {
            "inputs": "be\n\nhi",
            "parameters": {
                "details": True,
                "return_full_text": False,
                "temperature": 0.5,
                "do_sample": True,
                "top_p": 0.25,
                "top_k": 3,
                "frequency_penalty": 0.5,
                "seed": 7,
                "max_new_tokens": 9,
                "stop": ["a"],
                "repetition_penalty": 1.5,
            },
            "stream": True,
        },
        ["user"],
    )
    body, _ = write(TEXT, Chat(messages=[USER], temperature=0.0))
    assert body["parameters"] == {"details": True, "return_full_text": False, "do_sample": False}


def test_what_is_refused() -> None:
    refused(Chat(messages=[USER], tools=[TOOL]), "tools")
    refused(Chat(messages=[USER], format=Format()), "response_format")
    refused(Chat(messages=[USER], n=2), "n")
    refused(Chat(messages=[USER], extra={"ignore_eos": True}), "ignore_eos")
    picture = Media(kind="image", media_type="image/png", data="aGk=")
    refused(Chat(messages=[Message(role="user", content=[picture])]), "messages")


@pytest.mark.parametrize(
    ("body", "text", "usage"),
    [
        ([{"generated_text": "yes"}], "yes", Usage(1, 1, estimated=True)),
        ({"generated_text": "yes", "details": {"generated_tokens": 3}}, "yes", Usage(1, 3, estimated=True)),
        ({"generation": "yes"}, "yes", Usage(1, 1, estimated=True)),
    ],
)
def test_texts(body: Any, text: str, usage: Usage) -> None:
    answer = TEXT.read(json.dumps(body).encode(), NOTHING)
    assert answer.choices[0].content == [Text(text=text)]
    assert answer.usage == usage


def test_answers_without_text() -> None:
    for body in (b"[]", b"{}", b"[[]]", b"7"):
        with pytest.raises(msgspec.ValidationError):
            TEXT.read(body, NOTHING)


def read(codec: ProviderCodec, *pieces: bytes) -> list[Delta]:
    reader = codec.reader(NOTHING)
    return [delta for piece in pieces for delta in reader.feed(piece)] + reader.finish()


def stream(fake: Sagemaker, size: int) -> bytes:
    """A container's stream in frames that cut events anywhere."""
    data = b"".join(fake.events())
    return b"".join(part(data[at : at + size]) for at in range(0, len(data), size))


STREAMS = [(CHAT, stream(Sagemaker(), 50)), (TEXT, stream(SagemakerText(), 50))]


@pytest.mark.parametrize(("codec", "data"), STREAMS)
def test_streams(codec: ProviderCodec, data: bytes) -> None:
    deltas = read(codec, data)
    assert isinstance(deltas[0], Started)
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)] == ["Hello", ", ", "world."]
    assert deltas[-3:] == [Finished(reason="stop"), Used(usage=Usage(7, 5)), Ended()]


@pytest.mark.parametrize(("codec", "data"), STREAMS)
@given(data_=st.data())
def test_a_stream_cut_into_any_pieces_is_the_same(codec: ProviderCodec, data: bytes, data_: st.DataObject) -> None:
    cuts = data_.draw(st.lists(st.integers(0, len(data)), max_size=12))
    at = [0, *sorted(cuts), len(data)]
    assert read(codec, *(data[start:end] for start, end in pairwise(at))) == read(codec, data)


@pytest.mark.parametrize(("codec", "fake"), [(CHAT, Sagemaker()), (TEXT, SagemakerText())])
def test_a_stream_that_was_cut_off_never_ends(codec: ProviderCodec, fake: Sagemaker) -> None:
    frames = [part(event) for event in fake.events()]
    told = sum(len(frame) for frame in frames[: -3 if codec is CHAT else -1])
    data = b"".join(frames)
    for size in range(told):
        assert Ended() not in read(codec, data[:size])


def test_lines_of_json_are_a_stream_too() -> None:
    lines = b'{"token":{"text":"a"}}\n\n:comment\n{"token":{"text":"b"},"details":{"finish_reason":"length"}}'
    deltas = read(TEXT, part(lines))
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)] == ["a", "b"]
    assert deltas[-3] == Finished(reason="length")


def test_errors_in_a_stream() -> None:
    with pytest.raises(UpstreamError, match="too slow") as raised:
        read(CHAT, failure("ModelStreamError", {"Message": "too slow", "ErrorCode": "x"}))
    assert (raised.value.status, raised.value.code, raised.value.retryable) == (424, "ModelStreamError", True)
    with pytest.raises(UpstreamError, match="broke") as raised:
        read(TEXT, failure("InternalStreamFailure", {"Message": "broke"}))
    assert (raised.value.status, raised.value.code) == (500, "InternalStreamFailure")
    with pytest.raises(UpstreamError, match="no room"):
        read(TEXT, part(b'data:{"error":"no room","error_type":"overloaded"}\n\n'))
    for codec in (CHAT, TEXT):
        with pytest.raises(UpstreamError):
            read(codec, b"<html>" * 20)


def test_errors_of_the_container_and_of_aws() -> None:
    error = sagemaker.from_answer(424, model_error(429, "slow down"), provider="s", retry_after=None)
    assert (error.status, error.message, error.class_name) == (429, "slow down", "RateLimitError")
    plain = json.dumps({"OriginalStatusCode": 400, "OriginalMessage": "maximum context length"}).encode()
    error = sagemaker.from_answer(424, plain, provider="s", retry_after=None)
    assert (error.status, error.fallback) == (400, "context_window")
    error = sagemaker.from_answer(424, b'{"Message":"m"}', provider="s", retry_after=None)
    assert (error.status, error.message, error.retryable) == (424, "m", True)
    error = sagemaker.from_answer(400, b'{"Message":"Endpoint x not found"}', provider="s", retry_after=None)
    assert (error.status, error.message) == (400, "Endpoint x not found")


@pytest.mark.parametrize("codec", [CHAT, TEXT])
@given(body=st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_anything_is_read_or_refused(codec: ProviderCodec, body: bytes) -> None:
    try:
        codec.read(body, NOTHING)
    except (msgspec.DecodeError, UnicodeDecodeError, UpstreamError):
        pass
    for data in (body, part(body + b"\n"), part(b"data: " + body + b"\n\n")):
        try:
            read(codec, data)
        except UpstreamError:
            pass


def test_embeddings() -> None:
    context = Context(provider="sagemaker", model="e", options={"served_model": "bge"})
    embed = Embed(inputs=["a", "bc"], dimensions=3)
    sent = CHAT.write_embed(embed, context, Fit("sagemaker"))
    assert json.loads(sent.body) == {"input": ["a", "bc"], "dimensions": 3, "model": "bge"}
    with pytest.raises(BadRequest) as raised:
        TEXT.write_embed(embed, context, Fit("sagemaker"))
    assert raised.value.param == "dimensions"
    fit = Fit("sagemaker", tolerant=True)
    sent = TEXT.write_embed(Embed(inputs=["a", "bc"], dimensions=3, user="u"), context, fit)
    assert (json.loads(sent.body), fit.dropped) == ({"inputs": ["a", "bc"]}, ["dimensions", "user"])
    for body in (b"[[1],[2.5]]", b'{"embedding":[[1],[2.5]]}', b'{"embeddings":[[1],[2.5]]}'):
        found = TEXT.read_embed(body, embed)
        assert (found.vectors, found.usage) == ([[1.0], [2.5]], Usage(1, estimated=True))
    assert TEXT.read_embed(b'{"embedding":[1,2.5]}', embed).vectors == [[1.0, 2.5]]
    for nothing in (b"[]", b"{}", b"[[[1]]]"):
        with pytest.raises(msgspec.ValidationError):
            TEXT.read_embed(nothing, embed)
    with pytest.raises(BadRequest):
        TEXT.write_embed(Embed(inputs=[[1]]), context, fit)


def test_text_that_was_stopped() -> None:
    fake = SagemakerText()
    fake.turn = Turn(long=True)
    assert TEXT.read(json.dumps(fake.whole()).encode(), NOTHING).choices[0].finish == "length"
