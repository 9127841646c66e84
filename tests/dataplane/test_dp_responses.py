"""Responses through a whole gateway: conversations, what is kept, what runs in the background."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from support.gateway import Gateway, deployment
from support.proxy import Proxy
from support.upstream import Script, Upstream

TEXT = "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7 "
OTHER = "sk-someone-else-0123456789"
LIMITED = "sk-with-limits-0123456789"
SLOW = Script(delay=30)


@pytest.fixture(scope="module")
def gateway_config(provider: Upstream) -> dict[str, Any]:
    there = {"api_base": provider.base, "api_key": "k"}
    return {
        "model_list": [
            {"model_name": "chat", "litellm_params": {"model": "deepseek/deepseek-chat", **there}},
            {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5", **there}},
            deployment(provider, "gpt-4o"),
            deployment(provider, "gpt-4o-mini"),
            deployment(provider, "elsewhere", "gpt-4o", api_key="sk-another-account"),
            deployment(provider, "mixed", "gpt-4o", order=1),
            {"model_name": "mixed", "litellm_params": {"model": "deepseek/deepseek-chat", "order": 2, **there}},
        ],
        "router_settings": {"num_retries": 0},
        "routeiq": {
            "keys": [
                {"name": "other", "key": OTHER},
                {"name": "limited", "key": LIMITED, "max_parallel_requests": 1, "models": ["chat"]},
            ],
            "responses": {"max_background": 2, "max_chain": 4},
        },
    }


@pytest.fixture(scope="module")
def gateway(gateway_config: dict[str, Any]) -> Iterator[Gateway]:
    with Gateway(gateway_config, workers=2) as running:
        keeps(running)
        yield running


@pytest.fixture
def client(gateway: Gateway, upstream: Upstream) -> openai.OpenAI:
    return gateway.client()


def keeps(gateway: Gateway) -> None:
    """Until its control plane is there: workers serve before that."""
    wait(lambda: gateway.get("/metrics")[0] == 200, 30)


def claude(*blocks: dict[str, Any], stop: str = "end_turn") -> Script:
    body = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": list(blocks),
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 7},
    }  # fmt: skip
    return Script(body=body)


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def native(ident: str = "resp_up", **members: Any) -> dict[str, Any]:
    """A provider's own response, spelled in a way that nobody else would write it."""
    item = {"type": "message", "id": "msg_up", "status": "completed", "role": "assistant", "content": [
        {"type": "output_text", "text": "native", "annotations": []}]}  # fmt: skip
    return {
        "id": ident, "object": "response", "created_at": 5, "status": "completed", "model": "gpt-4o", "output": [item],
        "error": None, "incomplete_details": None, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, "unheard_of": {"z": 1.50}, **members,
    }  # fmt: skip


def spelled(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode()


def refused(error: type[openai.APIStatusError], call: Callable[[], Any]) -> Any:
    with pytest.raises(error) as caught:
        call()
    return caught.value.body


def until(client: openai.OpenAI, ident: str, *states: str) -> Response:
    end = time.monotonic() + 15
    while (found := client.responses.retrieve(ident)).status not in states:
        assert time.monotonic() < end, found.status
        time.sleep(0.05)
    return found


def wait(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- conversations


def test_three_turns_with_a_chat_provider(client: openai.OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model="chat", input="one two", instructions="be brief")
    assert (first.output_text, first.store, first.previous_response_id) == (TEXT, True, None)
    second = client.responses.create(model="chat", input="three", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    third = client.responses.create(
        model="chat", input=[{"role": "user", "content": "four"}], previous_response_id=second.id
    )
    said = {"role": "assistant", "content": TEXT}
    assert upstream.requests[0].json["messages"][0] == {"role": "system", "content": "be brief"}
    assert upstream.requests[2].json["messages"] == [
        {"role": "user", "content": "one two"}, said, {"role": "user", "content": "three"}, said,
        {"role": "user", "content": "four"},
    ]  # fmt: skip
    assert "previous_response_id" not in upstream.requests[2].json
    assert third.usage is not None
    assert third.usage.input_tokens == 2 + 1 + 1 + 16


def test_thoughts_and_calls_go_on_with_claude(client: openai.OpenAI, upstream: Upstream) -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig=="}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    upstream.script(claude(thinking, text("I look"), use, stop="tool_use"), claude(text("Cold")), claude(text("Yes")))
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    settings: Any = {"model": "claude", "tools": tools, "reasoning": {"effort": "high", "summary": "auto"}}
    first = client.responses.create(input="weather?", **settings)
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call"]
    output: Any = [{"type": "function_call_output", "call_id": "toolu_1", "output": "-5"}]
    second = client.responses.create(input=output, previous_response_id=first.id, **settings)
    assert second.output_text == "Cold"
    client.responses.create(input="sure?", previous_response_id=second.id, **settings)
    asked, said, result, cold, sure = upstream.requests[-1].json["messages"]
    assert (asked["role"], sure["role"]) == ("user", "user")
    assert said == {"role": "assistant", "content": [thinking, text("I look"), use]}
    assert result["content"][0]["tool_use_id"] == "toolu_1"
    assert cold["content"] == [text("Cold")]


def test_a_conversation_moves_to_another_model(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script(claude({"type": "thinking", "thinking": "hm", "signature": "sig=="}, text("Hi")))
    first = client.responses.create(model="claude", input="one")
    second = client.responses.create(model="chat", input="two", previous_response_id=first.id)
    assert second.output_text == TEXT
    assert [message["content"] for message in upstream.requests[-1].json["messages"]] == ["one", "Hi", "two"]


def test_a_stream_is_kept_before_it_ends(client: openai.OpenAI, upstream: Upstream) -> None:
    with client.responses.stream(model="chat", input="one") as stream:
        kinds = [event.type.removeprefix("response.") for event in stream]
        first = stream.get_final_response()
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 8,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert client.responses.retrieve(first.id).output_text == TEXT
    client.responses.create(model="chat", input="two", previous_response_id=first.id)
    assert [message["content"] for message in upstream.requests[-1].json["messages"]] == ["one", TEXT, "two"]


def test_thoughts_and_calls_stream_in_order(client: openai.OpenAI, upstream: Upstream) -> None:
    def event(kind: str, **members: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()

    def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
        begun = event("content_block_start", index=index, content_block=start)
        parts = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        return [begun, *parts, event("content_block_stop", index=index)]

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    upstream.script(
        Script(
            done=False,
            events=[
                event("message_start", message={**message, "usage": {"input_tokens": 5, "output_tokens": 1}}),
                *block(
                    0,
                    {"type": "thinking", "thinking": "", "signature": ""},
                    {"type": "thinking_delta", "thinking": "hm"},
                    {"type": "signature_delta", "signature": "sig=="},
                ),
                *block(
                    1,
                    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
                    {"type": "input_json_delta", "partial_json": '{"city":'},
                    {"type": "input_json_delta", "partial_json": '"Oslo"}'},
                ),
                event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
                event("message_stop"),
            ],
        ),
        claude(text("Cold")),
    )
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    settings: Any = {"model": "claude", "tools": tools, "reasoning": {"effort": "high", "summary": "auto"}}
    with client.responses.stream(input="weather?", **settings) as stream:
        found = list(stream)
        final = stream.get_final_response()
    assert [event.type.removeprefix("response.") for event in found] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in found] == list(range(len(found)))
    done = [event.item.to_dict() for event in found if event.type == "response.output_item.done"]
    assert [item.to_dict() for item in client.responses.retrieve(final.id).output] == done
    output: Any = [{"type": "function_call_output", "call_id": "toolu_1", "output": "-5"}]
    assert client.responses.create(input=output, previous_response_id=final.id, **settings).output_text == "Cold"
    said = upstream.requests[-1].json["messages"][1]["content"]
    assert said == [
        {"type": "thinking", "thinking": "hm", "signature": "sig=="},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
    ]


def test_structured_output(client: openai.OpenAI, upstream: Upstream) -> None:
    class Place(BaseModel):
        city: str

    upstream.script(claude(text('{"city": "Oslo"}')))
    found = client.responses.parse(model="claude", input="where?", text_format=Place)
    assert found.output_parsed == Place(city="Oslo")
    assert client.responses.retrieve(found.id).output_text == '{"city": "Oslo"}'


def test_what_is_not_stored_is_not_there(client: openai.OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model="chat", input="one", store=False)
    assert first.store is False
    refused(openai.NotFoundError, lambda: client.responses.retrieve(first.id))
    told = refused(
        openai.BadRequestError,
        lambda: client.responses.create(model="chat", input="two", previous_response_id=first.id),
    )
    assert told["code"] == "previous_response_not_found"
    assert told["param"] == "previous_response_id"
    assert told["message"] == f"Previous response with id '{first.id}' not found."
    assert len(upstream.requests) == 1


def test_a_chain_has_an_end(client: openai.OpenAI) -> None:
    ident = client.responses.create(model="chat", input="0").id
    for number in range(4):
        ident = client.responses.create(model="chat", input=str(number), previous_response_id=ident).id
    told = refused(
        openai.BadRequestError, lambda: client.responses.create(model="chat", input="5", previous_response_id=ident)
    )
    assert told["code"] == "conversation_too_long"


def test_items_can_be_referred_to(client: openai.OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model="chat", input="one")
    [asked] = client.responses.input_items.list(first.id).data
    items: Any = [
        {"type": "item_reference", "id": asked.id},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "two"},
    ]
    client.responses.create(model="chat", input=items)
    assert [message["content"] for message in upstream.requests[-1].json["messages"]] == ["one", TEXT, "two"]
    other = client.with_options(api_key=OTHER)
    told = refused(openai.BadRequestError, lambda: other.responses.create(model="chat", input=items))
    assert told["code"] == "item_not_found"


# --- by id


def test_got_listed_deleted(client: openai.OpenAI, gateway: Gateway) -> None:
    items: Any = [{"role": "user", "content": str(number)} for number in range(5)]
    made = client.responses.create(model="chat", input=items, metadata={"a": "b"})
    got = client.responses.retrieve(made.id)
    assert got == made
    listed = client.responses.input_items.list(made.id, order="asc", limit=2)
    texts = [item.content[0].text for item in listed]  # type: ignore[union-attr]  # all pages, as the SDK asks for them
    assert texts == ["0", "1", "2", "3", "4"]
    assert listed.has_more
    assert next(iter(client.responses.input_items.list(made.id))).content[0].text == "4"  # type: ignore[union-attr]
    for query in ("limit=0", "limit=x", "order=up", "after=nothing"):
        assert gateway.get(f"/v1/responses/{made.id}/input_items?{query}")[0] == 400
    assert gateway.get(f"/responses/{made.id}")[0] == 200
    assert gateway.get(f"/v1/responses/{made.id}?stream=true")[0] == 400
    status, _, body = gateway.call(f"/v1/responses/{made.id}", method="DELETE")
    assert (status, json.loads(body)) == (200, {"id": made.id, "object": "response", "deleted": True})
    assert gateway.call(f"/v1/responses/{made.id}", method="DELETE")[0] == 404
    refused(openai.NotFoundError, lambda: client.responses.retrieve(made.id))
    refused(openai.NotFoundError, lambda: client.responses.input_items.list(made.id))


def test_another_key_sees_nothing(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    upstream.script(Script(body=spelled(native("resp_secret"))), model="gpt-4o")
    idents = [client.responses.create(model=model, input="mine").id for model in ("chat", "gpt-4o")]
    before = len(upstream.requests)
    other = gateway.client(OTHER)
    for ident, model in zip(idents, ("chat", "gpt-4o"), strict=True):
        refused(openai.NotFoundError, lambda: other.responses.retrieve(ident))  # noqa: B023
        refused(openai.NotFoundError, lambda: other.responses.delete(ident))  # noqa: B023
        refused(openai.NotFoundError, lambda: other.responses.cancel(ident))  # noqa: B023
        refused(openai.NotFoundError, lambda: other.responses.input_items.list(ident))  # noqa: B023
        told = refused(
            openai.BadRequestError,
            lambda: other.responses.create(model=model, input="x", previous_response_id=ident),  # noqa: B023
        )
        assert told["code"] == "previous_response_not_found"
    assert len(upstream.requests) == before
    assert gateway.get(f"/v1/responses/{idents[0]}", key=None)[0] == 401
    assert gateway.get(f"/v1/responses/{idents[0]}", key="sk-nobody")[0] == 401


# --- native


def test_native_bytes_pass_through(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    body = b'{ "model":"gpt-4o", "input":"x",  "odd": 1.0, "text":{"verbosity":"low"} }'
    upstream.script(Script(body=spelled(native())))
    status, _, answer = gateway.call("/v1/responses", body)
    assert (status, answer) == (200, spelled(native()))
    assert upstream.requests[0].body == body
    assert upstream.requests[0].target == "/v1/responses"


def test_a_native_conversation_stays_with_its_provider(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script(Script(body=spelled(native("resp_n1"))), Script(body=spelled(native("resp_n2"))))
    client.responses.create(model="gpt-4o", input="one")
    client.responses.create(model="gpt-4o-mini", input="two", previous_response_id="resp_n1")
    sent = upstream.requests[1].json
    assert sent == {"model": "gpt-4o-mini", "input": "two", "previous_response_id": "resp_n1"}
    for model in ("chat", "elsewhere"):
        told = refused(
            openai.BadRequestError,
            lambda: client.responses.create(model=model, input="x", previous_response_id="resp_n2"),  # noqa: B023
        )
        assert told["code"] == "previous_response_elsewhere"
    assert len(upstream.requests) == 2


def test_a_native_response_by_its_id(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    events = [
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'response': native('resp_n3')})}\n\n".encode()
        for kind in ("response.created", "response.completed")
    ]
    upstream.script(Script(events=events, done=False))
    status, _, answer = gateway.call("/v1/responses", {"model": "gpt-4o", "input": "x", "stream": True})
    assert (status, answer) == (200, b"".join(events))
    upstream.script(
        Script(body=native("resp_n3", model="gpt-4o-2024-08-06")), Script(body={"object": "list", "data": []})
    )
    found = client.responses.retrieve("resp_n3", include=["reasoning.encrypted_content"])
    assert (found.id, found.model) == ("resp_n3", "gpt-4o")
    assert list(client.responses.input_items.list("resp_n3")) == []
    upstream.script(Script(status=400, body={"error": {"message": "not in the background", "type": "x"}}))
    told = refused(openai.BadRequestError, lambda: client.responses.cancel("resp_n3"))
    assert told["message"] == "not in the background"
    upstream.script(Script(body={"id": "resp_n3", "deleted": True}))
    client.responses.delete("resp_n3")
    asked = [(sent.method, sent.target) for sent in upstream.requests[1:]]
    assert asked == [
        ("GET", "/v1/responses/resp_n3?include%5B%5D=reasoning.encrypted_content"),
        ("GET", "/v1/responses/resp_n3/input_items"),
        ("POST", "/v1/responses/resp_n3/cancel"),
        ("DELETE", "/v1/responses/resp_n3"),
    ]
    assert all(sent.header("authorization") == "Bearer sk-provider-0123456789" for sent in upstream.requests)
    refused(openai.NotFoundError, lambda: client.responses.retrieve("resp_n3"))


def test_a_native_response_behind_a_proxy(start: Callable[..., Gateway], upstream: Upstream) -> None:
    with Proxy() as proxy:
        ways = {"upstreams": [{"host": f"127.0.0.1:{upstream.port}", "proxy": proxy.url}]}
        gateway = start({"model_list": [deployment(upstream, "gpt-4o")], "routeiq": ways})
        keeps(gateway)
        client = gateway.client()
        upstream.script(*[Script(body=native("resp_p1"))] * 3, Script(body={}))
        client.responses.create(model="gpt-4o", input="x")
        assert client.responses.retrieve("resp_p1").output_text == "native"
        client.responses.cancel("resp_p1")
        client.responses.delete("resp_p1")
        assert [sent.method for sent in upstream.requests] == ["POST", "GET", "POST", "DELETE"]
        assert upstream.requests[1].target == f"{upstream.base}/responses/resp_p1"
        assert len(proxy.seen) >= 1


def test_a_provider_that_keeps_nothing(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script(Script(body=native("resp_n4", store=False)), Script(body=native("resp_n5", store=False)))
    client.responses.create(model="gpt-4o", input="one")
    assert client.responses.retrieve("resp_n4").output_text == "native"
    client.responses.create(model="gpt-4o", input="two", previous_response_id="resp_n4")
    sent = upstream.requests[1].json
    assert "previous_response_id" not in sent
    assert [
        item["content"][0]["text"] if isinstance(item["content"], list) else item["content"] for item in sent["input"]
    ] == ["one", "native", "two"]
    assert all("id" not in item for item in sent["input"])


def test_a_conversation_comes_to_a_native_provider(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script(claude({"type": "thinking", "thinking": "hm", "signature": "sig=="}, text("Hi")))
    first = client.responses.create(model="claude", input="one")
    upstream.script(Script(body=native("resp_n6")))
    client.responses.create(model="gpt-4o", input="two", previous_response_id=first.id)
    sent = upstream.requests[-1].json
    assert [item.get("role") for item in sent["input"]] == ["user", "assistant", "user"], "no proofs of others"
    assert all("id" not in item for item in sent["input"])


# --- in the background


def test_in_the_background(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    first = client.responses.create(model="chat", input="one")
    upstream.script(Script(delay=0.5))
    asked = client.responses.create(
        model="chat",
        input="two",
        background=True,
        previous_response_id=first.id,
        metadata={"a": "b"},
        safety_identifier="somebody",
    )
    assert (asked.status, asked.background, asked.output, asked.metadata) == ("queued", True, [], {"a": "b"})
    assert client.responses.retrieve(asked.id).status == "in_progress"
    told = refused(
        openai.BadRequestError, lambda: client.responses.create(model="chat", input="x", previous_response_id=asked.id)
    )
    assert told["code"] == "previous_response_not_complete"
    done = until(client, asked.id, "completed")
    assert (done.output_text, done.previous_response_id, done.background) == (TEXT, first.id, True)
    assert done.usage is not None
    assert done.created_at == asked.created_at
    again = client.responses.create(model="chat", input="three", previous_response_id=asked.id)
    assert [message["content"] for message in upstream.requests[-1].json["messages"]] == [
        "one", TEXT, "two", TEXT, "three",
    ]  # fmt: skip
    assert again.output_text == TEXT
    assert {"background", "store"}.isdisjoint(upstream.requests[-2].json)
    wait(lambda: [event["user"] for event in gateway.events()].count("somebody"))
    [event] = [event for event in gateway.events() if event["user"] == "somebody"]
    assert (event["status"], event["completion_tokens"], event["endpoint"]) == (200, 8, "responses")


def test_background_work_is_cancelled(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.always(SLOW)
    asked = client.responses.create(model="chat", input="one", background=True)
    upstream.wait_requests(1)
    ended = client.responses.cancel(asked.id)
    assert ended.status == "cancelled"
    wait(lambda: upstream.requests[0].gone_at is not None)  # in whichever worker it runs
    assert client.responses.cancel(asked.id).status == "cancelled"
    assert client.responses.retrieve(asked.id).status == "cancelled"


def test_deleted_background_work_ends(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.always(SLOW)
    asked = client.responses.create(model="chat", input="one", background=True)
    upstream.wait_requests(1)
    client.responses.delete(asked.id)
    wait(lambda: upstream.requests[0].gone_at is not None)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(asked.id))


def test_background_work_fails(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script(Script(status=429, delay=0.2))
    asked = client.responses.create(model="chat", input="one", background=True)
    failed = until(client, asked.id, "failed")
    assert failed.error is not None
    assert failed.error.code == "rate_limit_exceeded"
    assert "429" in failed.error.message


def test_what_can_not_run_in_the_background(client: openai.OpenAI, upstream: Upstream) -> None:
    ask = client.responses.create
    wrong = refused(openai.BadRequestError, lambda: ask(model="chat", input="x", background=True, store=False))
    assert wrong["param"] == "store"
    wrong = refused(openai.BadRequestError, lambda: ask(model="chat", input="x", background=True, stream=True))
    assert wrong["param"] == "stream"
    assert refused(openai.BadRequestError, lambda: ask(model="chat", input=[], background=True))["param"] == "input"
    assert refused(openai.NotFoundError, lambda: ask(model="nothing", input="x", background=True))["param"] == "model"
    assert upstream.requests == []


def test_background_work_is_admitted_as_any(gateway: Gateway, client: openai.OpenAI, upstream: Upstream) -> None:
    mine = gateway.client(LIMITED)
    upstream.always(Script(delay=0.3))
    asked = mine.responses.create(model="chat", input="x", background=True)
    told = refused(openai.RateLimitError, lambda: mine.responses.create(model="chat", input="x", background=True))
    assert "parallel" in told["message"]
    refused(openai.PermissionDeniedError, lambda: mine.responses.create(model="claude", input="x", background=True))
    until(mine, asked.id, "completed")
    assert mine.responses.create(model="chat", input="x").output_text == TEXT
    assert len(upstream.requests) == 2


def test_background_work_has_a_limit(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.always(SLOW)
    made: list[str] = []
    told = None
    for _ in range(5):  # two a worker
        try:
            made.append(client.responses.create(model="chat", input="x", background=True).id)
        except openai.RateLimitError as error:
            told = error.body
            break
    assert told is not None
    assert told["code"] == "too_many_background_responses"  # type: ignore[index]
    for ident in made:
        client.responses.cancel(ident)
    wait(lambda: all(sent.gone_at is not None for sent in upstream.requests))


def test_a_native_provider_has_its_own_background(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    queued = native("resp_b1", status="queued", background=True, output=[], usage=None)
    ended = Script(body={**native("resp_b1"), "background": True})
    upstream.script(Script(body=queued), Script(body=queued), ended, ended)
    with_key = gateway.client(OTHER)
    asked = with_key.responses.create(model="mixed", input="x", background=True)
    assert asked.status == "queued"
    assert upstream.requests[0].json["background"] is True
    seen = [with_key.responses.retrieve("resp_b1").status for _ in range(3)]
    assert seen == ["queued", "completed", "completed"]

    def mine() -> list[int]:
        return [event["completion_tokens"] for event in gateway.events() if event["model"] == "mixed"]

    wait(lambda: len(mine()) >= 2)
    assert mine() == [0, 4], "accounted for once, when its end was seen"


def test_a_native_background_stream_outlives_its_client(client: openai.OpenAI, upstream: Upstream) -> None:
    begun = native("resp_b2", status="in_progress", background=True, output=[], usage=None)
    event = f"event: response.created\ndata: {json.dumps({'type': 'response.created', 'response': begun})}\n\n"
    upstream.script(Script(events=[event.encode()], cut="stall", after=1))
    with client.responses.create(model="gpt-4o", input="x", background=True, stream=True) as stream:
        assert next(iter(stream)).type == "response.created"
    upstream.script(Script(body=native("resp_b2")))
    wait(lambda: upstream.requests[0].gone_at is not None)
    assert client.responses.retrieve("resp_b2").status == "completed"


# --- what goes wrong


def test_an_answer_that_breaks_is_kept_as_failed(client: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    upstream.script(Script(error_after=3))
    _, _, answer = gateway.call("/v1/responses", {"model": "chat", "input": "x", "stream": True})
    events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data: ")]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    found = client.responses.retrieve(events[-1]["response"]["id"])
    assert found.status == "failed"
    assert found.output_text.startswith("tok0 ")


def test_without_a_control_plane(
    start: Callable[..., Gateway], gateway_config: dict[str, Any], upstream: Upstream
) -> None:
    config = {"model_list": gateway_config["model_list"][:1], "routeiq": {"responses": {"retention": "3s"}}}
    gateway = start(config)
    keeps(gateway)
    client = gateway.client()
    first = client.responses.create(model="chat", input="one")
    assert client.responses.retrieve(first.id).status == "completed"
    control = next(child for child in gateway.processes() if "routeiq.control" in " ".join(child.cmdline()))
    control.suspend()
    try:
        begun = time.monotonic()
        told = refused(
            openai.InternalServerError,
            lambda: client.responses.create(model="chat", input="two", previous_response_id=first.id),
        )
        assert told["code"] == "control_unavailable"
        assert client.responses.create(model="chat", input="two").output_text == TEXT
        assert client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x"}]).id
        assert time.monotonic() - begun < 6, "one wait of 3 s, then short ones"
    finally:
        control.resume()
    wait(lambda: gateway.get(f"/v1/responses/{first.id}")[0] == 404)  # its three seconds are over


def test_a_native_stream_is_not_taken_up_by_another(start: Callable[..., Gateway], upstream: Upstream) -> None:
    both = [deployment(upstream, "gpt-4o", model="openrouter/gpt-4o", api_key=f"sk-{n}") for n in range(2)]
    gateway = start({"model_list": both, "routeiq": {"resilience": {"stream_failover": True}}})
    keeps(gateway)
    begun = {"type": "response.created", "response": native("resp_c1", status="in_progress", output=[], usage=None)}
    delta = {"type": "response.output_text.delta", "delta": "Hel"}
    events = [f"data: {json.dumps(event)}\n\n".encode() for event in (begun, delta)]
    upstream.script(Script(events=events, cut="fin", after=2))
    _, _, answer = gateway.call("/v1/responses", {"model": "gpt-4o", "input": "x", "stream": True})
    assert answer.startswith(b"".join(events) + b"event: error\ndata: ")
    assert answer.count(b"\n\n") == 3
    assert len(upstream.requests) == 1


def test_a_worker_that_dies(start: Callable[..., Gateway], gateway_config: dict[str, Any], upstream: Upstream) -> None:
    gateway = start({"model_list": gateway_config["model_list"][:1]})
    keeps(gateway)
    client = gateway.client()
    upstream.always(SLOW)
    asked = client.responses.create(model="chat", input="one", background=True)
    worker = next(child for child in gateway.processes() if "routeiq.worker" in " ".join(child.cmdline()))
    worker.send_signal(signal.SIGKILL)
    wait(lambda: upstream.requests[0].gone_at is not None)
    wait(lambda: any(p.pid != worker.pid and "routeiq.worker" in " ".join(p.cmdline()) for p in gateway.processes()))
    gateway.wait_ready()
    assert client.responses.retrieve(asked.id).status == "in_progress", "it may be heard of yet"
    assert client.responses.cancel(asked.id).status == "cancelled"


def test_a_drain_waits(start: Callable[..., Gateway], gateway_config: dict[str, Any], upstream: Upstream) -> None:
    gateway = start({"model_list": gateway_config["model_list"][:1]})
    keeps(gateway)
    upstream.script(Script(delay=1))
    asked = gateway.client().responses.create(model="chat", input="one", background=True)
    assert gateway.stop() == 0
    gateway.start()
    keeps(gateway)
    assert gateway.client().responses.retrieve(asked.id).output_text == TEXT
