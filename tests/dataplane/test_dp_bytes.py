"""Byte fidelity: what is not `model` stays as it was, in requests, answers and streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gateway import deployment
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]


@pytest.fixture
def renaming(serve: Serve, upstream: Upstream) -> Worker:
    """`public` is `private/one` at the provider."""
    worker = serve({"model_list": [deployment(upstream, "public", "private/one")]})
    upstream.always(Script(body=ANSWERS[2]))
    return worker


REQUESTS = [
    b'{"model":"public","messages":[]}',
    b'{ "messages" : [ ] , "model" : "public" }',
    b'{"messages":[],"temperature":1.0e0,"top_p":1E-2,"seed":12345678901234567890,"n":1.00,"model":"public"}',
    '{"messages":[{"role":"user","content":"\u00e4\u20ac\U0001f600"}],"model":"public","x":"\\u00e4\\ud83d\\ude00"}'.encode(),
    b'\n\t{"a":{"model":"public","b":[{"model":"public"}]},"model":"public","messages":[{"model":"public"}]}\n',
    b'{"messages":[{"content":"\\"model\\":\\"public\\""}],"model":"public"}',
    b'{"messages":[],"model":"public","unknown":null,"deep":[[[[{}]]]],"z":"}{][\\\\\\""}',
    b'{"messages":[],"m\\u006fdel":"public"}',
    b'{"messages":[],"model":"p\\u0075blic"}',
    b'{"messages":[],"stream":false,"stream_options":null,"model":"public"}',
]


@pytest.mark.parametrize("body", REQUESTS)
def test_requests(renaming: Worker, upstream: Upstream, body: bytes) -> None:
    assert renaming.call("/v1/chat/completions", body)[0] == 200
    sent = upstream.requests[0].body
    expected = body.replace(b'"public"', b'"private/one"') if body.count(b'"public"') == 1 else None
    if b"\\u0075" in body:
        expected = body.replace(b'"p\\u0075blic"', b'"private/one"')
    if expected is None:  # only the top-level member changes
        assert len(sent) == len(body) + len("private/one") - len("public")
        assert json.loads(sent) == {**json.loads(body), "model": "private/one"}
    else:
        assert sent == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"public","messages":[],"model":"expensive"}',
        b'{"model":"expensive","messages":[],"model":"public"}',
        b'{"m\\u006fdel":"expensive","model":"public","messages":[]}',
        b'{"model":"public","messages":[],"mod\\u0065l":"expensive"}',
        b'{"model":"public", "model" :"expensive","messages":[]}',
        b'{"model":"public","model":null,"messages":[]}',
        b'{"model":"public","model":{"a":"expensive"},"messages":[]}',
    ],
)
def test_a_second_model_is_not_smuggled(renaming: Worker, upstream: Upstream, body: bytes) -> None:
    status, _, _ = renaming.call("/v1/chat/completions", body)
    if status == 200:
        pairs: list[tuple[str, Any]] = json.loads(upstream.requests[0].body, object_pairs_hook=list)
        assert {json.dumps(value) for name, value in pairs if name == "model"} == {'"private/one"'}
    else:
        assert status in (400, 404)
        assert upstream.requests == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=8).filter(
    lambda name: (
        name
        not in (
            "model",
            "stream",
            "messages",
            "stream_options",
            "user",
            "max_tokens",
            "api_base",
            "api_key",
            "base_url",
        )
    )
)


@given(
    st.lists(st.tuples(names, values), max_size=5),
    st.integers(0, 5),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_request(
    renaming: Worker,
    upstream: Upstream,
    members: list[tuple[str, Any]],
    at: int,
    indent: int | None,
    ascii: bool,
    stream: bool,
) -> None:
    upstream.requests.clear()
    pairs = [*members, ("messages", [{"role": "user", "content": "x"}])]
    pairs.insert(min(at, len(pairs)), ("model", "public"))
    if stream:
        pairs.append(("stream", True))
    texts = [
        json.dumps(name, ensure_ascii=ascii) + ":" + json.dumps(value, indent=indent, ensure_ascii=ascii)
        for name, value in pairs
    ]
    body = ("{" + ",".join(texts) + "}").encode("utf-8", "surrogatepass")
    status, _, answer = renaming.call("/v1/chat/completions", body)
    assert status == 200, answer
    sent = upstream.requests[0].body
    if stream:
        assert json.loads(sent)["stream_options"] == {"include_usage": True}
        sent = sent.replace(b'"stream_options":{"include_usage":true},', b"", 1)
    model = texts.index('"model":"public"')
    texts[model] = '"model":"private/one"'
    assert sent == ("{" + ",".join(texts) + "}").encode("utf-8", "surrogatepass")


ANSWERS = [
    b'{"id":"c","object":"chat.completion","model":"private/one","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
    b'{ "choices" : [ ] , "model" : "private/one" , "x" : 1.00e2 }\n',
    b'{"choices":[{"message":{"content":"\\"model\\":\\"private/one\\""}}],"model":"private/one"}',
    b'{"choices":[{"meta":{"model":"private/one"}}],"model":"private/one","later":{"model":"private/one"}}',
    b'{"choices":[],"model":"private\\/one"}',
    b'{"choices":[],"model":"private/one-2024-08-06"}',
    '{"choices":[],"content":"\u00e4\U0001f600","model":"pr\u00efvate"}'.encode(),
    b'{"choices":[],"mod\\u0065l":"private/one"}',
    b'{"choices":[],"model":null}',
    b'{"choices":[]}',
    b'{"choices":[],"model":"public"}',
]


@pytest.mark.parametrize("body", ANSWERS)
def test_answers(renaming: Worker, upstream: Upstream, body: bytes) -> None:
    upstream.script(Script(body=body))
    status, headers, got = renaming.call("/v1/chat/completions", REQUESTS[0])
    assert status == 200
    assert int(headers["content-length"]) == len(got)
    before, after = json.loads(body), json.loads(got)
    if before.get("model") is not None:
        before["model"] = "public"
    assert after == before
    if body.count(b'"model":"private/one"') == 1:
        assert got == body.replace(b'"model":"private/one"', b'"model":"public"')
    if body.count(b'"model" : "private/one"') == 1:
        assert got == body.replace(b'"private/one"', b'"public"')


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members, separators=(",", ":")).encode() + b"\n\n"


def piece(text: str, model: str = "private/one") -> bytes:
    return event(id="c", model=model, choices=[{"index": 0, "delta": {"content": text}}])


USAGE = event(id="c", model="private/one", choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2})


def ask(worker: Worker, upstream: Upstream, events: list[bytes], **changes: Any) -> bytes:
    upstream.script(Script(events=events))
    status, headers, got = worker.call(
        "/v1/chat/completions", {"model": "public", "messages": [], "stream": True, **changes}
    )
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    return got


def test_streams(renaming: Worker, upstream: Upstream) -> None:
    events = [
        piece("a"),
        piece('"model":"private/one"'),
        b": keep-alive\n\n",
        piece("\u00e4"),
        b"event: x\nid: 7\n" + piece("b"),
    ]
    got = ask(renaming, upstream, [*events, USAGE])
    expected = b"".join(events).replace(b'"model":"private/one"', b'"model":"public"')
    assert got == expected + b"data: [DONE]\n\n"
    got = ask(renaming, upstream, [*events, USAGE], stream_options={"include_usage": True})
    assert got == expected + USAGE.replace(b"private/one", b"public") + b"data: [DONE]\n\n"
    assert [item["prompt_tokens"] for item in renaming.wait_events(2)] == [5, 5]


@pytest.mark.parametrize(
    "spelling",
    [b'"model": "private/one"', b'"model" : "private/one"', b'"model":"private\\/one"'],
)
def test_streams_with_other_spellings_of_the_model(renaming: Worker, upstream: Upstream, spelling: bytes) -> None:
    events = [piece(f"t{n}").replace(b'"model":"private/one"', spelling) for n in range(5)]
    got = ask(renaming, upstream, [*events, USAGE])
    models = [json.loads(line[6:])["model"] for line in got.splitlines() if line.startswith(b"data: {")]
    assert models == ["public"] * 5


def test_a_stream_whose_model_comes_late_or_changes(renaming: Worker, upstream: Upstream) -> None:
    """Azure's first event has an empty `model`."""
    events = [event(model="", choices=[], prompt_filter_results=[]), piece("a"), piece("b"), piece("c")]
    got = ask(renaming, upstream, [*events, USAGE])
    models = [json.loads(line[6:])["model"] for line in got.splitlines() if line.startswith(b"data: {")]
    assert models[1:] == ["public"] * 3


def test_usage_in_the_last_choice_is_shown(renaming: Worker, upstream: Upstream) -> None:
    last = event(
        model="public", choices=[{"index": 0, "delta": {}}], usage={"prompt_tokens": 5, "completion_tokens": 2}
    )
    assert ask(renaming, upstream, [piece("a", "public"), last]) == piece("a", "public") + last + b"data: [DONE]\n\n"
    assert renaming.wait_events(1)[0]["completion_tokens"] == 2


def test_running_usage_counts_once(renaming: Worker, upstream: Upstream) -> None:
    events = [
        event(model="public", choices=[{"delta": {"content": "x"}}], usage={"prompt_tokens": 5, "completion_tokens": n})
        for n in range(1, 6)
    ]
    ask(renaming, upstream, events)
    [item] = renaming.wait_events(1)
    assert (item["prompt_tokens"], item["completion_tokens"]) == (5, 5)


def test_a_null_error_is_none(renaming: Worker, upstream: Upstream) -> None:
    events = [piece("a", "public"), event(model="public", error=None, extra=1), piece("b", "public")]
    assert ask(renaming, upstream, events) == b"".join(events) + b"data: [DONE]\n\n"
    assert renaming.wait_events(1)[0].get("error", "") == ""


def test_usage_of_providers_with_odd_numbers(renaming: Worker, upstream: Upstream) -> None:
    for usage in (
        {"prompt_tokens": 5.0, "completion_tokens": "7"},
        {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": None},
        },
        {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": None, "cost": {"a": 1}},
        {"prompt_tokens": 5.5, "completion_tokens": 7},
        {"prompt_tokens": -5, "completion_tokens": -7},
        {"prompt_tokens": 10**40, "completion_tokens": 7},
        {"prompt_tokens": "many"},
        [],
        "none",
        None,
    ):
        renaming.forget()
        upstream.script(Script(body={"model": "public", "choices": [], "usage": usage}))
        status, _, body = renaming.call("/v1/chat/completions", REQUESTS[0])
        assert status == 200, (usage, body)
        [item] = renaming.wait_events(1)
        assert 0 <= item.get("prompt_tokens", 0) < 10**12
        assert 0 <= item.get("completion_tokens", 0) < 10**12
    assert "Traceback" not in renaming.logs()
