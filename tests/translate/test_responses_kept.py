"""What is kept of responses, and how it comes back: any items, any way of writing them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from routeiq.core.errors import BadRequest
from routeiq.providers.dialects.responses import ResponsesFace, decode_recalled
from routeiq.providers.translate.responses.answer import response_of_item
from routeiq.providers.translate.responses.client import ResponsesClient
from routeiq.providers.translate.responses.kept import (
    INPUT,
    detached,
    final_response,
    first_response,
    own_items,
    references,
    resolved,
    with_items,
)

ID = "resp_" + "ab" * 24
READ = ResponsesClient().read
words = st.text(min_size=1, max_size=8)
role = st.sampled_from(["user", "system", "developer", "assistant"])
message = st.one_of(
    st.fixed_dictionaries({"role": role, "content": words}),
    st.fixed_dictionaries(
        {
            "type": st.just("message"),
            "role": st.just("user"),
            "id": words,
            "content": st.lists(st.fixed_dictionaries({"type": st.just("input_text"), "text": words}), min_size=1),
        }
    ),
)
call = st.fixed_dictionaries(
    {"type": st.just("function_call"), "call_id": words, "name": words, "arguments": st.just("{}")}
)
result = st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": words, "output": words})
thought = st.fixed_dictionaries(
    {"type": st.just("reasoning"), "id": words, "summary": st.just([]), "encrypted_content": words}
)
asked = st.one_of(words, st.lists(st.one_of(message, call, result, thought), min_size=1, max_size=4))


def body(value: Any, **members: Any) -> bytes:
    return json.dumps({"model": "m", "input": value, **members}).encode()


def raws(data: bytes) -> list[Raw]:
    return msgspec.json.decode(data, type=list[Raw])


@settings(max_examples=200, deadline=None)
@given(asked, asked)
def test_kept_items_mean_what_was_asked(first: Any, second: Any) -> None:
    kept = own_items(body(first), ID)
    items = json.loads(kept)
    assert all(item["id"] and item["type"] for item in items)
    whole = [*_items(first), *_items(second)]
    going_on = with_items(body(second, previous_response_id=ID, odd=1.5), raws(kept))
    assert "previous_response_id" not in json.loads(going_on)
    assert json.loads(going_on)["odd"] == 1.5
    with contextlib.suppress(BadRequest):
        expected = READ(body(whole)).messages
        assert READ(going_on).messages == expected


def _items(value: Any) -> list[Any]:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


@settings(max_examples=100, deadline=None)
@given(st.lists(message, min_size=1, max_size=5))
def test_what_is_referred_to_is_put_in(messages: list[dict[str, Any]]) -> None:
    for each in messages:
        each.pop("id", None)
    kept = json.loads(own_items(body(messages), ID))
    assert [response_of_item(item["id"]) for item in kept] == [(ID, INPUT + n) for n in range(len(messages))]
    asking = body([{"type": "item_reference", "id": item["id"]} for item in kept])
    assert references(asking) == {item["id"]: (ID, INPUT + n) for n, item in enumerate(kept)}
    known = {item["id"]: Raw(json.dumps(item).encode()) for item in kept}
    assert json.loads(resolved(asking, known))["input"] == kept
    assert json.loads(resolved(asking, {})) == json.loads(asking), "what is not known stays"


@settings(max_examples=100, deadline=None)
@given(asked, asked)
def test_a_provider_that_has_not_seen_them_gets_no_ids(first: Any, second: Any) -> None:
    proof = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "routeiq:signature:anthropic#x"}
    items = [*raws(own_items(body(first), ID)), Raw(json.dumps(proof).encode())]
    going_on = with_items(body(second), items)
    peek = decode_recalled(going_on)
    sent = json.loads(b"".join(ResponsesFace().upstream_body(peek, going_on, b'"other"')))
    assert sent["model"] == "other"
    assert proof not in sent["input"]
    assert all(item["type"] == "reasoning" for item in sent["input"] if "id" in item)
    assert len(sent["input"]) == len(_items(first)) + len(_items(second))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "role"]), inner),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_whatever_is_asked_is_handled(value: Any) -> None:
    data = body(value, background=True, stream=True, previous_response_id="x")
    assert isinstance(json.loads(own_items(data, ID)), list)
    with contextlib.suppress(BadRequest):
        going_on = with_items(data, [Raw(b'{"role":"user","content":"x"}')])
        assert json.loads(going_on)["input"][0] == {"role": "user", "content": "x"}
    with contextlib.suppress(BadRequest):
        references(data)
    alone = decode_recalled(detached(data))
    assert (alone.background, alone.store, alone.previous_response_id, alone.stream) == (None, False, None, None)
    assert alone.model is not UNSET


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["response.created", "response.output_text.delta", "response.completed", "comment"])))
def test_a_stream_tells_its_response(kinds: list[str]) -> None:
    events, told = b"", []
    for number, kind in enumerate(kinds):
        if kind == "comment":
            events += b": hello\n\n"
            continue
        event: dict[str, Any] = {"type": kind}
        if not kind.endswith("delta"):
            event["response"] = {"id": str(number)}
            told.append((kind, event["response"]))
        events += f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()
    first, final = first_response(events), final_response(events)
    assert (json.loads(first) if first else None) == (told[0][1] if told else None)
    ends = [response for kind, response in told if kind == "response.completed"]
    assert (json.loads(final) if final else None) == (ends[-1] if ends else None)
