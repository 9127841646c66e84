"""Providers with a wire of their own, asked through the worker by OpenAI's SDK and by clients that speak Messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.fake_ollama import Ollama
from support.fake_replicate import Replicate
from support.fake_sagemaker import Sagemaker, SagemakerText
from support.fake_watsonx import Watsonx
from support.native import Fake, Turn
from support.tokens import TokenServer
from support.worker import Worker

FAKES: tuple[type[Fake], ...] = (Ollama, Watsonx, Replicate, Sagemaker, SagemakerText)
USER: Any = [{"role": "user", "content": "Say hello."}]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n picture").decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": WEATHER}}
    for name in ("weather", "clock")
]
CALLS = (("weather", {"city": "Rome"}), ("clock", {"city": "Bonn", "deep": [1, {"a": None}]}))


@pytest.fixture(scope="module", params=FAKES, ids=lambda fake: fake.name)
def serving(request: pytest.FixtureRequest) -> Iterator[tuple[Fake, Worker]]:
    fake: Fake = request.param()
    with TokenServer(fake) as server:
        config = {
            "model_list": [{"model_name": "m", "litellm_params": fake.params(server)}],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        with Worker(config) as worker:
            yield fake, worker


@pytest.fixture
def both(serving: tuple[Fake, Worker]) -> tuple[Fake, Worker]:
    fake, worker = serving
    fake.turn = Turn()
    fake.bodies.clear()
    worker.forget()
    return fake, worker


def events(worker: Worker, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a Messages stream."""
    status, headers, answer = worker.call("/v1/messages", {"model": "m", "max_tokens": 100, "stream": True, **body})
    assert status == 200, answer
    assert headers["content-type"].startswith("text/event-stream")
    return [json.loads(line[6:]) for line in answer.decode().splitlines() if line.startswith("data: ")]


def test_text(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    answer = worker.client().chat.completions.create(model="m", messages=USER, max_tokens=9, temperature=0.5)
    assert (answer.model, answer.choices[0].message.content) == ("m", fake.turn.text)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)
    [event] = worker.wait_events(1)
    assert (event["prompt_tokens"], event["completion_tokens"]) == (7, 5)
    status, _, body = worker.call("/v1/messages", {"model": "m", "max_tokens": 9, "messages": USER})
    told = json.loads(body)
    assert (status, told["content"], told["stop_reason"]) == (
        200,
        [{"type": "text", "text": fake.turn.text}],
        "end_turn",
    )
    assert told["usage"]["input_tokens"] == 7


def test_a_stream(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    stream = worker.client().chat.completions.create(
        model="m", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert tuple(texts) == (fake.turn.pieces if fake.streams else (fake.turn.text,))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (7, 5)
    found = events(worker, {"messages": USER})
    texts = [event["delta"]["text"] for event in found if event["type"] == "content_block_delta"]
    assert "".join(texts) == fake.turn.text
    assert (found[0]["type"], found[-1]["type"]) == ("message_start", "message_stop")


def test_an_answer_that_was_too_long(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    fake.turn = Turn(long=True)
    answer = worker.client().chat.completions.create(model="m", messages=USER)
    assert answer.choices[0].finish_reason == ("length" if fake.tells_length else "stop")
    told = events(worker, {"messages": USER})[-2]["delta"]["stop_reason"]
    assert told == ("max_tokens" if fake.tells_length else "end_turn")


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools(both: tuple[Fake, Worker], stream: bool) -> None:
    fake, worker = both
    if not fake.tools:
        with pytest.raises(openai.BadRequestError) as raised:
            worker.client().chat.completions.create(model="m", messages=USER, tools=TOOLS, stream=stream)
        assert raised.value.param == "tools"
        return
    fake.turn = Turn(pieces=(), calls=CALLS)
    client = worker.client()
    if stream:
        with client.chat.completions.stream(model="m", messages=USER, tools=TOOLS) as running:
            message = running.get_final_completion().choices[0]
    else:
        message = client.chat.completions.create(model="m", messages=USER, tools=TOOLS).choices[0]
    assert message.finish_reason == "tool_calls"
    calls = message.message.tool_calls or []
    assert tuple((call.function.name, json.loads(call.function.arguments)) for call in calls) == CALLS
    assert len({call.id for call in calls}) == 2
    assert fake.offered(fake.bodies[-1]) == ["weather", "clock"]
    fake.turn = Turn()
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": f"of {call.function.name}"} for call in calls]
    turns = [*USER, {"role": "assistant", "tool_calls": [call.model_dump(exclude_none=True) for call in calls]}]
    for call in turns[1]["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    client.chat.completions.create(model="m", messages=[*turns, *results], tools=TOOLS)
    assert fake.results(fake.bodies[-1]) == ["of weather", "of clock"]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_for_clients_that_speak_messages(both: tuple[Fake, Worker], stream: bool) -> None:
    fake, worker = both
    fake.turn = Turn(calls=CALLS[:1])
    body = {
        "max_tokens": 50,
        "messages": USER,
        "tools": [{"name": "weather", "input_schema": WEATHER}],
    }
    if not fake.tools:
        status, _, told = worker.call("/v1/messages", {"model": "m", "stream": stream, **body})
        assert (status, json.loads(told)["error"]["type"]) == (400, "invalid_request_error")
        return
    if stream:
        found = events(worker, body)
        starts = [event["content_block"] for event in found if event["type"] == "content_block_start"]
        deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
        arguments = "".join(delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta")
        assert [start["type"] for start in starts] == ["text", "tool_use"]
        assert (starts[1]["name"], json.loads(arguments)) == CALLS[0]
        assert found[-2]["delta"]["stop_reason"] == "tool_use"
    else:
        answer = json.loads(worker.call("/v1/messages", {"model": "m", **body})[2])
        assert [block["type"] for block in answer["content"]] == ["text", "tool_use"]
        assert (answer["content"][1]["name"], answer["content"][1]["input"]) == CALLS[0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_of_an_odd_name(both: tuple[Fake, Worker], stream: bool) -> None:
    """The provider is told a name it takes, and the client its own."""
    fake, worker = both
    if not fake.tools:
        return
    odd: Any = [{"type": "function", "function": {"name": "mcp.weather/now", "parameters": WEATHER}}]
    client = worker.client()
    client.chat.completions.create(model="m", messages=USER, tools=odd)
    [told] = fake.offered(fake.bodies[-1])
    fake.turn = Turn(pieces=(), calls=((told, {"city": "Rome"}),))
    if stream:
        with client.chat.completions.stream(model="m", messages=USER, tools=odd) as running:
            message = running.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="m", messages=USER, tools=odd).choices[0].message
    assert [call.function.name for call in message.tool_calls or []] == ["mcp.weather/now"]
    assert (told == "mcp.weather/now") == (fake.name == "ollama")


def test_an_image(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    messages: Any = [{"role": "user", "content": content}]
    if not fake.sees:
        with pytest.raises(openai.BadRequestError) as raised:
            worker.client().chat.completions.create(model="m", messages=messages)
        assert raised.value.param == "messages"
        return
    worker.client().chat.completions.create(model="m", messages=messages)
    assert fake.picture(fake.bodies[-1]) == PNG
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    block = {"type": "image", "source": source}
    events(worker, {"messages": [{"role": "user", "content": [block]}]})
    assert fake.picture(fake.bodies[-1]) == PNG


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(both: tuple[Fake, Worker], stream: bool) -> None:
    fake, worker = both
    fake.turn = Turn(pieces=('{"city":', ' "Rome"}'))
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": WEATHER}}
    client = worker.client()
    if not fake.structured:
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(model="m", messages=USER, response_format=wanted)
        assert raised.value.param == "response_format"
        return
    if stream:
        chunks = client.chat.completions.create(model="m", messages=USER, response_format=wanted, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    else:
        answer = client.chat.completions.create(model="m", messages=USER, response_format=wanted)
        text = answer.choices[0].message.content or ""
    assert json.loads(text) == {"city": "Rome"}
    assert fake.schema(fake.bodies[-1]) == WEATHER


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning(both: tuple[Fake, Worker], stream: bool) -> None:
    fake, worker = both
    fake.turn = Turn(thought="Let me think.")
    thought = fake.turn.thought if fake.thinks else ""
    client = worker.client()
    if stream:
        chunks = client.chat.completions.create(model="m", messages=USER, reasoning_effort="low", stream=True)
        deltas = [chunk.choices[0].delta.model_dump() for chunk in chunks if chunk.choices]
        assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == thought
        assert "".join(delta.get("content") or "" for delta in deltas) == fake.turn.text
    else:
        answer = client.chat.completions.create(model="m", messages=USER, reasoning_effort="low")
        assert answer.choices[0].message.model_dump().get("reasoning_content", "") == thought


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (404, openai.NotFoundError), (429, openai.RateLimitError), (500, openai.APIError)],
)
def test_errors(both: tuple[Fake, Worker], status: int, kind: type[openai.APIStatusError], stream: bool) -> None:
    fake, worker = both
    fake.turn = Turn(error=(status, "This went wrong here."))
    with pytest.raises(kind) as raised:
        worker.client().chat.completions.create(model="m", messages=USER, stream=stream)
    assert raised.value.status_code == status
    assert "This went wrong here." in raised.value.message
    told = worker.call("/v1/messages", {"model": "m", "max_tokens": 5, "messages": USER, "stream": stream})
    assert told[0] == status
    assert json.loads(told[2])["type"] == "error"
    assert "This went wrong here." in json.loads(told[2])["error"]["message"]


def test_a_stream_that_is_cut(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    fake.turn = Turn(cut=30)
    with pytest.raises(openai.APIError):
        list(say(worker))
    assert failed(worker, streamed=fake.streams)["type"] == "error"


def test_an_error_in_the_midst_of_a_stream(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    fake.turn = Turn(late="The model fell over.")
    with pytest.raises(openai.APIError, match="The model fell over"):
        list(say(worker))
    assert "fell over" in failed(worker, streamed=fake.streams)["error"]["message"]


def say(worker: Worker) -> Iterator[str]:
    """The texts of a stream."""
    for chunk in worker.client().chat.completions.create(model="m", messages=USER, stream=True):
        yield from (choice.delta.content or "" for choice in chunk.choices)


def failed(worker: Worker, *, streamed: bool) -> dict[str, Any]:
    """The error a Messages client is told: as the last event, or in place of a stream that never began."""
    if streamed:
        return events(worker, {"messages": USER})[-1]
    status, _, body = worker.call("/v1/messages", {"model": "m", "max_tokens": 9, "messages": USER, "stream": True})
    assert status == 502
    found: dict[str, Any] = json.loads(body)
    return found


def test_what_can_not_be_taken(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    name, value = fake.refused
    with pytest.raises(openai.BadRequestError) as raised:
        worker.client().chat.completions.create(model="m", messages=USER, extra_body={name: value})
    assert (raised.value.param, raised.value.code) == (name, "unsupported_parameter")
    assert not fake.bodies


def test_embeddings(both: tuple[Fake, Worker]) -> None:
    fake, worker = both
    if not fake.embeds:
        with pytest.raises(openai.BadRequestError) as raised:
            worker.client().embeddings.create(model="m", input="a")
        assert raised.value.code == "unsupported_endpoint"
        return
    answer = worker.client().embeddings.create(model="m", input=["a", "bcd"])
    assert [found.embedding for found in answer.data] == [[1.0, 0.5], [3.0, 0.5]]
    assert answer.usage.prompt_tokens == (4 if fake.counts_embeddings else 1)
