"""What the SDKs make of a real model behind the gateway: natively, and translated from every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from llama_server import LlamaServer, find
from pydantic import BaseModel
from tiny_model import make

from support.addresses import free_port
from support.gateway import MASTER_KEY, Gateway

HELLO: Any = [{"role": "user", "content": "Hello there"}]
CITY = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"]}
MODELS = ("native", "translated")
"""llama.cpp with its quirks, and as any server that speaks Chat Completions."""


class Answer(BaseModel):
    """What is asked for as structured output."""

    ok: bool


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("live")
    model, program = place / "tiny.gguf", find()
    make(model)
    with (
        LlamaServer(program, model, free_port(), place / "chat.log") as chat,
        LlamaServer(program, model, free_port(), place / "embed.log", "--embeddings", "--pooling", "mean") as embed,
    ):
        prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
        entries = (
            ("native", "llama_cpp/tiny", chat.url + "/v1"),
            ("translated", "openai_like/tiny", chat.url + "/v1"),
            ("embed", "llama_cpp/tiny", embed.url + "/v1"),
        )
        models = [
            {"model_name": name, "litellm_params": {"model": kind, "api_base": base, "api_key": "none", **prices}}
            for name, kind, base in entries
        ]
        config: dict[str, Any] = {"model_list": models, "router_settings": {"num_retries": 0}}
        with Gateway(config) as running:
            yield running


def claude(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"http://127.0.0.1:{gateway.port}", api_key=MASTER_KEY, max_retries=0)


@pytest.mark.parametrize("model", MODELS)
def test_chat(gateway: Gateway, model: str) -> None:
    answer = gateway.client().chat.completions.create(model=model, messages=HELLO, max_tokens=12, temperature=0)
    assert answer.model == model
    assert answer.choices[0].finish_reason == "length"
    text = answer.choices[0].message.content
    assert text
    assert text.isprintable()
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    again = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in gateway.client().chat.completions.create(
            model=model, messages=HELLO, max_tokens=12, temperature=0, stream=True
        )
        if chunk.choices
    )
    assert again == text


@pytest.mark.parametrize("model", MODELS)
def test_the_same_in_every_dialect(gateway: Gateway, model: str) -> None:
    """A model at temperature 0 says the same, whoever asks in whatever words, streamed or not."""
    asked: Any = {"model": model, "max_tokens": 9, "messages": HELLO}
    cold: Any = {"temperature": 0}
    said = [gateway.client().chat.completions.create(**asked, **cold).choices[0].message.content]
    whole = claude(gateway).messages.create(**asked, extra_body=cold)
    assert whole.stop_reason == "max_tokens"
    said.append("".join(block.text for block in whole.content if block.type == "text"))
    with claude(gateway).messages.stream(**asked, extra_body=cold) as stream:
        said.append("".join(stream.text_stream))
    response = gateway.client().responses.create(
        model=model, input=HELLO, max_output_tokens=9, temperature=0, store=False
    )
    said.append(response.output_text)
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{gateway.port}")
    config = types.GenerateContentConfig(max_output_tokens=9, temperature=0)
    with genai.Client(api_key=MASTER_KEY, http_options=options) as google:
        said.append(google.models.generate_content(model=model, contents="Hello there", config=config).text)
        pieces = google.models.generate_content_stream(model=model, contents="Hello there", config=config)
        said.append("".join(piece.text or "" for piece in pieces))
    assert said[0]
    assert said == [said[0]] * 6


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_tools(gateway: Gateway, model: str, stream: bool) -> None:
    tool: Any = {"name": "weather", "description": "The weather of a city", "input_schema": CITY}
    asked: Any = {
        "model": model,
        "max_tokens": 2000,
        "messages": HELLO,
        "tools": [tool],
        "tool_choice": {"type": "any"},
    }
    if stream:
        with claude(gateway).messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = claude(gateway).messages.create(**asked)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert calls
    for call in calls:  # it calls as often as it likes
        assert call.name == "weather"
        assert call.input in ({"city": "Paris"}, {"city": "Rome"})
    assert len({call.id for call in calls}) == len(calls)
    function: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    told = gateway.client().chat.completions.create(
        model=model, messages=HELLO, tools=[function], tool_choice="required", max_tokens=2000
    )
    found = told.choices[0].message.tool_calls
    assert found is not None
    assert found[0].type == "function"
    assert json.loads(found[0].function.arguments)["city"] in ("Paris", "Rome")


@pytest.mark.parametrize("model", MODELS)
def test_structured_output(gateway: Gateway, model: str) -> None:
    answer = gateway.client().chat.completions.parse(
        model=model, messages=HELLO, response_format=Answer, max_tokens=100
    )
    assert isinstance(answer.choices[0].message.parsed, Answer)
    parsed = gateway.client().responses.parse(
        model=model, input=HELLO, text_format=Answer, max_output_tokens=100, store=False
    )
    assert isinstance(parsed.output_parsed, Answer)


def test_embeddings(gateway: Gateway) -> None:
    found = gateway.client().embeddings.create(model="embed", input=["one", "two", "one"])
    first, second, third = (item.embedding for item in found.data)
    assert len(first) == 64
    assert first == pytest.approx(third, abs=1e-5)
    assert first != pytest.approx(second, abs=1e-3)
    assert found.usage.prompt_tokens > 0


def test_tokens_are_counted(gateway: Gateway) -> None:
    """By the gateway's estimate: llama.cpp counts one by one, as the letters of its vocabulary are."""
    assert claude(gateway).messages.count_tokens(model="native", messages=HELLO).input_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_that_is_too_long(gateway: Gateway, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        gateway.client().chat.completions.create(
            model=model, messages=[{"role": "user", "content": "word " * 20_000}], max_tokens=1
        )
    assert "context" in raised.value.message


def test_all_of_it_is_accounted_for(gateway: Gateway) -> None:
    answer = gateway.client().chat.completions.with_raw_response.create(
        model="translated", messages=HELLO, max_tokens=4
    )
    ident = answer.headers["x-litellm-call-id"]
    count = 1
    while not (found := [event for event in gateway.wait_events(count) if event["id"] == ident]):
        count += 1
    [event] = found
    cost = event["prompt_tokens"] * 1000 + event["completion_tokens"] * 2000
    assert event["completion_tokens"] == 4
    assert event["cost"] == cost
    assert answer.headers["x-litellm-response-cost"] == f"0.{cost:09d}"
