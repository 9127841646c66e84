"""A stream that breaks after its first token, and goes on where another deployment can be given the beginning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.gateway import deployment
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
Serve = Callable[[dict[str, Any]], Worker]


def config(upstream: Upstream, *, on: bool, second: str = "hosted_vllm/second") -> dict[str, Any]:
    entries = []
    for order, model in enumerate(("hosted_vllm/first", second)):
        entry = deployment(upstream, "story")
        base = upstream.url if model.startswith("anthropic/") else upstream.base
        entry["litellm_params"] |= {
            "model": model,
            "api_base": base,
            "order": order,
            "input_cost_per_token": 0.001,
            "output_cost_per_token": 0.002,
        }
        entries.append(entry)
    return {
        "model_list": entries,
        "routeiq": {"resilience": {"stream_failover": on, "breaker_failures": 0}},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }


def chunks(*texts: str, finish: str | None = None, usage: dict[str, int] | None = None) -> list[bytes]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "first"}
    out: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts
    ]
    if finish is not None:
        out.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage is not None:
        out.append({**base, "choices": [], "usage": usage})
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in out]


USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
BROKEN = Script(events=chunks("Once ", "upon "), done=False, cut="fin", after=2)
REST = Script(events=chunks(" a", " time", finish="stop", usage=USAGE))


def told(worker: Worker, **body: Any) -> tuple[str, Any, list[str]]:
    """Text, finish reason and ids of a streamed chat."""
    text, finish, ids = "", None, []
    for chunk in worker.client().chat.completions.create(model="story", messages=MESSAGES, stream=True, **body):
        ids.append(chunk.id)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish, ids


def test_another_deployment_goes_on(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True))
    upstream.script(BROKEN, model="first")
    upstream.script(REST, model="second")
    text, finish, ids = told(worker)
    assert text == "Once upon a time"
    assert finish == "stop"
    assert set(ids) == {"chatcmpl-1"}
    _, second = upstream.requests
    assert second.json["messages"] == [*MESSAGES, {"role": "assistant", "content": "Once upon"}]
    assert second.json["continue_final_message"] is True
    assert second.json["add_generation_prompt"] is False
    [event] = worker.wait_events(1)
    assert event["continued"] == 1
    assert event["retries"] == 1
    assert event.get("error", "") == ""
    # Both attempts are paid for: what the second says it used, and what the first is known to have said.
    assert event["prompt_tokens"] > 10
    assert event["completion_tokens"] == 4 + 2
    assert event["cost"] == (event["prompt_tokens"] * 1 + event["completion_tokens"] * 2) * 1_000_000


def test_the_seam_is_marked(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True))
    upstream.script(BROKEN, model="first")
    upstream.script(REST, model="second")
    _, headers, got = worker.call("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "stream": True})
    assert headers["x-routeiq-stream-failover"] == "on"
    assert b"\n\n: continued by another deployment\n\ndata: " in got


def test_without_it_the_client_is_told(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=False))
    upstream.script(BROKEN, model="first")
    status, headers, got = worker.call("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "stream": True})
    assert status == 200
    assert "x-routeiq-stream-failover" not in headers
    last = json.loads(got.split(b"data: ")[-1])
    assert last["error"]["code"] == "upstream_unreachable"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("second", ["openai/second", "anthropic/claude-sonnet-4-6"])
def test_where_none_can_go_on_the_client_is_told(serve: Serve, upstream: Upstream, second: str) -> None:
    worker = serve(config(upstream, on=True, second=second))
    upstream.script(BROKEN, model="first")
    _, _, got = worker.call("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "stream": True})
    assert json.loads(got.split(b"data: ")[-1])["error"]["code"] == "upstream_unreachable"
    assert len(upstream.requests) == 1


def test_a_call_that_was_begun_is_not_gone_on_with(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True))
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    begun = {"id": "c", "model": "first", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    upstream.script(
        Script(events=[b"data: %b\n\n" % json.dumps(begun).encode()], done=False, cut="fin", after=1), model="first"
    )
    _, _, got = worker.call("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "stream": True})
    assert b'"error"' in got
    assert len(upstream.requests) == 1


def test_in_another_dialect_and_from_there_to_a_client_of_a_third(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True, second="anthropic/claude-3-5-sonnet-latest"))
    upstream.script(BROKEN, model="first")
    events = [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 9}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " a time"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    framed = [b"event: %b\ndata: %b\n\n" % (str(e["type"]).encode(), json.dumps(e).encode()) for e in events]
    upstream.script(Script(events=framed, done=False), model="claude-3-5-sonnet-latest")
    _, _, got = worker.call(
        "/v1beta/models/story:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "go"}]}]},
    )
    found = [json.loads(line[6:]) for line in got.splitlines() if line.startswith(b"data: ")]
    said = "".join(
        part.get("text", "") for event in found for part in event["candidates"][0].get("content", {}).get("parts", ())
    )
    assert said == "Once upon a time"
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert upstream.requests[1].json["messages"][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "Once upon"}],
    }


def test_it_gives_up_when_the_next_breaks_too(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True))
    upstream.script(BROKEN, model="first")
    upstream.script(Script(status=500), model="second")
    _, _, got = worker.call("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "stream": True})
    assert json.loads(got.split(b"data: ")[-1])["error"]["provider"] == "hosted_vllm"
    [event] = worker.wait_events(1)
    assert event["error"] == "upstream"


def test_streams_that_no_codec_reads_are_not_promised_to_be(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, on=True))
    body = {"model": "story", "prompt": "one two", "stream": True}
    _, headers, got = worker.call("/v1/completions", body)
    assert "x-routeiq-stream-failover" not in headers
    assert b"[DONE]" in got
