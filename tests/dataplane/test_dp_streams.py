"""Streams: any chunking, ends that are none, slow and absent clients."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from support.answers import chat, chat_events
from support.gateway import MASTER_KEY, config_for, deployment
from support.raw import RawClient, request
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
BODY = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
Serve = Callable[[dict[str, Any]], Worker]


def ask(worker: Worker, **changes: Any) -> bytes:
    status, _, got = worker.call("/v1/chat/completions", {**BODY, **changes})
    assert status == 200
    return got


def events(data: bytes) -> list[Any]:
    """Every event, decoded; `[DONE]` as text."""
    lines = [line[6:] for line in data.splitlines() if line.startswith(b"data: ")]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


WHOLE = b"".join(chat_events({"model": "gpt-4o", "messages": MESSAGES, "stream_options": {"include_usage": True}}))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_chunking_gives_the_same_bytes(worker: Worker, upstream: Upstream, size: int, end: bytes) -> None:
    stream = WHOLE.replace(b"\n", end)
    upstream.script(Script(events=[stream], chunk=size))
    got = ask(worker, stream_options={"include_usage": True})
    assert got == stream + b"data: [DONE]\n\n"
    upstream.script(Script(events=[stream], chunk=size, framing="close"))
    assert ask(worker, stream_options={"include_usage": True}) == got


def test_a_drip_arrives_as_a_drip(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(tokens=5, interval=0.08))
    with worker.raw() as client:
        client.send(request(body=BODY, key=MASTER_KEY))
        seen: list[float] = []
        while client.more():
            seen.append(time.monotonic())
            if b"[DONE]" in client.buffer:
                break
    assert len(seen) >= 6
    assert seen[-1] - seen[0] > 0.3


def test_an_end_without_done_is_an_error(worker: Worker, upstream: Upstream) -> None:
    for script in (
        Script(done=False),
        Script(done=False, framing="close"),
        Script(cut="fin", after=4),
        Script(cut="rst", after=4),
    ):
        worker.forget()
        upstream.script(script)
        got = events(ask(worker))
        assert "[DONE]" not in got
        assert "terminal marker" in got[-1]["error"]["message"] or "failed" in got[-1]["error"]["message"]
        assert got[-1]["error"]["provider"] == "openai"
        [event] = worker.wait_events(1)
        assert event["error"] in ("upstream", "unreachable")
        assert event["completion_tokens"] >= 3
        assert event.get("retries", 0) == 0
        assert (event.get("estimated", False)) == (script.cut is not None)
    assert len(upstream.requests) == 4


def test_the_sdk_raises_for_a_broken_stream(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(cut="rst", after=4))
    text = ""
    stream = worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    for _ in range(4):
        text += next(stream).choices[0].delta.content or ""
    with pytest.raises(openai.APIError) as caught:
        next(stream)
    assert text == "tok0 tok1 tok2 "
    assert "failed" in caught.value.message


def test_an_error_event_in_the_middle(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(error_after=3))
    got = events(ask(worker))
    assert len(got) == 4
    assert got[-1]["error"]["message"] == "The server had an error while processing."
    assert got[-1]["error"]["type"] == "server_error"
    assert worker.wait_events(1)[0]["error"] == "upstream"


def test_an_error_event_first_is_tried_again(serve: Serve, upstream: Upstream) -> None:
    worker = serve(
        config_for(
            upstream,
            "gpt-4o",
            "gpt-4o-mini",
            router_settings={"fallbacks": [{"gpt-4o": ["gpt-4o-mini"]}], "num_retries": 1},
            routeiq={"resilience": {"backoff_base": 0.01}},
        )
    )
    upstream.script(Script(error_after=0))
    got = events(ask(worker))
    assert got[-1] == "[DONE]"
    assert worker.wait_events(1)[0]["retries"] == 1
    upstream.always(Script(error_after=0), model="gpt-4o")
    got = events(ask(worker))
    assert got[-1] == "[DONE]"
    assert got[0]["model"] == "gpt-4o-mini"
    assert worker.wait_events(2)[1]["fallbacks"] == 1


def test_an_error_event_first_and_nothing_else_to_try(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config_for(upstream, "gpt-4o", router_settings={"num_retries": 0}))
    upstream.script(Script(error_after=0))
    with pytest.raises(openai.APIStatusError) as caught:
        worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert caught.value.status_code == 502
    assert "error while processing" in caught.value.message


def test_a_stall_in_the_middle(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config_for(upstream, "gpt-4o", routeiq={"timeouts": {"idle": 0.3}}))
    upstream.script(Script(cut="stall", after=3))
    start = time.monotonic()
    got = events(ask(worker))
    assert 0.25 < time.monotonic() - start < 1.5
    assert len(got) == 4
    assert got[-1]["error"]["code"] == "timeout"
    assert "0.3 s" in got[-1]["error"]["message"]
    upstream.wait(lambda: upstream.requests[0].gone_at)
    [event] = worker.wait_events(1)
    assert (event["error"], event["estimated"]) == ("timeout", True)


def test_a_provider_that_lingers_after_done(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config_for(upstream, "gpt-4o"))
    whole = [*chat_events({"model": "gpt-4o", "messages": MESSAGES}), b"data: [DONE]\n\n"]
    for cut in ("stall", "rst"):
        worker.forget()
        upstream.script(Script(events=whole, done=False, cut=cut, after=len(whole)))  # type: ignore[arg-type]
        start = time.monotonic()
        got = events(ask(worker))
        assert time.monotonic() - start < 2
        assert got[-1] == "[DONE]"
        assert got.count("[DONE]") == 1
        assert worker.wait_events(1)[0].get("error", "") == ""


def test_what_comes_after_done_is_dropped(worker: Worker, upstream: Upstream) -> None:
    whole = chat_events({"model": "gpt-4o", "messages": MESSAGES})
    upstream.script(Script(events=[*whole, b"data: [DONE]\n\n", *whole], chunk=5000))
    assert ask(worker) == b"".join(whole) + b"data: [DONE]\n\n"
    upstream.script(Script(events=[*whole, b"data: [DONE]\n\n", *whole], interval=0.01))
    assert ask(worker) == b"".join(whole) + b"data: [DONE]\n\n"


def test_a_last_marker_without_its_blank_line(worker: Worker, upstream: Upstream) -> None:
    whole = chat_events({"model": "gpt-4o", "messages": MESSAGES})
    for marker in (b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n"):
        upstream.script(Script(events=[*whole, marker], done=False))
        assert ask(worker) == b"".join(whole) + b"data: [DONE]\n\n"


def test_json_for_a_stream(worker: Worker, upstream: Upstream) -> None:
    """Some providers can't stream some models: the client still gets its stream, all at once."""
    upstream.script(Script(body=json.loads(chat({"model": "gpt-4o-2024", "messages": MESSAGES}))))
    status, headers, body = worker.call("/v1/chat/completions", {**BODY, "stream_options": {"include_usage": True}})
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, done = events(body)
    assert done == "[DONE]"
    assert {chunk["model"] for chunk in chunks} == {"gpt-4o"}
    deltas = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(deltas).split() == [f"tok{n}" for n in range(8)]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["prompt_tokens"] == 3
    [event] = worker.wait_events(1)
    assert (event["prompt_tokens"], event["completion_tokens"]) == (3, 8)


def test_json_for_a_stream_of_a_request_that_only_the_provider_understands(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body=json.loads(chat({"model": "gpt-4o", "messages": MESSAGES}))))
    body = {**BODY, "messages": [{"role": "user", "content": [{"type": "of_the_future", "x": 1}]}]}
    status, _, got = worker.call("/v1/chat/completions", body)
    assert status == 200
    assert json.loads(got)["object"] == "chat.completion"


def test_an_unreadable_whole_answer_for_a_stream(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body={"choices": "none"}), Script(body={"choices": "none"}), Script(body={"choices": 1}))
    status, _, body = worker.call("/v1/chat/completions", BODY)
    assert status == 502
    assert json.loads(body)["error"]["code"] == "invalid_upstream_answer"


def test_a_large_event(worker: Worker, upstream: Upstream) -> None:
    big = b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"' + b"x" * 10_000_000 + b'"}}]}\n\n'
    upstream.script(Script(events=[big]))
    assert ask(worker) == big + b"data: [DONE]\n\n"


def test_an_event_over_the_limit(serve: Serve, upstream: Upstream) -> None:
    worker = serve(
        config_for(upstream, "gpt-4o", routeiq={"limits": {"max_frame": 100_000}}, router_settings={"num_retries": 0})
    )
    first = b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"a"}}]}\n\n'
    upstream.script(Script(events=[first, b"data: " + b"x" * 500_000], endless=True))
    got = events(ask(worker))
    assert "does not end" in got[-1]["error"]["message"]
    upstream.script(Script(events=[b"data: " + b"x" * 500_000], endless=True))
    assert worker.call("/v1/chat/completions", BODY)[0] == 502


def test_a_client_that_does_not_read(worker: Worker, upstream: Upstream) -> None:
    """The provider is held back and the worker's memory stays where it was; later the stream goes on to its end."""
    chunk = b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"' + b"x" * 8000 + b'"}}]}\n\n'
    count = 6000
    ask(worker)
    before = worker.memory
    upstream.script(Script(events=[chunk] * count))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        sock.connect(("127.0.0.1", worker.port))
        sock.sendall(request(body=BODY, key=MASTER_KEY))
        asked = upstream.wait_requests(2)[1]
        time.sleep(0.4)
        held = asked.events_sent
        assert held * len(chunk) < 24 << 20  # what the kernel's buffers on the way hold
        time.sleep(0.2)
        assert asked.events_sent - held < 100
        assert worker.memory - before < 16 << 20  # of 48
        received = 0
        tail = b""
        sock.settimeout(10)
        while not tail.endswith(b"0\r\n\r\n"):
            data = sock.recv(1 << 20)
            assert data
            received += len(data)
            tail = (tail + data)[-40:]
    assert b"[DONE]" in tail
    assert received > count * len(chunk)
    assert worker.wait_events(2)[1].get("error", "") == ""


def test_a_client_that_pipelines_and_does_not_read(worker: Worker, upstream: Upstream) -> None:
    """Answers are not made faster than they are taken."""
    chunk = b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"' + b"x" * 8000 + b'"}}]}\n\n'
    ask(worker)
    before = worker.memory
    upstream.script(Script(body=b'{"model":"gpt-4o","x":"' + b"y" * 6_000_000 + b'"}'))
    upstream.always(Script(events=[chunk], endless=True))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        sock.connect(("127.0.0.1", worker.port))
        sock.sendall(request(body={**BODY, "stream": False}, key=MASTER_KEY))
        upstream.wait_requests(2)
        time.sleep(0.3)
        sock.sendall(request(body=BODY, key=MASTER_KEY) * 3)
        time.sleep(0.5)
        assert worker.memory - before < 40 << 20
    assert len(upstream.requests) <= 3


def test_clients_that_leave_cancel_the_call(worker: Worker, upstream: Upstream) -> None:
    upstream.always(Script(tokens=2000, interval=0.02))
    clients: list[RawClient] = []
    for _ in range(20):
        client = worker.raw()
        client.send(request(body=BODY, key=MASTER_KEY))
        clients.append(client)
    asked = upstream.wait_requests(20)
    for client in clients:
        while client.buffer.count(b"data: ") < 4:
            assert client.more()
    left = time.monotonic()
    for client in clients:
        client.close()
    upstream.wait(lambda: all(item.gone_at for item in asked), 3)
    assert max(item.gone_at or 0 for item in asked) - left < 0.25
    got = worker.wait_events(20)
    assert {event["status"] for event in got} == {499}
    assert all(event["estimated"] and event["completion_tokens"] >= 3 and event["cost"] > 0 for event in got)
    assert all(event["completion_tokens"] < 100 for event in got)
    worker.settled()


def test_clients_that_leave_before_the_answer(worker: Worker, upstream: Upstream) -> None:
    upstream.always(Script(delay=10))
    for stream in (True, False):
        with worker.raw() as client:
            client.send(request(body={**BODY, "stream": stream}, key=MASTER_KEY))
            upstream.wait_requests(1 if stream else 2)
        left = time.monotonic()
        upstream.wait(lambda: upstream.requests[-1].gone_at, 3)
        assert (upstream.requests[-1].gone_at or 0) - left < 0.25
    got = worker.wait_events(2)
    assert [event["status"] for event in got] == [499, 499]
    assert all(event.get("completion_tokens", 0) == 0 and event.get("cost") is None for event in got)


def test_many_events_in_one_read_count_one_by_one(worker: Worker, upstream: Upstream) -> None:
    whole = b"".join(chat_events({"model": "gpt-4o", "messages": MESSAGES}, tokens=50))
    head = whole.index(b"\n\n") + 2
    upstream.script(Script(events=[whole[:head], whole[head:]], done=False, cut="fin", after=2, interval=0.05))
    ask(worker)
    [event] = worker.wait_events(1)
    assert 48 <= event["completion_tokens"] <= 54


def test_many_streams_at_once(worker: Worker, upstream: Upstream) -> None:
    upstream.always(Script(tokens=20, interval=0.01))
    results: list[bytes] = []

    def one() -> None:
        results.append(ask(worker))

    threads = [threading.Thread(target=one) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 60
    assert len(set(results)) == 1
    assert len(worker.wait_events(60)) == 60


def test_a_stream_of_a_renamed_model_byte_by_byte(serve: Serve, upstream: Upstream) -> None:
    worker = serve({"model_list": [deployment(upstream, "public", "private/one")]})
    upstream.script(Script(chunk=1))
    one = ask(worker, model="public")
    upstream.script(Script())
    assert one == ask(worker, model="public")
    assert b"private" not in one
