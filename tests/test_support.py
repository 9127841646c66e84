"""The doubles themselves: an obedient provider gives what the SDK expects, a bad one is bad in the way it says."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import httpx2
import openai
import pytest

from support import addresses, faults
from support.h2_upstream import H2Upstream
from support.proxy import Proxy
from support.raw import RawClient, request
from support.upstream import Script, Upstream

MESSAGES = [{"role": "user", "content": "one two three"}]


@pytest.fixture
def up() -> Iterator[Upstream]:
    """One of its own for each test: connections of a bad answer must not reach the next."""
    with Upstream(api_key="sk-up") as server:
        yield server


def sdk(base: str, **options: object) -> openai.OpenAI:
    return openai.OpenAI(base_url=base, api_key="sk-up", max_retries=0, timeout=1, **options)


def test_it_answers_as_the_sdk_expects(up: Upstream) -> None:
    client = sdk(up.base)
    chat = client.chat.completions.create(model="m", messages=MESSAGES)
    assert chat.usage is not None
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (3, 8)
    short = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=2)
    assert (short.choices[0].finish_reason, short.choices[0].message.content) == ("length", "tok0 tok1 ")
    assert client.completions.create(model="m", prompt="a b").choices[0].text.startswith("tok0")
    assert len(client.embeddings.create(model="m", input=["a", "b"]).data[1].embedding) == 8
    assert client.models.list().data[0].id == "gpt-4o"
    assert [seen.model for seen in up.requests[:2]] == ["m", "m"]


def test_usage_comes_in_streams_only_when_asked_for(up: Upstream) -> None:
    client = sdk(up.base)
    plain = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    asked = list(
        client.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert all("usage" in chunk.model_fields_set for chunk in asked)
    assert not any("usage" in chunk.model_fields_set for chunk in plain)


@pytest.mark.parametrize("name", faults.BEFORE)
def test_what_fails_before_the_answer_fails(up: Upstream, name: str) -> None:
    up.script(faults.BEFORE[name])
    with pytest.raises(openai.OpenAIError), sdk(up.base) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


@pytest.mark.parametrize("name", sorted(faults.NOISE.keys() - {"stale keep-alive"}))
def test_noise_is_a_right_answer(up: Upstream, name: str) -> None:
    up.script(faults.NOISE[name], Script())
    client = sdk(up.base)
    for _ in range(2):
        assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
    assert up.stale_hits == 0


def test_a_stale_connection_closes_under_the_next_request(up: Upstream) -> None:
    up.script(faults.NOISE["stale keep-alive"])
    client = sdk(up.base).with_options(max_retries=1)
    for _ in range(2):
        assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
    assert (up.stale_hits, len(up.requests), up.connections) == (1, 2, 2)


def test_scripts_go_by_model_and_in_order(up: Upstream) -> None:
    client = sdk(up.base)
    up.script(Script(status=500), Script(status=503), model="bad")
    statuses = []
    for model in ("good", "bad", "bad", "bad"):
        raw = client.with_options(timeout=5)
        try:
            statuses.append(raw.chat.completions.with_raw_response.create(model=model, messages=MESSAGES).status_code)
        except openai.APIStatusError as error:
            statuses.append(error.status_code)
    assert statuses == [200, 500, 503, 200]


def test_it_sees_clients_leave(up: Upstream) -> None:
    up.always(Script(tokens=1000, interval=0.05))
    client = sdk(up.base)
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        next(iter(stream))
    left = time.monotonic()
    up.wait(lambda: up.requests[0].gone_at is not None)
    assert up.requests[0].gone_at is not None
    assert abs(up.requests[0].gone_at - left) < 1


def test_tls_and_proxy(up: Upstream) -> None:
    with Upstream(tls=True) as secure, Proxy(user="u", password="p") as proxy:
        context = ssl.create_default_context(cadata=secure.ca_pem.decode())
        with httpx2.Client(verify=context, proxy=proxy.url) as http:
            assert http.get(secure.base + "/models").status_code == 200
        assert proxy.seen == [f"CONNECT localhost:{secure.port} HTTP/1.1"]
        with httpx2.Client(proxy=proxy.url) as http:
            assert http.get(up.base + "/models", headers={"Authorization": "Bearer sk-up"}).status_code == 200
        assert proxy.seen[1] == f"GET {up.base}/models HTTP/1.1"
        with httpx2.Client(proxy=f"http://127.0.0.1:{proxy.port}") as http:
            assert http.get(up.base + "/models").status_code == 407


@pytest.mark.parametrize("tls", [True, False])
def test_http2_only(tls: bool) -> None:
    with H2Upstream(tls=tls) as server:
        context = ssl.create_default_context(cadata=server.ca_pem.decode()) if tls else None
        with httpx2.Client(http2=True, http1=False, verify=context or True) as http:
            answer = http.post(server.base + "/chat/completions", json={"model": "m", "messages": MESSAGES})
        assert (answer.http_version, answer.json()["object"]) == ("HTTP/2", "chat.completion")


def test_raw_client_reads_what_any_server_sends(up: Upstream) -> None:
    body = {"model": "m", "messages": MESSAGES}
    for script in (Script(), Script(framing="chunked", chunk=5), Script(framing="close"), faults.NOISE["103 first"]):
        up.script(script)
        with RawClient("127.0.0.1", up.port) as raw:
            raw.send(request(body=body, key="sk-up"))
            assert raw.response().json["object"] == "chat.completion"


def test_addresses_fail_in_their_way() -> None:
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(addresses.refused(), timeout=1)
    with addresses.black_hole() as base, pytest.raises(httpx2.ConnectTimeout):
        httpx2.get(base, timeout=0.3)
    with addresses.silent() as base, pytest.raises(httpx2.ReadTimeout):
        httpx2.get(base, timeout=0.3)
