"""The splice changes `model` and nothing else, in any JSON object."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.snapshot import CHAT
from routeiq.providers.dialects import openai
from routeiq.providers.dialects.splice import decode_model, replace_members, replace_model

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12)
names = st.sampled_from(["model", "messages", "stream", "mo\\del", '"model"', "modél", "x"]) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
spaces = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def json_objects(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Any]]]:
    """An object with at least one string `model`, members in any order, duplicates and escapes included."""
    members = draw(st.lists(st.tuples(names, values), max_size=6))
    members = [(name, value) for name, value in members if name != "model"]
    models = draw(st.lists(st.text(max_size=10), min_size=1, max_size=3))
    for model in models:
        members.insert(draw(st.integers(0, len(members))), ("model", model))
    pieces = []
    for name, value in members:
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if name == "model" and draw(st.integers(0, 4)) == 0:
            key = '"\\u006dod\\u0065l"'
        gap = [draw(spaces) for _ in range(4)]
        pieces.append(
            gap[0] + key + gap[1] + ":" + gap[2] + json.dumps(value, ensure_ascii=draw(st.booleans())) + gap[3]
        )
    text = draw(spaces) + "{" + ",".join(pieces) + "}" + draw(spaces)
    return text.encode("utf-8", "replace"), members


def pairs(body: bytes) -> list[tuple[str, Any]]:
    result: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    return result


@given(json_objects(), st.text(max_size=12), st.booleans())
@settings(max_examples=600, deadline=None)
def test_only_model_changes(drawn: tuple[bytes, Any], model: str, with_extra: bool) -> None:
    body, _ = drawn
    raw = decode_model(body).model
    assert raw is not msgspec.UNSET
    extra = b'"added":{"model":1},' if with_extra else b""
    new = b"".join(replace_model(body, raw, json.dumps(model).encode(), extra=extra))
    expected = [(name, model if name == "model" else value) for name, value in pairs(body)]
    found = pairs(new)
    if with_extra:
        added = ("added", [("model", 1)])
        assert found.count(added) >= 1
        found.remove(added)
    assert found == expected


@given(json_objects(), st.sampled_from(["messages", "x", "stream"]))
@settings(max_examples=300, deadline=None)
def test_members_can_be_removed(drawn: tuple[bytes, Any], name: str) -> None:
    body, _ = drawn
    new = replace_members(body, {name: None})
    assert pairs(new) == [(key, value) for key, value in pairs(body) if key != name]


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user","content":"\\"model\\": \\"x\\""}],"model":"a"}',
        b'{"tools":[{"model":"a"}],"model":"a","messages":[]}',
        b'{"model":"b","messages":[{"model":"model"}],"model":"a"}',
        b' \n{ "messages" : [ ] ,\n "model"\t:\r\n "a" } ',
        b'{"messages":["model"],"model":"a\\"b"}',
    ],
)
def test_hard_bodies(body: bytes) -> None:
    request = openai.peek(CHAT, body)
    new = b"".join(openai.upstream_body(request, body, b'"new"', endpoint=CHAT))
    assert pairs(new) == [(name, "new" if name == "model" else value) for name, value in pairs(body)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"include_usage": True}),
        (',"stream_options":null', {"include_usage": True}),
        (',"stream_options":{}', {"include_usage": True}),
        (',"stream_options":{"include_usage":false,"other":1}', {"include_usage": True, "other": 1}),
        (',"stream_options":{"include_usage":true}', {"include_usage": True}),
    ],
)
def test_a_stream_always_reports_usage(options: str, expected: dict[str, Any]) -> None:
    body = ('{"model":"a","stream":true,"messages":[{"stream_options":1}]' + options + "}").encode()
    request = openai.peek(CHAT, body)
    sent = json.loads(b"".join(openai.upstream_body(request, body, b'"new"', endpoint=CHAT)))
    assert sent == {"model": "new", "stream": True, "messages": [{"stream_options": 1}], "stream_options": expected}


def test_mock_members_never_leave_the_gateway() -> None:
    body = b'{"mock_response":"x","model":"a","messages":[],"mock_testing_fallbacks":true}'
    request = openai.peek(CHAT, body)
    sent = json.loads(b"".join(openai.upstream_body(request, body, b'"new"', endpoint=CHAT)))
    assert sent == {"model": "new", "messages": []}
