"""What the vendors' SDKs do beyond one chat: helpers, counting, embeddings, and what only one vendor has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel

from matrix.scenes import Call, Say, Seen
from matrix.server import Reply, Server
from matrix.wires.anthropic import SIGNATURE, AnthropicWire
from matrix.wires.openai import OpenAIWire
from support.gateway import MASTER_KEY
from support.tokens import Asked
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
CLAUDE = "anthropic/claude-sonnet-4-5"
HELLO: Any = [{"role": "user", "content": "hello"}]


class Provider:
    """Answers with `reply`, or says `say` in its wire."""

    def __init__(self) -> None:
        self.reply: Callable[[Asked], Reply] | None = None
        self.say = Say(text=("Hel", "lo"))
        self.bodies: list[Any] = []

    def __call__(self, asked: Asked) -> Reply:
        body = json.loads(asked.body)
        self.bodies.append(body)
        if self.reply is not None:
            return self.reply(asked)
        wire = AnthropicWire() if asked.path.endswith("/messages") else OpenAIWire(thinks_aloud=True)
        seen = Seen(stream=bool(body.get("stream")))
        if seen.stream:
            return Reply(wire.stream(self.say, seen), wire.stream_kind)
        return Reply([wire.whole(self.say, seen)])


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def server(provider: Provider) -> Iterator[Server]:
    with Server(provider) as running:
        yield running


@pytest.fixture
def worker(server: Server) -> Iterator[Worker]:
    def entry(name: str, model: str, path: str = "", **more: Any) -> dict[str, Any]:
        params = {"model": model, "api_base": server.url + path, "api_key": "k", **more}
        return {"model_name": name, "litellm_params": params}

    prices = {
        "input_cost_per_token": 3e-6,
        "output_cost_per_token": 15e-6,
        "cache_read_input_token_cost": 3e-7,
        "cache_creation_input_token_cost": 3.75e-6,
    }
    models = [
        entry("claude", CLAUDE, **prices),
        entry("lenient", CLAUDE, drop_params=True),
        entry("gpt", "openai/gpt-5.1", "/v1"),
        entry("qwen", "openai_like/qwen", "/v1"),
        entry("gemini", "gemini/gemini-embedding-001", "/v1beta"),
        entry("embed", "openai/text-embedding-3-small", "/v1"),
    ]
    with Worker({"model_list": models, "router_settings": {"num_retries": 0}}) as running:
        yield running


def claude(worker: Worker) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"http://127.0.0.1:{worker.port}", api_key=MASTER_KEY, max_retries=0)


def google(worker: Worker) -> genai.Client:
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{worker.port}")
    return genai.Client(api_key=MASTER_KEY, http_options=options)


def generate(worker: Worker, model: str) -> types.GenerateContentResponse:
    with google(worker) as sdk:
        return sdk.models.generate_content(model=model, contents="x")


# --- Anthropic


def test_thoughts_go_back_with_their_signature(worker: Worker, provider: Provider) -> None:
    """Through a client of the same dialect as they are, through OpenAI's in `thinking_blocks`."""
    provider.say = Say(text=("Hello",), thought="Hm.")
    sdk = claude(worker)
    asked: dict[str, Any] = {
        "model": "claude",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    answer = sdk.messages.create(messages=HELLO, **asked)
    assert answer.content[0].type == "thinking"
    assert answer.content[0].signature == SIGNATURE
    sdk.messages.create(messages=[*HELLO, {"role": "assistant", "content": answer.content}, *HELLO], **asked)
    thought = {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
    assert provider.bodies[-1]["messages"][1]["content"][0] == thought

    chat = worker.client().chat.completions
    first = chat.create(model="claude", messages=HELLO, reasoning_effort="high")
    message: Any = first.choices[0].message.model_dump(exclude_none=True)
    assert message["reasoning_content"] == "Hm."
    chat.create(model="claude", messages=[*HELLO, message, *HELLO], reasoning_effort="high")
    assert provider.bodies[-1]["messages"][1]["content"][0] == thought


@pytest.mark.parametrize("model", ["claude", "qwen"])
def test_the_stream_helper(worker: Worker, provider: Provider, model: str) -> None:
    provider.say = Say(text=("Hel", "lo"), thought="Hm.", calls=[Call("f", {"a": [1, None]})])
    events, text = [], ""
    tools: Any = [{"name": "f", "input_schema": {"type": "object"}}]
    with claude(worker).messages.stream(model=model, max_tokens=99, messages=HELLO, tools=tools) as stream:
        for event in stream:
            events.append(event.type)
            text += event.text if event.type == "text" else ""
    final = stream.get_final_message()
    assert text == "Hello"
    assert final.stop_reason == "tool_use"
    assert final.model == model
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    call = final.content[-1]
    assert call.type == "tool_use"
    assert call.input == {"a": [1, None]}
    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert {"thinking", "text", "input_json", "content_block_stop", "message_delta"} <= set(events)


def test_what_only_anthropic_has_passes_untouched(worker: Worker, provider: Provider) -> None:
    """Server tools, citations, cache markers, betas, and blocks nobody has heard of."""
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {
                "type": "text",
                "text": "So.",
                "citations": [
                    {"type": "char_location", "cited_text": "S", "document_index": 0, "document_title": None,
                     "start_char_index": 0, "end_char_index": 1, "file_id": None}
                ],
            },
            {"type": "of_the_future", "value": [1, 2.50, {"a": None}]},
        ],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20
        },
    }  # fmt: skip
    sent = json.dumps(answer, indent=1).encode()
    provider.reply = lambda asked: Reply([sent])
    body = {
        "model": "claude",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": HELLO,
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}],
        "of_the_future": {"x": 1},
    }
    headers = {"anthropic-beta": "one-2026-01-01,two-2026-02-02"}
    status, told, got = worker.call("/v1/messages", body, headers=headers)
    assert status == 200
    assert got == sent.replace(b'"claude-sonnet-4-5"', b'"claude"')
    assert provider.bodies == [{**body, "model": "claude-sonnet-4-5"}]
    [event] = worker.wait_events(1)
    # 10 fresh, 100 read, 20 written, 2 answered
    cost = 10 * 3000 + 100 * 300 + 20 * 3750 + 2 * 15000
    assert event["cost"] == cost
    assert told["x-litellm-response-cost"] == f"0.{cost:09d}"
    assert (event["prompt_tokens"], event["cached_tokens"], event["written_tokens"]) == (130, 100, 20)


def test_tokens_are_counted_where_the_provider_can(worker: Worker, provider: Provider) -> None:
    provider.reply = lambda asked: Reply([b'{"input_tokens": 41}'])
    assert claude(worker).messages.count_tokens(model="claude", messages=HELLO).input_tokens == 41
    with google(worker) as sdk:
        assert sdk.models.count_tokens(model="claude", contents="hello").total_tokens == 41
    assert [sorted(body) for body in provider.bodies] == [["messages", "model"]] * 2


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda w: claude(w).messages.create(model="nobody", max_tokens=1, messages=HELLO), anthropic.NotFoundError),
        (lambda w: w.client().chat.completions.create(model="nobody", messages=HELLO), openai.NotFoundError),
        (lambda w: w.client().responses.create(model="nobody", input="x"), openai.NotFoundError),
        (lambda w: generate(w, "nobody"), genai.errors.ClientError),
    ],
)
def test_errors_are_the_sdks_own(worker: Worker, ask: Callable[[Worker], Any], error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        ask(worker)
    assert "nobody" in str(raised.value)


# --- what can't be translated


def test_what_a_provider_cannot_take(worker: Worker, provider: Provider) -> None:
    """An error that names the parameter; left out, and told, where the operator allows it."""
    chat = worker.client().chat.completions
    with pytest.raises(openai.BadRequestError) as raised:
        chat.create(model="claude", messages=HELLO, logit_bias={"5": 1}, seed=7)
    assert raised.value.code == "unsupported_parameter"
    assert raised.value.param in ("logit_bias", "seed")
    assert provider.bodies == []
    answer = chat.with_raw_response.create(model="lenient", messages=HELLO, logit_bias={"5": 1}, seed=7)
    assert set(answer.headers["x-routeiq-dropped-params"].split(", ")) == {"logit_bias", "seed"}
    assert sorted(provider.bodies[0]) == ["max_tokens", "messages", "model"]
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude(worker).messages.create(model="gpt", max_tokens=9, messages=HELLO, extra_body={"top_k": 5})
    assert "top_k" in refused.value.message


# --- OpenAI


class Weather(BaseModel):
    """The weather somewhere."""

    city: str


def test_helpers_of_openais_sdk(worker: Worker, provider: Provider) -> None:
    provider.say = Say(text=("Hel", "lo"), calls=[Call("Weather", {"city": "Oslo"})])
    tools = [openai.pydantic_function_tool(Weather)]
    with worker.client().chat.completions.stream(model="claude", messages=HELLO, tools=tools) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done", "tool_calls.function.arguments.done", "chunk"} <= kinds
    message = final.choices[0].message
    assert message.content == "Hello"
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.parsed_arguments == Weather(city="Oslo")


def test_legacy_completions_of_a_model_that_chats(worker: Worker, provider: Provider) -> None:
    answer = worker.client().completions.create(model="claude", prompt="Say hello", max_tokens=9, stop=["."])
    assert answer.object == "text_completion"
    assert answer.choices[0].text == "Hello"
    assert answer.usage is not None
    sent = provider.bodies[0]
    assert (sent["max_tokens"], sent["stop_sequences"]) == (9, ["."])
    assert sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hello"}]}]
    chunks = list(worker.client().completions.create(model="claude", prompt="Say hello", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello"


def test_embeddings_across_dialects(worker: Worker, provider: Provider) -> None:
    vectors = {"embeddings": [{"values": [0.5, 0.25]}, {"values": [1.0, 0.0]}]}
    provider.reply = lambda asked: Reply([json.dumps(vectors).encode()])
    found = worker.client().embeddings.create(model="gemini", input=["a", "b"], dimensions=2)
    assert [item.embedding for item in found.data] == [[0.5, 0.25], [1.0, 0.0]]
    assert [request["outputDimensionality"] for request in provider.bodies[0]["requests"]] == [2, 2]

    data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
    openais = {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    provider.reply = lambda asked: Reply([json.dumps(openais).encode()])
    asked = types.EmbedContentConfig(output_dimensionality=2)
    with google(worker) as sdk:
        answer = sdk.models.embed_content(model="embed", contents="a", config=asked)
    assert answer.embeddings is not None
    assert answer.embeddings[0].values == [0.5, 0.25]
    assert provider.bodies[-1]["dimensions"] == 2


# --- keys


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"Authorization": f"Bearer {MASTER_KEY}"}),
        ("", {"x-api-key": MASTER_KEY}),
        ("", {"x-goog-api-key": MASTER_KEY}),
        (f"?key={MASTER_KEY}", {}),
    ],
)
def test_where_a_key_may_stand(worker: Worker, query: str, headers: dict[str, str]) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    for key, wanted in ((MASTER_KEY, 200), ("sk-wrong", 401)):
        changed = {name: value.replace(MASTER_KEY, key) for name, value in headers.items()}
        path = f"/v1beta/models/claude:generateContent{query.replace(MASTER_KEY, key)}"
        status, _, got = worker.call(path, body, key=None, headers=changed)
        assert status == wanted, got
        status, _, _ = worker.get(f"/v1beta/models{query.replace(MASTER_KEY, key)}", key=None, headers=changed)
        assert status == wanted


# --- models


def test_every_sdk_lists_the_models(worker: Worker) -> None:
    names = ["claude", "lenient", "gpt", "qwen", "gemini", "embed"]
    assert [model.id for model in worker.client().models.list()] == names
    assert worker.client().models.retrieve("gpt").object == "model"
    sdk = claude(worker)
    assert [model.id for model in sdk.models.list()] == names
    assert sdk.models.retrieve("claude").display_name == "claude"
    with pytest.raises(anthropic.NotFoundError) as missing:
        sdk.models.retrieve("nobody")
    assert missing.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    with google(worker) as client:
        assert [model.name for model in client.models.list()] == [f"models/{name}" for name in names]
        assert client.models.get(model="gpt").supported_actions is not None
        with pytest.raises(genai.errors.ClientError):
            client.models.get(model="nobody")
