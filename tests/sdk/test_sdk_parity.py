"""The same calls through a gateway and through the SDK: equal bodies, equal requests to the provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from routeiq import Router
from support.gateway import MASTER_KEY, PROVIDER_KEY, config_for
from support.upstream import Script, Upstream
from support.worker import Worker

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
    "content": [
        {"type": "text", "text": "Hi."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 4},
}  # fmt: skip
"""As https://docs.anthropic.com/en/api/messages shows one."""
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**ANSWER, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]  # fmt: skip
"""https://docs.anthropic.com/en/docs/build-with-claude/streaming"""


@pytest.fixture(scope="module")
def config(provider: Upstream) -> dict[str, Any]:
    """An OpenAI-speaking and an Anthropic-speaking deployment."""
    made = config_for(provider, "gpt-4o", "text-embedding-3-small", router_settings={"num_retries": 0})
    params = {"model": "anthropic/claude-sonnet-4-5", "api_base": provider.url, "api_key": PROVIDER_KEY}
    made["model_list"].append({"model_name": "claude", "litellm_params": params})
    return made


@pytest.fixture(scope="module")
def both(config: dict[str, Any]) -> Iterator[tuple[Worker, Router]]:
    """The same configuration served by a worker, and in this process."""
    with Worker(config) as worker, Router(config["model_list"], **config["router_settings"]) as router:
        yield worker, router


def events(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream of chunks."""
    lines = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def without_marks(body: dict[str, Any]) -> dict[str, Any]:
    """Less what differs from call to call."""
    return {name: value for name, value in body.items() if name not in ("id", "created")}


def compare(both: tuple[Worker, Router], upstream: Upstream, path: str, body: dict[str, Any]) -> None:
    worker, router = both
    status, _, data = worker.call(path, body, key=MASTER_KEY)
    assert status == 200, data
    call = router.embedding if path == "/v1/embeddings" else router.completion
    answer: Any = call(**body)
    if body.get("stream"):
        assert [without_marks(one.model_dump()) for one in answer] == [without_marks(one) for one in events(data)]
    else:
        assert without_marks(answer.model_dump()) == without_marks(json.loads(data))
    first, second = upstream.requests
    assert (first.target, first.json) == (second.target, second.json)
    unlike = ("content-length", "host")
    assert [item for item in first.headers if item[0].lower() not in unlike] == [
        item for item in second.headers if item[0].lower() not in unlike
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, {"tools": [TOOL], "tool_choice": "required"}, {"max_tokens": 3, "n": 1}])
def test_openai(both: tuple[Worker, Router], upstream: Upstream, stream: bool, more: dict[str, Any]) -> None:
    how = {"stream": True} if stream else {}
    compare(both, upstream, "/v1/chat/completions", {"model": "gpt-4o", "messages": HELLO, **how, **more})


def test_openai_embeddings(both: tuple[Worker, Router], upstream: Upstream) -> None:
    compare(both, upstream, "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]})


def test_anthropic(both: tuple[Worker, Router], upstream: Upstream) -> None:
    upstream.always(Script(body=ANSWER))
    body = {"model": "claude", "messages": HELLO, "tools": [TOOL], "max_tokens": 100}
    compare(both, upstream, "/v1/chat/completions", body)
    assert upstream.requests[0].target == "/v1/messages"


def test_anthropic_streamed(both: tuple[Worker, Router], upstream: Upstream) -> None:
    raw = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS]
    upstream.always(Script(events=raw, done=False))
    compare(both, upstream, "/v1/chat/completions", {"model": "claude", "messages": HELLO, "stream": True})


@pytest.mark.parametrize("status", [400, 429, 503])
def test_errors(both: tuple[Worker, Router], upstream: Upstream, status: int) -> None:
    import routeiq

    worker, router = both
    upstream.always(Script(status=status))
    answered, _, data = worker.call("/v1/chat/completions", {"model": "gpt-4o", "messages": HELLO}, key=MASTER_KEY)
    told = json.loads(data)["error"]
    with pytest.raises(routeiq.APIError) as raised:
        router.completion("gpt-4o", HELLO)
    error = raised.value
    assert (error.status_code, error.message, error.type) == (answered, told["message"], told["type"])
    assert (error.param, error.llm_provider) == (told["param"], told["provider"])
