"""Hostile and odd clients on raw sockets: one request is one answer, what is broken is refused, the worker lives on."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gateway import MASTER_KEY, Gateway, config_for
from support.raw import RawClient, Response, request
from support.upstream import Script, Upstream
from support.worker import Worker

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}
AUTH = b"Authorization: Bearer " + MASTER_KEY.encode() + b"\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
Serve = Callable[[dict[str, Any]], Worker]


def chat(**changes: Any) -> bytes:
    return request(body={**CHAT, **changes}, key=MASTER_KEY)


def healthy(worker: Worker) -> None:
    """It still serves."""
    with worker.raw() as client:
        client.send(chat())
        assert client.response().status == 200


@contextmanager
def control(worker: Worker) -> Iterator[list[bytes]]:
    """A control plane that answers `ok` and keeps what it got."""
    received: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(worker.control))
    listener.listen(16)

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield received
    finally:
        listener.close()
        worker.control.unlink()


# --- framing

BODY = json.dumps(CHAT).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"Host: gateway\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ONE = b"%x\r\n%b\r\n" % (len(BODY), BODY)
MALFORMED: dict[str, bytes] = {
    "CL.TE": POST + HOST + AUTH + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "TE.CL": POST + HOST + AUTH + CHUNKED + LENGTH + b"\r\n" + ONE + b"0\r\n\r\n",
    "TE.CL zero": POST + HOST + AUTH + CHUNKED + b"Content-Length: 0\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE twice": POST + HOST + AUTH + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE unknown": POST + HOST + AUTH + b"Transfer-Encoding: xchunked\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE identity": POST + HOST + AUTH + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "TE chunked not last": POST + HOST + AUTH + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE gzip, chunked": POST + HOST + AUTH + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE tab": POST + HOST + AUTH + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE space before colon": POST + HOST + AUTH + b"Transfer-Encoding : chunked\r\n\r\n" + ONE + b"0\r\n\r\n",
    "TE in HTTP/1.0": POST.replace(b"1.1", b"1.0") + HOST + AUTH + CHUNKED + LENGTH + b"\r\n" + ONE + b"0\r\n\r\n",
    "two lengths": POST + HOST + AUTH + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "two equal lengths": POST + HOST + AUTH + LENGTH + LENGTH + b"\r\n" + BODY,
    "lengths in a list": POST + HOST + AUTH + b"Content-Length: 5, 5\r\n\r\nhello",
    "length with plus": POST + HOST + AUTH + b"Content-Length: +5\r\n\r\nhello",
    "length negative": POST + HOST + AUTH + b"Content-Length: -5\r\n\r\nhello",
    "length hex": POST + HOST + AUTH + b"Content-Length: 0x5\r\n\r\nhello",
    "length empty": POST + HOST + AUTH + b"Content-Length: \r\n\r\nhello",
    "length with space inside": POST + HOST + AUTH + b"Content-Length: 1 5\r\n\r\nhello",
    "length over 64 bits": POST + HOST + AUTH + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
    "length with space before colon": POST + HOST + AUTH + b"Content-Length : 5\r\n\r\nhello",
    "obs-fold": POST + HOST + AUTH + b"X-Folded: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "obs-fold of a length": POST + HOST + AUTH + b"Content-Length:\r\n 5\r\n\r\nhello",
    "bare LF in head": POST + HOST + AUTH + b"X-A: b\nContent-Length: 5\r\n\r\nhello",
    "only LF": (POST + HOST + AUTH + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "bare CR in a value": POST + HOST + AUTH + b"X-A: b\rc\r\n" + LENGTH + b"\r\n" + BODY,
    "bare CR ends a line": POST + HOST + AUTH + b"X-A: b\r" + LENGTH + b"\r\n" + BODY,
    "NUL in a value": POST + HOST + AUTH + b"X-A: b\x00c\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in a name": POST + HOST + AUTH + b"X\x00A: b\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in the target": POST.replace(b"/v1", b"/\x00v1") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "name with space": POST + HOST + AUTH + b"X A: b\r\n" + LENGTH + b"\r\n" + BODY,
    "name empty": POST + HOST + AUTH + b": b\r\n" + LENGTH + b"\r\n" + BODY,
    "no colon": POST + HOST + AUTH + b"Nonsense\r\n" + LENGTH + b"\r\n" + BODY,
    "space before the first header": POST + b" X: y\r\n" + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "no Host": POST + AUTH + LENGTH + b"\r\n" + BODY,
    "two Hosts": POST + HOST + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "two Hosts, other case": POST + HOST + b"hOsT: other\r\n" + AUTH + LENGTH + b"\r\n" + BODY,
    "chunk size not hex": POST + HOST + AUTH + CHUNKED + b"\r\nzz\r\nhello\r\n0\r\n\r\n",
    "chunk size negative": POST + HOST + AUTH + CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "chunk size with 0x": POST + HOST + AUTH + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size empty": POST + HOST + AUTH + CHUNKED + b"\r\n\r\nhello\r\n0\r\n\r\n",
    "chunk size over 64 bits": POST + HOST + AUTH + CHUNKED + b"\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": POST + HOST + AUTH + CHUNKED + b"\r\n2\r\nhello\r\n0\r\n\r\n",
    "chunk ends with LF": POST + HOST + AUTH + CHUNKED + b"\r\n5\nhello\n0\n\n",
    "chunk extension with a line end": POST + HOST + AUTH + CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "version 2": POST.replace(b"HTTP/1.1", b"HTTP/2.0") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "version 1.2": POST.replace(b"HTTP/1.1", b"HTTP/1.2") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "version 0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method unknown": POST.replace(b"POST", b"BREW ME") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "method lower case": POST.replace(b"POST", b"post") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "target with space": POST.replace(b"/v1", b"/v 1") + HOST + AUTH + LENGTH + b"\r\n" + BODY,
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused_and_nothing_after_them_is_served(
    worker: Worker, upstream: Upstream, name: str
) -> None:
    with worker.raw(5) as client:
        client.send(MALFORMED[name] + SMUGGLED * 2 + chat())
        data, _ = client.until_closed(5)
    assert len(re.findall(rb"HTTP/1\.1 \d", data)) == 1, data
    status = int(data.split(b" ")[1])
    assert 400 <= status < 500 or status in (501, 505), data
    assert upstream.requests == []
    assert b"connection: close" in data.lower()
    error = json.loads(data.partition(b"\r\n\r\n")[2])["error"]
    assert error["message"]
    assert error["type"] == "invalid_request_error"


def test_there_are_enough_of_them() -> None:
    assert len(MALFORMED) >= 40


def test_malformed_requests_are_refused_byte_by_byte_too(worker: Worker, upstream: Upstream) -> None:
    for name in ("CL.TE", "two lengths", "obs-fold", "bare LF in head", "two Hosts", "chunk longer than its size"):
        with worker.raw(5) as client:
            client.drip(MALFORMED[name], 0)
            data, _ = client.until_closed(5)
        assert data.startswith(b"HTTP/1.1 400 "), (name, data)
        assert len(re.findall(rb"HTTP/1\.1 \d", data)) == 1
    assert upstream.requests == []


# --- well-formed oddities


def test_chunked_body(worker: Worker, upstream: Upstream) -> None:
    with worker.raw() as client:
        pieces = b"".join(b"1;name=value\r\n%c\r\n" % byte for byte in BODY)
        client.send(POST + HOST + AUTH + CHUNKED + b"\r\n" + pieces + b"0\r\n\r\n")
        assert client.response().status == 200
    assert upstream.requests[0].json == CHAT


def test_trailers_are_not_headers(worker: Worker, upstream: Upstream) -> None:
    with worker.raw() as client:
        client.send(POST + HOST + CHUNKED + b"\r\n" + ONE + b"0\r\n" + AUTH + b"Host: other\r\n\r\n")
        assert client.response().status == 401
    assert upstream.requests == []


def test_trailers_are_not_passed_on(worker: Worker) -> None:
    with control(worker) as received, worker.raw() as client:
        client.send(b"POST /key/generate HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + ONE + b"0\r\n" + AUTH + b"\r\n")
        assert client.response().body == b"ok"
        assert received[0].endswith(b"\r\n\r\n" + BODY)
        assert b"authorization" not in received[0].lower()


@pytest.mark.parametrize(
    "tail",
    [
        b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(20_000)),
        b"X-Long: " + b"a" * 20_000_000,
    ],
)
def test_a_bomb_of_trailers(worker: Worker, tail: bytes) -> None:
    before = worker.memory
    with worker.raw(10) as client:
        client.send(POST + HOST + AUTH + CHUNKED + b"\r\n" + ONE + b"0\r\n")
        client.send(tail)
        data, _ = client.until_closed(10)
    assert data.startswith(b"HTTP/1.1 431 "), data[:100]
    assert worker.memory - before < 8 << 20
    healthy(worker)


def test_endless_chunk_extensions(worker: Worker) -> None:
    with worker.raw(10) as client:
        client.send(POST + HOST + AUTH + CHUNKED + b"\r\n1;")
        for _ in range(200):
            client.send(b"a" * 100_000)
        data, _ = client.until_closed(10)
    assert data.startswith(b"HTTP/1.1 431 "), data[:100]
    healthy(worker)


def test_pipelined_requests_are_answered_in_order(worker: Worker, upstream: Upstream) -> None:
    upstream.always(Script(delay=0.05), model="gpt-4o")
    with worker.raw() as client:
        count = 40
        client.send(b"".join(chat(model="gpt-4o" if n % 3 else "gpt-4o-mini", user=f"u{n}") for n in range(count)))
        answers = [client.response() for _ in range(count)]
    assert [answer.status for answer in answers] == [200] * count
    assert [answer.json["model"] for answer in answers] == ["gpt-4o" if n % 3 else "gpt-4o-mini" for n in range(count)]
    assert [item.json["user"] for item in upstream.requests] == [f"u{n}" for n in range(count)]


def test_requests_that_come_while_others_wait_keep_their_order(worker: Worker, upstream: Upstream) -> None:
    with worker.raw() as client:
        received: list[str] = []

        def read() -> None:
            received.extend(client.response().header("x-request-id") or "" for _ in range(300))

        reader = threading.Thread(target=read)
        reader.start()
        for n in range(300):
            client.send(request(body=CHAT, key=MASTER_KEY, headers=(("x-request-id", f"r{n}"),)))
            if n % 7 == 0:
                time.sleep(0.001)
        reader.join(20)
    assert received == [f"r{n}" for n in range(300)]


def test_pipelined_local_answers_and_streams(worker: Worker) -> None:
    with worker.raw() as client:
        stream = request(body=STREAM, key=MASTER_KEY)
        live = request("/_health/live", method="GET")
        client.send(live + stream + live + chat() + live)
        kinds = [client.response() for _ in range(5)]
    assert [answer.status for answer in kinds] == [200] * 5
    assert kinds[1].body.endswith(b"data: [DONE]\n\n")
    assert [kinds[n].body for n in (0, 2, 4)] == [b'"I\'m alive!"'] * 3


def test_a_flood_of_pipelined_requests_takes_bounded_memory(worker: Worker, upstream: Upstream) -> None:
    upstream.always(Script(delay=0.3))
    healthy(worker)
    before = worker.memory
    with worker.raw(1) as client:
        sent = 0
        one = chat(messages=[{"role": "user", "content": "x" * 2000}]) * 50
        try:
            while sent < 64 << 20:
                client.sock.settimeout(0.5)
                sent += client.sock.send(one)
        except TimeoutError:
            pass
        assert sent < 32 << 20
    assert worker.memory - before < 16 << 20


def test_an_error_after_a_good_request_does_not_spoil_its_answer(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(delay=0.1))
    with worker.raw() as client:
        client.send(chat() + b"garbage\r\n\r\n" + chat())
        answer = client.response()
        rest, _ = client.until_closed()
    assert answer.status == 200
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert len(upstream.requests) == 1


def test_an_expectation_is_met_before_the_body(worker: Worker) -> None:
    with worker.raw() as client:
        head = POST + HOST + AUTH + LENGTH + b"Expect: 100-continue\r\n\r\n"
        client.send(head)
        assert client.more()
        assert client.buffer == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert client.response().status == 200


def test_an_expectation_does_not_land_in_another_answer(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(tokens=20, interval=0.01))
    with worker.raw() as client:
        head = POST + HOST + AUTH + LENGTH + b"Expect: 100-continue\r\n\r\n"
        client.send(request(body=STREAM, key=MASTER_KEY))
        assert client.more()
        client.send(head)
        time.sleep(0.05)
        client.send(BODY)
        first = client.response()
        assert first.body.endswith(b"data: [DONE]\n\n")
        assert first.body.count(b"data: ") == 23
        assert client.response().json["object"] == "chat.completion"


def test_no_continue_for_a_body_that_is_too_large(worker: Worker) -> None:
    with worker.raw() as client:
        client.send(POST + HOST + AUTH + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        data, _ = client.until_closed()
    assert data.startswith(b"HTTP/1.1 413 ")


def test_http_10(worker: Worker) -> None:
    for body, closing in ((CHAT, True), (STREAM, True)):
        with worker.raw() as client:
            text = json.dumps(body).encode()
            client.send(
                b"POST /v1/chat/completions HTTP/1.0\r\n" + AUTH + b"Content-Length: %d\r\n\r\n" % len(text) + text
            )
            answer = client.response()
            assert answer.status == 200
            assert answer.header("transfer-encoding") is None
            assert (answer.header("connection") == "close") == closing
            assert client.until_closed()[0] == b""
        if body.get("stream"):
            assert answer.body.endswith(b"data: [DONE]\n\n")


def test_connection_close(worker: Worker) -> None:
    with worker.raw() as client:
        client.send(request(body=CHAT, key=MASTER_KEY, headers=(("Connection", "close"),)))
        answer = client.response()
        assert answer.status == 200
        assert answer.header("connection") == "close"
        assert client.until_closed()[0] == b""


def test_head_has_no_body(worker: Worker, provider: Upstream, serve: Serve) -> None:
    serve(config_for(provider, *(f"model-{n:04d}" + "x" * 80 for n in range(1000))))
    with worker.raw() as client:
        for path in ("/_health/live", "/v1/models", "/v1/chat/completions"):
            client.sock.sendall(request(path, key=MASTER_KEY, method="HEAD"))
            client.more()
            head, _, rest = client.buffer.partition(b"\r\n\r\n")
            client.buffer = b""
            assert rest == b""
            assert (b"405" in head) == (path == "/v1/chat/completions")
            assert b"Content-Length: 0" not in head


def test_wrong_methods(worker: Worker) -> None:
    for path, method, allowed in (
        ("/v1/chat/completions", "GET", "POST"),
        ("/v1/chat/completions", "DELETE", "POST"),
        ("/embeddings", "PUT", "POST"),
        ("/v1/models", "POST", "GET"),
        ("/_health/live", "POST", "GET"),
    ):
        status, headers, body = worker.call(path, method=method, body={} if method in ("POST", "PUT") else None)
        assert status == 405
        assert allowed in headers["allow"]
        assert json.loads(body)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/_health/live", "/v1/chat/completions"])
def test_an_upgrade_is_ignored_and_answered_once(worker: Worker, path: str) -> None:
    with worker.raw() as client:
        headers = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP"))
        hot = path.endswith("completions")
        client.send(
            request(path, CHAT if hot else None, key=MASTER_KEY, method="POST" if hot else "GET", headers=headers)
        )
        client.send(SMUGGLED)
        data, _ = client.until_closed()
    assert data.startswith(b"HTTP/1.1 200 "), data
    assert len(re.findall(rb"HTTP/1\.1 \d", data)) == 1, data


def test_connect_is_refused(worker: Worker) -> None:
    with worker.raw() as client:
        client.send(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n" + SMUGGLED)
        data, _ = client.until_closed()
    assert data.split(b" ")[1] in (b"400", b"404", b"405"), data
    assert len(re.findall(rb"HTTP/1\.1 \d", data)) == 1


# --- sizes


def test_header_bombs(worker: Worker) -> None:
    for bomb in (
        b"".join(b"X-%d: a\r\n" % n for n in range(200)),
        b"X-Long: " + b"a" * 40_000 + b"\r\n",
        b"".join(b"X-%d: %b\r\n" % (n, b"a" * 900) for n in range(60)),
        b"X-Endless: " + b"a" * 2_000_000,
    ):
        with worker.raw() as client:
            client.send(POST + HOST + AUTH + bomb + b"\r\n")
            data, took = client.until_closed()
        assert data.startswith(b"HTTP/1.1 431 "), data[:100]
        assert took < 2
    healthy(worker)


def test_long_urls(worker: Worker) -> None:
    with worker.raw() as client:
        client.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.until_closed()[0].startswith(b"HTTP/1.1 414 ")
    with worker.raw() as client:
        client.send(b"GET /" + b"a" * 1_000_000)
        assert client.until_closed()[0].startswith(b"HTTP/1.1 414 ")


def test_a_body_over_the_limit_is_refused_before_it_is_read(worker: Worker, upstream: Upstream) -> None:
    before = worker.memory
    with worker.raw() as client:
        client.send(POST + HOST + AUTH + b"Content-Length: 20000000\r\n\r\n")
        data, took = client.until_closed()
        assert data.startswith(b"HTTP/1.1 413 ")
        assert took < 1
        assert json.loads(data.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_too_large"
    with worker.raw() as client:
        client.send(POST + HOST + AUTH + CHUNKED + b"\r\n")
        for _ in range(30):
            client.send(b"100000\r\n" + b"a" * 0x100000 + b"\r\n")
        data, _ = client.until_closed()
        assert data.startswith(b"HTTP/1.1 413 ")
    assert worker.memory - before < 40 << 20
    assert upstream.requests == []


def test_coded_bodies_are_refused(worker: Worker) -> None:
    for coding in ("gzip", "zstd", "br", "deflate, gzip"):
        status, _, body = worker.call("/v1/chat/completions", b"x" * 10, headers={"Content-Encoding": coding})
        assert status == 415
        assert json.loads(body)["error"]["code"] == "unsupported_content_encoding"
    assert worker.call("/v1/chat/completions", CHAT, headers={"Content-Encoding": "Identity"})[0] == 200


WRONG = {
    "empty": b"",
    "space": b"   ",
    "not JSON": b"model=gpt-4o",
    "cut": b'{"model": "gpt-4o", "messages": [',
    "list": b"[]",
    "text": b'"hello"',
    "number": b"12",
    "null": b"null",
    "two objects": b'{"model":"gpt-4o","messages":[]}{}',
    "comment": b'{"model":"gpt-4o" /* a */,"messages":[]}',
    "single quotes": b"{'model':'gpt-4o'}",
    "trailing comma": b'{"model":"gpt-4o","messages":[],}',
    "UTF-16": json.dumps(CHAT).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + BODY,
    "bad UTF-8 in model": b'{"model":"gpt-4o\xff","messages":[]}',
    "deep list": b'{"model":"gpt-4o","messages":' + b"[" * 250_000 + b"]" * 250_000 + b"}",
    "deep unknown": b'{"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b',"model":"gpt-4o","messages":[]}',
    "deep and open": b"[" * 2_000_000,
    "model number": b'{"model":7,"messages":[]}',
    "model null": b'{"model":null,"messages":[]}',
    "model list": b'{"model":["gpt-4o"],"messages":[]}',
    "model missing": b'{"messages":[]}',
    "model empty": b'{"model":"","messages":[]}',
    "messages missing": b'{"model":"gpt-4o"}',
    "messages text": b'{"model":"gpt-4o","messages":"hi"}',
    "messages null": b'{"model":"gpt-4o","messages":null}',
    "stream text": b'{"model":"gpt-4o","messages":[],"stream":"yes"}',
    "stream number": b'{"model":"gpt-4o","messages":[],"stream":1}',
    "max_tokens text": b'{"model":"gpt-4o","messages":[],"max_tokens":"10"}',
    "user number": b'{"model":"gpt-4o","messages":[],"user":10}',
    "stream_options list": b'{"model":"gpt-4o","messages":[],"stream":true,"stream_options":[]}',
    "stream_options wrong": b'{"model":"gpt-4o","messages":[],"stream":true,"stream_options":{"include_usage":"x"}}',
    "NaN": b'{"model":"gpt-4o","messages":[],"temperature":NaN}',
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bodies(worker: Worker, upstream: Upstream, name: str) -> None:
    status, _, body = worker.call("/v1/chat/completions", WRONG[name])
    assert status == 400, body[:300]
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 500
    assert upstream.requests == []


@pytest.mark.parametrize(
    "name",
    ["api_base", "api_key", "base_url", "api_version", "custom_llm_provider", "extra_headers", "user_config"],
)
def test_clients_say_nothing_about_where_to_call(worker: Worker, upstream: Upstream, name: str) -> None:
    status, _, body = worker.call("/v1/chat/completions", {**CHAT, name: "http://127.0.0.1:9/"})
    assert status == 400
    assert json.loads(body)["error"]["param"] == name
    assert upstream.requests == []


@pytest.mark.parametrize("value", [10**30, 2**63, 10**400, -(10**9), 1e18])
def test_sizes_nobody_means(serve: Serve, provider: Upstream, value: float) -> None:
    key = {"name": "k", "key": "sk-limited-0123456789", "tpm": 1_000_000, "max_budget": 1.0}
    worker = serve(config_for(provider, "gpt-4o", routeiq={"keys": [key]}))
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"max_tokens":%b}' % str(int(value)).encode()
    status, _, _ = worker.call("/v1/chat/completions", body, key="sk-limited-0123456789")
    assert status in ((200,) if value < 0 else (400, 422, 429))


# --- time


def test_slow_clients_are_cut(serve: Serve, provider: Upstream) -> None:
    worker = serve(
        config_for(
            provider,
            "gpt-4o",
            routeiq={"timeouts": {"client_header": 0.5, "client_body_idle": 0.5, "client_keepalive": 0.5}},
        )
    )
    slow_head, slow_body, silent, kept, dripping = (worker.raw() for _ in range(5))
    start = time.monotonic()
    slow_head.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
    slow_body.send(POST + HOST + AUTH + LENGTH + b"\r\n" + BODY[:5])
    kept.send(chat())
    assert kept.response().status == 200

    def drip() -> None:
        dripping.drip(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 100, 0.03)

    dripper = threading.Thread(target=drip)
    dripper.start()
    assert slow_head.until_closed()[0].startswith(b"HTTP/1.1 408 ")
    assert slow_body.until_closed()[0].startswith(b"HTTP/1.1 408 ")
    assert silent.until_closed()[0] == b""
    assert kept.until_closed()[0] == b""
    dripping.until_closed()
    dripper.join()
    assert 0.4 < time.monotonic() - start < 4
    for client in (slow_head, slow_body, silent, kept, dripping):
        client.close()


def test_a_long_answer_outlives_the_time_to_send_a_request(serve: Serve, upstream: Upstream) -> None:
    worker = serve(
        config_for(
            upstream,
            "gpt-4o",
            routeiq={"timeouts": {"client_header": 0.3, "client_body_idle": 0.3, "client_keepalive": 0.3}},
        )
    )
    upstream.script(Script(delay=1.7))
    with worker.raw() as client:
        client.send(chat())
        assert client.response().status == 200


# --- room


def test_max_in_flight(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config_for(upstream, "gpt-4o", routeiq={"limits": {"max_in_flight": 3}}))
    upstream.always(Script(delay=0.4))
    clients = [worker.raw() for _ in range(6)]
    for client in clients[:3]:
        client.send(chat())
    upstream.wait_requests(3)
    for client in clients[3:]:
        client.send(chat())
    refused = [client.response() for client in clients[3:]]
    assert [answer.status for answer in refused] == [503] * 3
    assert all(answer.header("retry-after") == "1" for answer in refused)
    assert refused[0].json["error"]["code"] == "overloaded"
    assert [client.response().status for client in clients[:3]] == [200] * 3
    for client in clients:
        client.send(chat())
        time.sleep(0.01)
    assert sorted(client.response().status for client in clients) == [200] * 3 + [503] * 3
    for client in clients:
        client.close()
    worker.wait_moved('routeiq_refused_total{kind="overloaded"}', 6)


def test_max_connections(serve: Serve, provider: Upstream) -> None:
    worker = serve(config_for(provider, "gpt-4o", routeiq={"limits": {"max_connections": 5}}))
    time.sleep(0.1)  # until those of earlier tests are gone
    clients = [worker.raw() for _ in range(5)]
    for client in clients:
        client.send(chat())
        assert client.response().status == 200
    with worker.raw() as more:
        assert more.until_closed()[0] == b""
    clients.pop().close()
    time.sleep(0.05)
    with worker.raw() as another:
        another.send(chat())
        assert another.response().status == 200
    for client in clients:
        client.close()


# --- anything


def test_private_paths_are_not_passed_on(worker: Worker) -> None:
    """However they are spelled, for the control plane decodes what it gets."""
    with control(worker) as received:
        with worker.raw() as client:
            client.send(request("/spend/logs", key=MASTER_KEY, method="GET"))
            assert client.response().body == b"ok"
        with worker.raw() as client:
            client.send(request("/.well-known/agent.json", key=MASTER_KEY, method="GET"))
            assert client.response().body == b"ok"
        received.pop()
        assert received.pop().startswith(b"GET /spend/logs HTTP/1.1\r\n")
        for path in (
            "/internal/keys/ab",
            "/INTERNAL/keys/ab",
            "/%69nternal/keys/ab",
            "/%69%6E%74%65%72%6e%61%6c/keys/ab",
            "//internal/keys/ab",
            "/./internal/keys/ab",
            "/x/../internal/keys/ab",
            "/x/%2e%2e/internal/keys/ab",
            "/%2finternal/keys/ab",
            "/\\internal/keys/ab",
            "/internal",
            "/internal?x=/v1",
            "http://gateway/internal/keys/ab",
            "*",
        ):
            with worker.raw() as client:
                client.send(request(path, key=MASTER_KEY, method="GET"))
                assert client.response().status in (400, 404), path
        assert received == []


def test_without_a_control_plane(worker: Worker) -> None:
    with worker.raw() as client:
        client.send(request("/spend/logs", key=MASTER_KEY, method="GET"))
        answer: Response = client.response()
        assert answer.status == 503
        assert answer.header("retry-after") == "1"
        assert answer.json["error"]["code"] == "control_unavailable"
        client.send(chat())
        assert client.response().status == 200


fragments = st.sampled_from(
    [
        POST, HOST, AUTH, LENGTH, CHUNKED, BODY, ONE, SMUGGLED, b"\r\n", b"\n", b"\r", b"\0", b"0\r\n\r\n", b" ", b":",
        b"GET /v1/models HTTP/1.1\r\n", b"HTTP/1.1", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"{", b"[",
        b"Content-Length: 5\r\n", b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"a" * 5000, b"\xff",
    ]
)  # fmt: skip


@given(st.lists(fragments | st.binary(max_size=40), max_size=14), st.integers(0, 3))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes(running: Worker, parts: list[bytes], cuts: int) -> None:
    data = b"".join(parts)
    client = RawClient("127.0.0.1", running.port, 3)
    step = max(1, len(data) // (cuts + 1))
    for start in range(0, len(data), step):
        client.send(data[start : start + step])
    try:
        client.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    out, _ = client.until_closed(3)
    client.close()
    for answer in out.split(b"HTTP/1.1 ")[1:]:
        assert answer[:3] in (b"100", b"200", b"400", b"401", b"404", b"405", b"408", b"431", b"414", b"415", b"503")


def test_it_is_still_well_after_all_that(worker: Worker) -> None:
    healthy(worker)
    worker.settled()
    assert "Traceback" not in worker.logs()


def test_head_of_what_the_control_plane_serves_has_no_body_and_leaves_the_connection_whole(gateway: Gateway) -> None:
    while gateway.get("/openapi.json")[0] != 200:  # workers are there before the control plane is
        time.sleep(0.1)
    length = len(gateway.get("/openapi.json")[2])
    with gateway.raw(timeout=5) as client:
        for path, key, status in (("/openapi.json", MASTER_KEY, 200), ("/metrics", "sk-wrong", 401)):
            client.send(request(path, key=key, method="HEAD"))
            while b"\r\n\r\n" not in client.buffer:
                assert client.more()
            head, _, client.buffer = client.buffer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert (b"Content-Length: %d" % length in head) == (status == 200)
            client.send(request("/_health/live", method="GET"))
            assert client.response().body == b'"I\'m alive!"'
