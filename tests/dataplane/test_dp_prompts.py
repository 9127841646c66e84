"""Prompts and answers: kept only where that is switched on, bounded, without secrets, not where a client says no."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.gateway import Gateway, config_for
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
ASKED = "my card is 4111 1111 1111 1111, write to bob@example.com, key sk-verysecret0123456789"
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": ASKED}]}


def keeping(upstream: Upstream, **prompts: Any) -> dict[str, Any]:
    own = {"prompts": prompts} if prompts else {}
    return config_for(upstream, "gpt-4o", general_settings={"store_prompts_in_spend_logs": True}, routeiq=own)


def event_of(worker: Worker, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    worker.forget()
    status, _, _ = worker.call("/v1/chat/completions", body or BODY, headers=headers)
    assert status == 200
    (event,) = worker.wait_events(1)
    return event


def test_nothing_is_kept_by_default(worker: Worker) -> None:
    event = event_of(worker)
    assert "prompt" not in event
    assert "answer" not in event
    assert "4111" not in json.dumps(event)


def test_what_is_said_is_kept_without_secrets(serve: Serve, upstream: Upstream) -> None:
    event = event_of(serve(keeping(upstream)))
    asked = json.loads(event["prompt"])
    assert asked["messages"][0]["content"] == "my card is [CARD], write to [EMAIL], key sk-***"
    assert json.loads(event["answer"])["choices"][0]["message"]["content"]
    assert event["cost"] is not None or "cost" in event


def test_a_stream_is_kept_as_its_events(serve: Serve, upstream: Upstream) -> None:
    event = event_of(serve(keeping(upstream)), {**BODY, "stream": True})
    assert event["answer"].startswith("data: {")
    assert "chat.completion.chunk" in event["answer"]
    assert json.loads(event["prompt"])["stream"] is True


def test_only_what_is_named_is_hidden(serve: Serve, upstream: Upstream) -> None:
    event = event_of(serve(keeping(upstream, redact=["cards"])))
    assert "bob@example.com" in event["prompt"]
    assert "4111" not in event["prompt"]
    assert "bob@example.com" in event_of(serve(keeping(upstream, redact=[])))["prompt"]


def test_each_side_is_bounded(serve: Serve, upstream: Upstream) -> None:
    worker = serve(keeping(upstream, max_bytes=300))
    upstream.script(Script(tokens=2000))
    long = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ü" * 5000}]}
    event = event_of(worker, long)
    assert 290 <= len(event["prompt"].encode()) <= 300
    assert 290 <= len(event["answer"].encode()) <= 300
    upstream.script(Script(tokens=2000))
    event = event_of(worker, {**long, "stream": True})
    assert 290 <= len(event["answer"].encode()) <= 300


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        ({"x-litellm-enable-message-redaction": "true"}, {}),
        ({"X-LiteLLM-Enable-Message-Redaction": "True"}, {"stream": True}),
        ({}, {"no-log": True}),
    ],
)
def test_a_client_may_say_no(serve: Serve, upstream: Upstream, headers: dict[str, str], more: dict[str, Any]) -> None:
    worker = serve(keeping(upstream))
    assert "prompt" not in event_of(worker, {**BODY, **more}, **headers)
    assert "prompt" in event_of(worker, {**BODY, "no-log": False}, **{"x-litellm-enable-message-redaction": "false"})


def test_a_share_of_requests(serve: Serve, upstream: Upstream) -> None:
    assert "prompt" not in event_of(serve(keeping(upstream, sample=0)))
    worker = serve(keeping(upstream, sample=0.5))
    kept = ["prompt" in event_of(worker) for _ in range(40)]
    assert 5 < sum(kept) < 35


def test_an_error_keeps_its_prompt(serve: Serve, upstream: Upstream) -> None:
    worker = serve(keeping(upstream))
    upstream.script(Script(status=400))
    assert worker.call("/v1/chat/completions", BODY)[0] == 400
    (event,) = worker.wait_events(1)
    assert "[CARD]" in event["prompt"]
    assert event.get("answer", "") == ""


def test_spend_logs_show_them(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(keeping(upstream))
    gateway.client().chat.completions.create(model="gpt-4o", messages=BODY["messages"])
    gateway.wait_events(1)
    (row,) = json.loads(gateway.get("/spend/logs")[2])
    assert row["messages"] == [{"role": "user", "content": "my card is [CARD], write to [EMAIL], key sk-***"}]
    assert row["response"]["choices"][0]["message"]["role"] == "assistant"
    assert row["proxy_server_request"]["model"] == "gpt-4o"
    assert "prompt" not in json.loads(gateway.get("/api/v1/routeiq/requests")[2])["data"][0]
    assert "4111" not in gateway.logs()
