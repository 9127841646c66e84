"""Whatever a provider does wrong: the client gets a right error or another's answer, in time, and one Event."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import faults
from support.addresses import UNKNOWN_HOST, black_hole, refused, silent
from support.gateway import deployment
from support.h2_upstream import H2Upstream
from support.proxy import Proxy
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
TIMES = {"connect": 0.4, "first_byte": 0.5, "idle": 0.4, "total": 1.5}
Serve = Callable[[dict[str, Any]], Worker]
BREAKING = {**faults.BEFORE, **faults.UNARY}


def config(*deployments: dict[str, Any], retries: int = 0, fallback: bool = False, **own: Any) -> dict[str, Any]:
    router: dict[str, Any] = {"num_retries": retries, "disable_cooldowns": True}
    if fallback:
        router["fallbacks"] = [{"gpt-4o": ["spare"]}]
    routeiq = {"timeouts": TIMES, "resilience": {"breaker_failures": 0, "backoff_base": 0.01}, **own}
    return {"model_list": list(deployments), "router_settings": router, "routeiq": routeiq}


def alone(serve: Serve, upstream: Upstream | str) -> Worker:
    return serve(config(deployment(upstream, "gpt-4o")))


def check_error(worker: Worker, status: int, body: bytes, took: float) -> dict[str, Any]:
    """An OpenAI error within the deadlines, and one Event that says the same."""
    assert 400 <= status < 600
    assert took < 2.0
    error = json.loads(body)["error"]
    assert error["message"]
    assert error["provider"] == "openai"
    [event] = worker.wait_events(1)
    assert event["status"] == status
    assert event["error"] in ("upstream", "timeout", "unreachable")
    assert event.get("cost") is None
    time.sleep(0.02)
    assert len(worker.events()) == 1
    return dict(error)


@pytest.mark.parametrize("name", BREAKING)
def test_a_broken_answer_is_an_error(serve: Serve, upstream: Upstream, name: str) -> None:
    worker = alone(serve, upstream)
    upstream.always(BREAKING[name])
    start = time.monotonic()
    status, headers, body = worker.call("/v1/chat/completions", BODY)
    error = check_error(worker, status, body, time.monotonic() - start)
    script = BREAKING[name]
    if script.status >= 400:
        assert status == script.status
    elif script.status >= 300:
        assert status == 502
        assert "redirect" in error["message"]
    else:
        assert status in (502, 504)
    if name == "429 with seconds":
        assert headers["retry-after"] == "1"
    if name == "429 with a date":
        assert int(headers["retry-after"]) <= 4
    if name == "429 with junk":
        assert "retry-after" not in headers
    # One that meets a reset on a kept connection is sent once more: it may have crossed an idle time-out.
    assert len(upstream.requests) == (2 if "before the head" in name and upstream.requests[1:] else 1)


@pytest.mark.parametrize("name", BREAKING)
def test_another_provider_saves_the_request(serve: Serve, provider: Upstream, upstream: Upstream, name: str) -> None:
    worker = serve(config(deployment(provider, "gpt-4o"), deployment(provider, "spare"), fallback=True))
    upstream.always(BREAKING[name], model="gpt-4o")
    start = time.monotonic()
    status, headers, body = worker.call("/v1/chat/completions", BODY)
    assert status == 200, body
    assert time.monotonic() - start < 2
    assert json.loads(body)["model"] == "spare"
    assert headers["x-litellm-attempted-fallbacks"] == "1"
    [event] = worker.wait_events(1)
    assert (event["fallbacks"], event["group"], event["model"], event.get("error", "")) == (1, "spare", "gpt-4o", "")


@pytest.mark.parametrize("name", faults.STREAM)
def test_a_broken_stream(serve: Serve, upstream: Upstream, name: str) -> None:
    worker = alone(serve, upstream)
    upstream.always(faults.STREAM[name])
    start = time.monotonic()
    if name in ("endless", "a line without end"):
        status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": True}, timeout=20)
        assert time.monotonic() - start < 10
    else:
        status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": True})
        assert time.monotonic() - start < 3
    [event] = worker.wait_events(1)
    if status == 200:
        lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
        if name == "an event of 10 MB":
            assert lines[-1] == b"[DONE]"
            return
        assert b"[DONE]" not in lines
        assert json.loads(lines[-1])["error"]["provider"] == "openai"
        assert event["completion_tokens"] > 0 or lines[:-1] == []
    else:
        assert status in (502, 504)
        assert json.loads(body)["error"]["provider"] == "openai"
    assert event["error"] in ("upstream", "timeout", "unreachable")
    time.sleep(0.02)
    assert len(worker.events()) == 1
    upstream.wait(lambda: all(item.sent_at or item.gone_at for item in upstream.requests))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", faults.NOISE)
def test_odd_and_yet_right_answers(serve: Serve, upstream: Upstream, name: str, stream: bool) -> None:
    worker = alone(serve, upstream)
    for _ in range(2):
        upstream.script(faults.NOISE[name] if name != "late first byte" else replace(faults.NOISE[name], delay=0.1))
        status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": stream})
        assert status == 200, body
        text = b"".join(body.split(b"\n")) if stream else body
        assert b"tok7" in text
    assert [event["completion_tokens"] for event in worker.wait_events(2)] == [8, 8]


def test_noise_on_every_request_in_a_row(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    for script in (*faults.NOISE.values(), Script(status=204, body=b""), *faults.NOISE.values()):
        upstream.script(replace(script, delay=0.0, delay_body=0.0))
        worker.call("/v1/chat/completions", BODY)
    assert worker.call("/v1/chat/completions", BODY)[0] == 200


# --- addresses


def test_refused(serve: Serve) -> None:
    worker = alone(serve, refused())
    start = time.monotonic()
    status, _, body = worker.call("/v1/chat/completions", BODY)
    error = check_error(worker, status, body, time.monotonic() - start)
    assert status == 502
    assert error["code"] == "upstream_unreachable"


def test_unknown_host(serve: Serve) -> None:
    worker = alone(serve, UNKNOWN_HOST)
    start = time.monotonic()
    status, _, body = worker.call("/v1/chat/completions", BODY)
    error = check_error(worker, status, body, time.monotonic() - start)
    assert status in (502, 504)
    assert "no-such-host.invalid" in error["message"] or status == 504


def test_black_hole(serve: Serve) -> None:
    with black_hole() as base:
        worker = alone(serve, base)
        start = time.monotonic()
        status, _, body = worker.call("/v1/chat/completions", BODY)
        error = check_error(worker, status, body, time.monotonic() - start)
        assert (status, error["code"]) == (504, "timeout")
        assert "0.4 s" in error["message"]


def test_silent(serve: Serve) -> None:
    with silent() as base:
        worker = alone(serve, base)
        start = time.monotonic()
        status, _, body = worker.call("/v1/chat/completions", BODY)
        check_error(worker, status, body, time.monotonic() - start)
        assert status == 504
        assert 0.4 < time.monotonic() - start < 1.2


def test_litellms_status_for_a_timeout(serve: Serve) -> None:
    with silent() as base:
        worker = serve(config(deployment(base, "gpt-4o"), timeout_status=408))
        assert worker.call("/v1/chat/completions", BODY)[0] == 408


def test_a_timeout_of_the_deployment(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(deployment(upstream, "gpt-4o", timeout=0.2, stream_timeout=0.15)))
    for stream in (False, True):
        upstream.script(Script(delay=2))
        start = time.monotonic()
        assert worker.call("/v1/chat/completions", {**BODY, "stream": stream})[0] == 504
        assert time.monotonic() - start < 0.45
    upstream.script(Script(tokens=8, interval=0.05))
    assert worker.call("/v1/chat/completions", {**BODY, "stream": True})[2].endswith(b"[DONE]\n\n")


def test_the_total_covers_retries_and_fallbacks(serve: Serve, provider: Upstream, upstream: Upstream) -> None:
    worker = serve(config(deployment(provider, "gpt-4o"), deployment(provider, "spare"), retries=5, fallback=True))
    upstream.always(Script(delay=3))
    start = time.monotonic()
    status, _, _ = worker.call("/v1/chat/completions", BODY)
    assert status == 504
    assert 1.3 < time.monotonic() - start < 1.9
    assert 3 <= len(upstream.requests) <= 4
    upstream.wait(lambda: all(item.gone_at for item in upstream.requests))


def test_the_total_ends_a_stream(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    upstream.script(Script(tokens=100, interval=0.1))
    start = time.monotonic()
    status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": True})
    assert status == 200
    assert 1.3 < time.monotonic() - start < 2.2
    assert b"did not finish" in body
    assert b"[DONE]" not in body


def test_a_slow_whole_answer_may_take_longer_than_its_first_byte(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    upstream.script(Script(chunk=30, interval=0.1))
    start = time.monotonic()
    assert worker.call("/v1/chat/completions", BODY)[0] == 200
    assert time.monotonic() - start > 0.6


# --- connections


def test_kept_connections_are_used_again(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    for _ in range(5):
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
    assert len({item.connection for item in upstream.requests}) == 1


def test_stale_connections_cost_no_request(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    for _ in range(4):
        upstream.script(Script(stale=True))
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
    assert upstream.stale_hits >= 3
    assert all(event.get("retries", 0) == 0 for event in worker.wait_events(8))


def test_dropped_connections(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    for _ in range(3):
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        upstream.drop_connections()


def test_idle_connections_are_closed(serve: Serve) -> None:
    with Upstream() as own:
        worker = serve(config(deployment(own, "gpt-4o"), limits={"pool_idle_seconds": 0.5}))
        time.sleep(1.2)  # a tidy round passes before the first request
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        assert own.open == 1
        name = f'routeiq_upstream_connections{{host="127.0.0.1:{own.port}"}}'
        worker.wait_moved(name, 1)
        own.wait(lambda: own.open == 0, 4)
        worker.wait_moved(name, 0)


def test_the_limit_of_connections_to_one_host(serve: Serve) -> None:
    with Upstream() as own:
        worker = serve(config(deployment(own, "gpt-4o"), limits={"pool_per_host": 3}))
        own.always(Script(delay=0.1))
        clients = [worker.raw() for _ in range(10)]
        for client in clients:
            client.send(_request(worker))
        assert [client.response().status for client in clients] == [200] * 10
        assert own.connections == 3
        assert len(own.requests) == 10
        for client in clients:
            client.close()


def test_the_limit_of_connections_to_a_host_that_refuses(serve: Serve) -> None:
    """What waits for a connection is not forgotten when the one it waits for never comes to be."""
    worker = serve(config(deployment(refused(), "gpt-4o"), limits={"pool_per_host": 1}))
    clients = [worker.raw() for _ in range(8)]
    start = time.monotonic()
    for client in clients:
        client.send(_request(worker))
    answers = [client.response() for client in clients]
    assert {answer.status for answer in answers} == {502}
    assert time.monotonic() - start < 0.4
    for client in clients:
        client.close()


def _request(worker: Worker) -> bytes:
    from support.raw import request

    return request(body=BODY, key=worker.key)


# --- TLS, proxies, HTTP/2


def test_tls_with_a_private_authority(serve: Serve, tmp_path: Path) -> None:
    with Upstream(tls=True) as secure, Upstream(tls=True) as other:
        right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
        right.write_bytes(secure.ca_pem)
        wrong.write_bytes(other.ca_pem)
        worker = serve(config(deployment(secure, "gpt-4o", ssl_verify=str(right))))
        for _ in range(3):
            assert worker.call("/v1/chat/completions", BODY)[0] == 200
        assert len({item.connection for item in secure.requests}) == 1
        for options in ({"ssl_verify": str(wrong)}, {}):
            worker = serve(config(deployment(secure, "gpt-4o", **options)))
            start = time.monotonic()
            status, _, body = worker.call("/v1/chat/completions", BODY)
            error = check_error(worker, status, body, time.monotonic() - start)
            assert status == 502
            assert "tls" in error["message"]
        worker = serve(config(deployment(secure, "gpt-4o", ssl_verify=False)))
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        by_number = secure.base.replace("localhost", "127.0.0.1")
        worker = serve(config(deployment(by_number, "gpt-4o", ssl_verify=str(right))))
        assert worker.call("/v1/chat/completions", BODY)[0] == 502
        assert len(secure.requests) == 4
        settings = {"upstreams": [{"host": "localhost", "ca_file": str(right)}]}
        worker = serve(config(deployment(secure, "gpt-4o"), **settings))
        assert worker.call("/v1/chat/completions", {**BODY, "stream": True})[2].endswith(b"[DONE]\n\n")


def test_tls_to_a_host_that_speaks_none(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream.base.replace("http:", "https:"))
    start = time.monotonic()
    status, _, body = worker.call("/v1/chat/completions", BODY)
    check_error(worker, status, body, time.monotonic() - start)
    assert status == 502


def through(host: str, proxy: Proxy, port: int) -> dict[str, Any]:
    return {"upstreams": [{"host": f"{host}:{port}", "proxy": proxy.url}]}


def test_a_proxy(serve: Serve, upstream: Upstream) -> None:
    with Proxy(user="me", password="secret") as proxy:
        worker = serve(config(deployment(upstream, "gpt-4o"), **through("127.0.0.1", proxy, upstream.port)))
        status, _, body = worker.call("/v1/chat/completions", BODY)
        assert status == 200, body
        assert json.loads(body)["model"] == "gpt-4o"
        assert worker.call("/v1/chat/completions", {**BODY, "stream": True})[2].endswith(b"[DONE]\n\n")
        assert len(proxy.seen) >= 1
        assert [item.json["model"] for item in upstream.requests] == ["gpt-4o"] * 2
        assert upstream.requests[0].header("authorization") == "Bearer sk-provider-0123456789"
        assert upstream.requests[0].header("proxy-authorization") is None
        assert [event["completion_tokens"] for event in worker.wait_events(2)] == [8, 8]


def test_a_tunnel_through_a_proxy(serve: Serve, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with Proxy() as proxy, Upstream(tls=True) as secure:
        authority.write_bytes(secure.ca_pem)
        worker = serve(
            config(deployment(secure, "gpt-4o", ssl_verify=str(authority)), **through("localhost", proxy, secure.port))
        )
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        assert proxy.seen[0].startswith(f"CONNECT localhost:{secure.port} ")
        assert b"sk-provider" not in b"".join(proxy.heads)


def test_a_proxy_of_the_environment(running: Worker, upstream: Upstream) -> None:
    with Proxy() as proxy:
        running.env = {"HTTP_PROXY": proxy.url, "NO_PROXY": "elsewhere.example"}
        try:
            running.serve(config(deployment("http://provider.example/v1", "gpt-4o")))
            running.forget()
            status, _, _ = running.call("/v1/chat/completions", BODY)
            assert status == 502  # nobody listens on port 80 of this machine
            assert proxy.seen[0].startswith("POST http://provider.example/v1/chat/completions ")
        finally:
            running.env = {}


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses(serve: Serve, tmp_path: Path, status: int) -> None:
    with Proxy(refuse=status) as proxy, Upstream(tls=True) as secure:
        worker = serve(config(deployment(secure, "gpt-4o"), **through("localhost", proxy, secure.port)))
        start = time.monotonic()
        got, _, body = worker.call("/v1/chat/completions", BODY)
        check_error(worker, got, body, time.monotonic() - start)
        assert got == 502


def test_a_proxied_provider_that_breaks(serve: Serve, upstream: Upstream) -> None:
    """Deadlines, cancelling and back-pressure do not depend on the carrier."""
    with Proxy() as proxy:
        worker = serve(config(deployment(upstream, "gpt-4o"), **through("127.0.0.1", proxy, upstream.port)))
        for script in (Script(delay=5), Script(cut="rst", after=20), Script(status=500), Script(cut="stall", after=10)):
            worker.forget()
            upstream.script(script)
            start = time.monotonic()
            status, _, body = worker.call("/v1/chat/completions", BODY)
            check_error(worker, status, body, time.monotonic() - start)
        upstream.script(Script(cut="rst", after=4))
        status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": True})
        assert status == 200
        assert b"[DONE]" not in body
        assert b'"error"' in body


@pytest.mark.parametrize("tls", [True, False])
def test_http2_only(serve: Serve, tmp_path: Path, tls: bool) -> None:
    with H2Upstream(tls=tls) as h2:
        authority = tmp_path / "ca.pem"
        authority.write_bytes(h2.ca_pem)
        upstreams = [{"host": f"{'localhost' if tls else '127.0.0.1'}:{h2.port}", "http2": True}]
        if tls:
            upstreams[0]["ca_file"] = str(authority)
        worker = serve(config(deployment(h2.base, "gpt-4o"), upstreams=upstreams))
        status, headers, body = worker.call("/v1/chat/completions", BODY)
        assert status == 200, body
        assert headers["llm_provider-x-request-id"] == "req_h2"
        assert worker.call("/v1/chat/completions", {**BODY, "stream": True})[2].endswith(b"[DONE]\n\n")
        assert [item["model"] for item in h2.requests] == ["gpt-4o"] * 2
        assert dict(h2.heads[0])["authorization"] == "Bearer sk-provider-0123456789"
        assert [event["completion_tokens"] for event in worker.wait_events(2)] == [8, 8]


def test_http2_only_asked_in_http1(serve: Serve, tmp_path: Path) -> None:
    with H2Upstream(tls=False) as h2:
        worker = alone(serve, h2.base)
        assert worker.call("/v1/chat/completions", BODY)[0] == 502


# --- coded answers


def test_a_bomb(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    assert worker.call("/v1/chat/completions", BODY)[0] == 200
    before = worker.memory
    bomb = gzip.compress(b'{"x":"' + b"a" * 100_000_000 + b'"}')
    for stream in (False, True):
        kind = [("Content-Type", "text/event-stream")] if stream else []
        upstream.script(Script(body=bomb, headers=[("Content-Encoding", "gzip"), *kind]))
        assert worker.call("/v1/chat/completions", {**BODY, "stream": stream})[0] == 502
    assert worker.memory - before < 200 << 20


def test_deep_answers(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    upstream.script(Script(body=b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"))
    start = time.monotonic()
    status, _, body = worker.call("/v1/chat/completions", BODY)
    check_error(worker, status, body, time.monotonic() - start)
    upstream.script(Script(events=[b'data: {"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n\n"]))
    status, _, body = worker.call("/v1/chat/completions", {**BODY, "stream": True})
    assert status == 502


def test_dates_nobody_understands(serve: Serve, upstream: Upstream) -> None:
    worker = alone(serve, upstream)
    for value in (
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "1e999",
        "-5",
        "nan",
        "inf",
        "",
        "0x10",
        "Wed, 99 Foo 2020 99:99:99 GMT",
        "9" * 400,
    ):
        upstream.script(Script(status=429, headers=[("Retry-After", value)]))
        start = time.monotonic()
        status, _, _ = worker.call("/v1/chat/completions", BODY)
        assert status == 429, value
        assert time.monotonic() - start < 0.4


def test_it_is_still_well_after_all_that(worker: Worker) -> None:
    assert worker.call("/v1/chat/completions", BODY)[0] == 200
    worker.settled()
    assert "Traceback" not in worker.logs()
