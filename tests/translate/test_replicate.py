"""Replicate's predictions: inputs of each family, and answers that come whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    CacheMark,
    Chat,
    Ended,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Started,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolCall,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.replicate.provider import ReplicateProvider, pending
from support.fake_replicate import check, prediction
from support.native import Turn

CODEC = ReplicateProvider()
USER = Message(role="user", content=[Text(text="hi")])
PICTURE = Media(kind="image", media_type="image/png", data="aGk=")
LLAMA = "meta/meta-llama-3-70b-instruct"
NOTHING = Chat(messages=[])


def write(chat: Chat, model: str = LLAMA, options: dict[str, str] | None = None, **fit: Any) -> tuple[Any, list[str]]:
    how = Fit("replicate", **fit)
    outgoing = CODEC.write(chat, Context(provider="replicate", model=model, options=options or {}), how)
    assert (outgoing.operation, outgoing.headers) == ("predictions", b"Prefer: wait=60\r\n")
    body = check(outgoing.body, deployed=bool(options))
    assert body.get("version", model) == model
    return body["input"], how.dropped


def refused(chat: Chat, param: str, model: str = LLAMA) -> None:
    with pytest.raises(BadRequest) as raised:
        write(chat, model)
    assert raised.value.param == param


TUNED = Chat(
    messages=[Message(role="system", content=[Text(text="be")]), USER],
    max_tokens=9,
    temperature=0.5,
    top_p=0.25,
    reasoning=Reasoning(effort="low"),
)


@pytest.mark.parametrize(
    ("model", "given", "left"),
    [
        (LLAMA, {"prompt": "hi", "system_prompt": "be", "max_tokens": 9}, ["reasoning_effort"]),
        ("anthropic/claude-4-sonnet", {"prompt": "hi", "system_prompt": "be", "max_tokens": 9}, ["reasoning_effort"]),
        (
            "openai/gpt-5",
            {
                "messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}],
                "max_completion_tokens": 9,
                "reasoning_effort": "low",
            },
            [],
        ),
        (
            "google/gemini-2.5-flash",
            {"prompt": "hi", "system_instruction": "be", "max_output_tokens": 9, "thinking_budget": 1024},
            [],
        ),
        ("0" * 64, {"prompt": "hi", "system_prompt": "be", "max_tokens": 9}, ["reasoning_effort"]),
        (LLAMA + ":" + "0" * 64, {"prompt": "hi", "system_prompt": "be", "max_tokens": 9}, ["reasoning_effort"]),
    ],
)
def test_families(model: str, given: dict[str, Any], left: list[str]) -> None:
    assert write(TUNED, model) == ({**given, "temperature": 0.5, "top_p": 0.25}, left)


def test_parameters() -> None:
    chat = Chat(
        messages=[USER],
        top_k=3,
        min_p=0.5,
        seed=7,
        presence_penalty=1.0,
        frequency_penalty=0.5,
        stop=["a", "b"],
        verbosity="low",
        user="u",
        extra={"prompt_template": "{prompt}"},
    )
    assert write(chat) == (
        {
            "prompt": "hi",
            "top_k": 3,
            "min_p": 0.5,
            "seed": 7,
            "presence_penalty": 1.0,
            "frequency_penalty": 0.5,
            "stop_sequences": "a,b",
            "prompt_template": "{prompt}",
        },
        ["verbosity", "user"],
    )
    openai = Chat(messages=[USER], verbosity="low", reasoning=Reasoning(effort="max"))
    given, _ = write(openai, "openai/gpt-5")
    assert (given["verbosity"], given["reasoning_effort"]) == ("low", "high")
    assert write(Chat(messages=[USER]), "me/mine", {"no_model": "true"})[0] == {"prompt": "hi"}


def test_a_conversation_becomes_a_transcript() -> None:
    chat = Chat(
        messages=[
            Message(role="user", content=[Text(text="one", cache=CacheMark()), Text(text="two")], name="ann"),
            Message(role="assistant", content=[Thinking(text="hm"), Text(text="ye"), Text(text="s")]),
            Message(role="user", content=[Media(kind="document", text="words", name="a.txt")]),
        ]
    )
    given, dropped = write(chat)
    assert given["prompt"] == "User: one\ntwo\n\nAssistant: yes\n\nUser: a.txt\nwords\n\nAssistant:"
    assert dropped == ["name", "thinking", "cache_control"]
    chat.messages.pop()
    assert write(chat)[0]["prompt"].endswith("Assistant: yes")


def test_images() -> None:
    chat = Chat(messages=[Message(role="user", content=[Text(text="see"), PICTURE])])
    url = "data:image/png;base64,aGk="
    assert write(chat)[0]["image"] == url
    assert write(chat, "openai/gpt-5")[0]["image_input"] == [url]
    chat.messages[0].content.append(Media(kind="image", url="https://a.example/b.png"))
    assert write(chat, "google/gemini-2.5-flash")[0]["images"] == [url, "https://a.example/b.png"]
    refused(chat, "messages")
    assert write(chat, tolerant=True) == ({"prompt": "see", "image": "https://a.example/b.png"}, ["messages"])


def test_what_is_refused() -> None:
    refused(Chat(messages=[USER], tools=[Tool(name="x")]), "tools")
    refused(Chat(messages=[USER], format=Format()), "response_format")
    refused(Chat(messages=[USER], n=2), "n")
    refused(Chat(messages=[USER], stop=["a,b"]), "stop")
    refused(Chat(messages=[USER], stop=["a"]), "stop", "openai/gpt-5")
    refused(Chat(messages=[USER], top_k=3), "top_k", "google/gemini-2.5-flash")
    blocks = (
        ToolCall(id="1", name="x", arguments="{}"),
        Native(dialect="gemini", value={}),
        Media(kind="audio", data="aGk="),
    )
    for block in blocks:
        refused(Chat(messages=[Message(role="user", content=[block])]), "messages")


def read(**members: Any) -> Any:
    return CODEC.read(json.dumps(prediction(Turn(), **members)).encode(), Chat(messages=[USER]))


def test_answers() -> None:
    answer = read()
    assert (answer.id, answer.usage) == ("gm3qorzdhgbfurvjtvhg6dckhu", Usage(7, 5))
    assert answer.choices[0].content == [Text(text="Hello, world.")]
    assert read(output="whole").choices[0].content == [Text(text="whole")]
    assert read(output=None).choices[0].content == []
    assert read(metrics={"predict_time": 1.5}).usage == Usage(1, 3, estimated=True)
    for picture in (["https://a.example/b.png", 1], {"a": 1}):
        with pytest.raises(msgspec.ValidationError):
            read(output=picture)


def test_predictions_that_did_not_succeed() -> None:
    with pytest.raises(UpstreamError, match="is processing"):
        read(status="processing")
    with pytest.raises(UpstreamError, match="out of memory") as raised:
        read(status="failed", error="CUDA out of memory")
    assert (raised.value.status, raised.value.code, raised.value.retryable) == (502, "prediction_failed", True)
    with pytest.raises(UpstreamError, match="is canceled"):
        read(status="canceled")


@pytest.mark.parametrize("target", ["/v1/predictions", "/v1/deployments/me/mine/predictions"])
def test_where_a_prediction_is_asked_for(target: str) -> None:
    def told(**members: Any) -> str | None:
        return pending(target, json.dumps(prediction(Turn(), **members)).encode())

    assert told(status="starting") == told(status="processing") == "/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu"
    assert told() is told(status="failed") is told(status="processing", id="../x?y") is None
    assert pending(target, b"<html>") is None


def test_a_whole_answer_as_a_stream() -> None:
    body = json.dumps(prediction(Turn())).encode()
    reader = CODEC.reader(NOTHING)
    assert [delta for at in range(0, len(body), 7) for delta in reader.feed(body[at : at + 7])] == []
    started, text, *_, ended = reader.finish()
    assert isinstance(started, Started)
    assert (text, ended) == (TextDelta(text="Hello, world."), Ended())


@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["status", "output", "error", "metrics", "id"]),
        st.none() | st.text(max_size=5) | st.lists(st.text(max_size=3) | st.integers()),
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_is_read_or_refused(body: bytes) -> None:
    try:
        CODEC.read(body, NOTHING)
    except (msgspec.DecodeError, UnicodeDecodeError, UpstreamError):
        pass
