"""Cohere at either end, through a worker: its SDK as the client, its API as the provider."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import cohere
import pytest
from cohere.v2.types.v2chat_stream_response import MessageEndV2ChatStreamResponse

from support import cohere_wire as wire
from support.gateway import MASTER_KEY, deployment
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
PRICES = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def mixed(serve: Serve, provider: Upstream) -> Worker:
    """One model of each dialect."""
    return serve(
        {
            "model_list": [
                entry(provider, "command", "cohere/command-a-03-2025", **PRICES),
                entry(provider, "once", "cohere/command-r7b", max_retries=0),
                entry(provider, "thinker", "cohere/command-a-reasoning-08-2025"),
                entry(provider, "tolerant", "cohere/command-a-03-2025", drop_params=True),
                entry(provider, "embed", "cohere/embed-v4.0", **PRICES),
                entry(provider, "claude", "anthropic/claude-sonnet-4-5"),
                entry(provider, "gemini", "gemini/gemini-2.5-flash"),
                entry(provider, "tei-embed", "tei/bge", **PRICES),
                deployment(provider, "gpt-4o"),
                deployment(provider, "text-embedding-3-small"),
            ]
        }
    )


def entry(provider: Upstream, name: str, model: str, **params: Any) -> dict[str, Any]:
    settings = {"model": model, "api_base": provider.url, "api_key": "sk-provider-0123456789", **params}
    return {"model_name": name, "litellm_params": settings}


def sdk(worker: Worker, key: str = MASTER_KEY) -> cohere.ClientV2:
    return cohere.ClientV2(api_key=key, base_url=worker.url, timeout=20)


# --- Cohere's SDK, Cohere's API: the same bytes


def test_native_chat_is_passed_through(mixed: Worker, upstream: Upstream) -> None:
    body = json.dumps(wire.answer(), indent=1).encode()
    upstream.script(Script(body=body))
    asked = b'{"model": "command",  "messages":[{"role":"user","content":"Hi"}], "safety_mode":"STRICT", "k": 3}'
    status, headers, got = mixed.call("/v2/chat", asked)
    assert (status, got) == (200, body)
    [sent] = upstream.requests
    assert sent.target == "/v2/chat"
    assert sent.header("authorization") == "Bearer sk-provider-0123456789"
    assert sent.body == asked.replace(b'"command"', b'"command-a-03-2025"')
    [line] = mixed.wait_events(1)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (5, 2, 3)
    assert line["endpoint"] == "cohere_chat"
    assert float(headers["x-litellm-response-cost"]) == line["cost"] / 1e9 == 0.000009


@pytest.mark.parametrize("kind", sorted(wire.STREAMS))
@pytest.mark.parametrize("chunk", [None, 7])
def test_native_streams_are_passed_through(mixed: Worker, upstream: Upstream, kind: str, chunk: int | None) -> None:
    upstream.script(Script(events=wire.STREAMS[kind], done=False, chunk=chunk))
    status, headers, got = mixed.call("/v2/chat", {"model": "command", "messages": HELLO, "stream": True})
    assert (status, got) == (200, b"".join(wire.STREAMS[kind]))
    assert headers["content-type"].startswith("text/event-stream")
    [line] = mixed.wait_events(1)
    assert (line["prompt_tokens"], line["completion_tokens"], line["stream"]) == (5, 2, True)
    assert "error" not in line


def test_native_through_the_sdk(mixed: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body=wire.answer()), Script(events=wire.TOOL_STREAM, done=False))
    answer = sdk(mixed).chat(model="command", messages=HELLO, documents=["a"], thinking={"type": "disabled"})
    assert answer.message.content is not None
    assert answer.message.content[0].text == "Hello there"
    events = list(sdk(mixed).chat_stream(model="command", messages=HELLO, tools=[TOOL]))
    assert [event.type for event in events] == [
        json.loads(raw.partition(b"data: ")[2])["type"] for raw in wire.TOOL_STREAM
    ]


def test_native_embeddings_are_passed_through(mixed: Worker, upstream: Upstream) -> None:
    body = {
        "id": "e",
        "embeddings": {"int8": [[1, -2]]},
        "texts": ["a"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}},
        "response_type": "embeddings_by_type",
    }
    wire.same(cohere.EmbedByTypeResponse, body)
    upstream.script(Script(body=body))
    found = sdk(mixed).embed(model="embed", texts=["a"], input_type="search_query", embedding_types=["int8"])
    assert found.embeddings.int8 == [[1, -2]]
    [sent] = upstream.requests
    assert (sent.target, sent.json["model"], sent.json["embedding_types"]) == ("/v2/embed", "embed-v4.0", ["int8"])
    [line] = mixed.wait_events(1)
    assert (line["prompt_tokens"], line["cost"]) == (7, 7000)


# --- errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, cohere.BadRequestError),
        (403, cohere.ForbiddenError),
        (404, cohere.NotFoundError),
        (422, cohere.UnprocessableEntityError),
        (429, cohere.TooManyRequestsError),
        (498, cohere.UnauthorizedError),
        (503, cohere.ServiceUnavailableError),
        (504, cohere.GatewayTimeoutError),
    ],
)
def test_errors_of_the_provider(mixed: Worker, upstream: Upstream, status: int, kind: type[Exception]) -> None:
    upstream.always(Script(status=status, body={"id": "x", "message": "no such luck"}))
    with pytest.raises(kind) as raised:
        sdk(mixed).chat(model="command", messages=HELLO, request_options={"max_retries": 0})
    assert raised.value.body["message"] == "no such luck"  # type: ignore[attr-defined]


def test_errors_of_the_gateway(mixed: Worker) -> None:
    with pytest.raises(cohere.UnauthorizedError):
        sdk(mixed, "sk-wrong").chat(model="command", messages=HELLO)
    with pytest.raises(cohere.NotFoundError):
        sdk(mixed).chat(model="none-such", messages=HELLO)
    status, _, body = mixed.call("/v2/chat", {"model": "command"})
    assert (status, json.loads(body)["message"]) == (400, "Missing required parameter: 'messages'.")
    with pytest.raises(cohere.BadRequestError) as raised:
        sdk(mixed).embed(model="gpt-4o", images=["data:image/png;base64,AA=="], input_type="image")
    assert raised.value.body["error"]["param"] == "images"


def test_an_answer_that_ends_in_an_error_is_tried_again(mixed: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body=wire.answer(finish_reason="ERROR")), Script(body=wire.answer()))
    answer = sdk(mixed).chat(model="command", messages=HELLO)
    assert (answer.finish_reason, len(upstream.requests)) == ("COMPLETE", 2)


@pytest.mark.parametrize("model", ["command", "gpt-4o"])
def test_a_stream_that_breaks_ends_with_an_error(mixed: Worker, upstream: Upstream, model: str) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}
    events = wire.TEXT_STREAM[:3] if model == "command" else [b"data: " + json.dumps(chunk).encode() + b"\n\n"]
    upstream.always(Script(events=events, done=False))
    seen = list(sdk(mixed).chat_stream(model=model, messages=HELLO))
    last = seen[-1]
    assert isinstance(last, MessageEndV2ChatStreamResponse)
    assert last.delta is not None
    assert last.delta.finish_reason == "ERROR"
    assert "ended before its answer did" in (last.delta.error or "")
    [line] = mixed.wait_events(1)
    assert line["error"] == "upstream"


# --- Cohere's SDK, other providers


def test_cohere_client_to_openai(mixed: Worker, upstream: Upstream) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    upstream.script(
        Script(
            body={
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "tool_calls",
                        "message": {"role": "assistant", "content": "Wait.", "tool_calls": [call]},
                    }
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
            }
        )
    )
    answer = sdk(mixed).chat(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "tool_plan": "Look.",
                "tool_calls": [{"id": "w", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "w", "content": [{"type": "document", "document": {"data": {"t": "20"}}}]},
        ],
        tools=[TOOL],
        tool_choice="REQUIRED",
        response_format={"type": "json_object", "json_schema": {"type": "object"}},
        p=0.5,
        seed=3,
        max_tokens=10,
        stop_sequences=["x"],
        citation_options={"mode": "FAST"},
    )
    assert answer.finish_reason == "TOOL_CALL"
    assert answer.message.tool_calls is not None
    assert answer.message.tool_calls[0].function is not None
    assert answer.message.tool_calls[0].function.arguments == '{"city":"Rome"}'
    assert answer.message.content is not None
    assert answer.message.content[0].text == "Wait."
    assert answer.usage is not None
    assert answer.usage.billed_units is not None
    assert (answer.usage.billed_units.input_tokens, answer.usage.billed_units.output_tokens) == (9, 4)
    sent = upstream.requests[0].json
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][3]["tool_call_id"] == "w"
    assert "20" in json.dumps(sent["messages"][3]["content"])
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert (sent["tool_choice"], sent["top_p"], sent["seed"], sent["stop"]) == ("required", 0.5, 3, ["x"])
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_cohere_client_streams_from_openai(mixed: Worker, upstream: Upstream) -> None:
    events = list(sdk(mixed).chat_stream(model="gpt-4o", messages=HELLO))
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[1], kinds[-2], kinds[-1]) == (
        "message-start",
        "content-start",
        "content-end",
        "message-end",
    )
    assert "".join(event.delta.message.content.text for event in events if event.type == "content-delta").startswith(
        "tok0 tok1"
    )
    assert events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.billed_units.output_tokens == 8


def test_cohere_client_to_anthropic(mixed: Worker, upstream: Upstream) -> None:
    upstream.script(
        Script(
            body={
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": "Sunny."}],
                "stop_reason": "max_tokens",
                "usage": {"input_tokens": 6, "output_tokens": 3},
            }
        )
    )
    answer = sdk(mixed).chat(
        model="claude",
        messages=HELLO,
        max_tokens=100,
        documents=[{"id": "d", "data": {"title": "T", "text": "It is."}}],
    )
    assert answer.finish_reason == "MAX_TOKENS"
    sent = upstream.requests[0].json
    assert upstream.requests[0].target == "/v1/messages"
    [document, text] = sent["messages"][0]["content"]
    assert (document["type"], document["source"]["data"], document["title"]) == ("document", "It is.", "T")
    assert (document["citations"], text["text"]) == ({"enabled": True}, "Hello")


def test_cohere_client_streams_from_gemini(mixed: Worker, upstream: Upstream) -> None:
    pieces = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi "}]}}]},
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "you"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
        },
    ]
    upstream.script(
        Script(events=[b"data: " + json.dumps(piece).encode() + b"\r\n\r\n" for piece in pieces], done=False)
    )
    events = list(sdk(mixed).chat_stream(model="gemini", messages=HELLO))
    assert "".join(event.delta.message.content.text for event in events if event.type == "content-delta") == "Hi you"
    assert events[-1].delta.usage.tokens.input_tokens == 3


def test_cohere_client_embeds_elsewhere(mixed: Worker, upstream: Upstream) -> None:
    found = sdk(mixed).embed(
        model="text-embedding-3-small", texts=["a", "b"], input_type="search_document", truncate="END"
    )
    assert found.embeddings.float_ is not None
    assert len(found.embeddings.float_) == 2
    packed = sdk(mixed).embed(
        model="text-embedding-3-small",
        inputs=[{"content": [{"type": "text", "text": "a"}]}],
        input_type="search_document",
        embedding_types=["base64"],
    )
    assert packed.embeddings.base64 is not None
    vector = base64.b64decode(packed.embeddings.base64[0])
    assert list(struct.unpack(f"<{len(vector) // 4}f", vector)) == pytest.approx(found.embeddings.float_[0], abs=1e-6)
    assert upstream.requests[1].json["input"] == ["a"]
    with pytest.raises(cohere.BadRequestError) as raised:
        sdk(mixed).embed(model="text-embedding-3-small", texts=["a"], input_type="x", embedding_types=["int8"])
    assert raised.value.body["error"]["param"] == "embedding_types"


# --- OpenAI's SDK, Cohere's API


def test_openai_client_to_cohere(mixed: Worker, upstream: Upstream) -> None:
    tool_calls = [{"id": "w", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}]
    message = {"role": "assistant", "tool_plan": "Look.", "tool_calls": tool_calls}
    upstream.script(Script(body=wire.answer(finish_reason="TOOL_CALL", message=message)))
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    answer = mixed.client().chat.completions.create(
        model="command",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},  # type: ignore[list-item]
            {"role": "tool", "tool_call_id": "c", "content": "5 degrees"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And here?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                ],
            },
        ],
        tools=[TOOL],  # type: ignore[list-item]
        tool_choice="required",
        max_tokens=9,
        top_p=1,
        stop="x",
        user="me",
        extra_body={"safety_mode": "OFF", "top_k": 4},
    )
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"city":"Rome"}'  # type: ignore[union-attr]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 2)
    assert upstream.requests[0].target == "/v2/chat"
    sent = wire.accept_chat(upstream.requests[0].body)
    assert sent == {
        "model": "command-a-03-2025",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "5 degrees"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And here?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                ],
            },
        ],
        "tools": [TOOL],
        "tool_choice": "REQUIRED",
        "max_tokens": 9,
        "p": 0.99,
        "k": 4,
        "stop_sequences": ["x"],
        "safety_mode": "OFF",
    }


def test_openai_client_streams_tools_from_cohere(mixed: Worker, upstream: Upstream) -> None:
    upstream.script(Script(events=wire.TOOL_STREAM, done=False))
    chunks = list(
        mixed.client().chat.completions.create(
            model="command", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
            assert call.function is not None
            held = calls.setdefault(call.index, [call.id or "", call.function.name or "", ""])
            held[2] += call.function.arguments or ""
    assert calls == {0: ["w_1", "weather", '{"city": "Rome"}'], 1: ["w_2", "time", "{}"]}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (5, 2)
    assert wire.accept_chat(upstream.requests[0].body)["stream"] is True


def test_openai_client_streams_text_and_thinking_from_cohere(mixed: Worker, upstream: Upstream) -> None:
    upstream.script(Script(events=wire.TEXT_STREAM, done=False), Script(events=wire.THINKING_STREAM, done=False))
    first = list(mixed.client().chat.completions.create(model="command", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in first) == "Hello \u00e9\u4f60\U0001f600"
    [annotations] = [
        extra["annotations"] for chunk in first if "annotations" in (extra := chunk.choices[0].delta.model_extra or {})
    ]
    assert annotations[0]["url_citation"] == {"start_index": 0, "end_index": 3, "url": "u:1", "title": "T"}
    second = list(
        mixed.client().chat.completions.create(
            model="thinker", messages=HELLO, stream=True, reasoning_effort="low", logprobs=True
        )
    )
    thought = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") or "" for chunk in second]
    assert "".join(thought) == "Hm."
    [shown] = [chunk.choices[0].logprobs for chunk in second if chunk.choices[0].logprobs]
    assert shown.content is not None
    assert (shown.content[0].token, shown.content[0].logprob) == ("42", -0.75)
    assert second[-1].choices[0].finish_reason == "length"
    sent = wire.accept_chat(upstream.requests[1].body)
    assert sent["thinking"] == {"type": "enabled", "token_budget": 1024}


def test_structured_output(mixed: Worker, upstream: Upstream) -> None:
    said = {"role": "assistant", "content": [{"type": "text", "text": '{"age": 4}'}]}
    upstream.script(Script(body=wire.answer(message=said)))
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = mixed.client().chat.completions.create(model="command", messages=HELLO, response_format=wanted)
    assert json.loads(answer.choices[0].message.content or "") == {"age": 4}
    sent = wire.accept_chat(upstream.requests[0].body)
    assert sent["response_format"] == {"type": "json_object", "json_schema": schema}
    status, _, body = mixed.call(
        "/v1/chat/completions", {"model": "command", "messages": HELLO, "response_format": wanted, "tools": [TOOL]}
    )
    assert (status, json.loads(body)["error"]["param"]) == (400, "response_format")


@pytest.mark.parametrize(
    ("param", "value"),
    [("n", 2), ("logit_bias", {"1": 2}), ("parallel_tool_calls", False), ("presence_penalty", -1), ("odd_member", 1)],
)
def test_what_cohere_cannot_take(mixed: Worker, upstream: Upstream, param: str, value: Any) -> None:
    status, _, body = mixed.call("/v1/chat/completions", {"model": "command", "messages": HELLO, param: value})
    assert (status, json.loads(body)["error"]["param"]) == (400, param)
    assert upstream.requests == []
    upstream.script(Script(body=wire.answer()))
    status, headers, _ = mixed.call("/v1/chat/completions", {"model": "tolerant", "messages": HELLO, param: value})
    assert (status, headers["x-routeiq-dropped-params"]) == (200, param)
    assert param not in wire.accept_chat(upstream.requests[0].body)


def test_openai_client_embeds_at_cohere_and_tei(mixed: Worker, upstream: Upstream) -> None:
    body = {
        "id": "e",
        "embeddings": {"float": [[0.5, -0.25], [1.0, 2.0]]},
        "texts": ["a", "b"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
        "response_type": "embeddings_by_type",
    }
    wire.same(cohere.EmbedByTypeResponse, body)
    upstream.script(Script(body=body), Script(body=b"[[0.5,-0.25],[1.0,2.0]]"))
    found = mixed.client().embeddings.create(
        model="embed", input=["a", "b"], dimensions=2, extra_body={"input_type": "search_query"}
    )
    assert [item.embedding for item in found.data] == [[0.5, -0.25], [1.0, 2.0]]
    assert found.usage.prompt_tokens == 4
    wire.EmbedRequest.model_validate(upstream.requests[0].json)
    assert upstream.requests[0].json["input_type"] == "search_query"
    assert upstream.requests[0].json["output_dimension"] == 2
    found = mixed.client().embeddings.create(model="tei-embed", input=["aaaa", "bbbb"])
    assert [item.embedding for item in found.data] == [[0.5, -0.25], [1.0, 2.0]]
    assert (upstream.requests[1].target, upstream.requests[1].json) == ("/embed", {"inputs": ["aaaa", "bbbb"]})
    line = mixed.wait_events(2)[1]
    assert (line["prompt_tokens"], line["estimated"], line["cost"]) == (2, True, 2000)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"message":{"content":5}}', b'{"message":null}', b"<html>", b"[" * 5000],
)
def test_answers_that_are_none(mixed: Worker, upstream: Upstream, body: bytes) -> None:
    upstream.always(Script(body=body))
    status, _, got = mixed.call("/v1/chat/completions", {"model": "once", "messages": HELLO})
    assert (status, json.loads(got)["error"]["code"]) == (502, "invalid_upstream_answer")


@pytest.mark.parametrize("event", [b"data: {\n\n", b"data: [1]\n\n", b'data: {"message":"broke"}\n\n', b": x\n\n"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v2/chat"])
def test_events_that_are_none_never_hang(mixed: Worker, upstream: Upstream, event: bytes, path: str) -> None:
    upstream.always(Script(events=[event], done=False))
    status, _, got = mixed.call(path, {"model": "once", "messages": HELLO, "stream": True}, timeout=15)
    begun = event.startswith(b":") and path == "/v2/chat"  # a comment is passed on
    assert (status, b'"finish_reason":"ERROR"' in got) == ((200, True) if begun else (502, False))
