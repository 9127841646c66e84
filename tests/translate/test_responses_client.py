"""Responses' client side, judged by the official SDK's own types."""

from __future__ import annotations

import contextlib
import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.translate.anthropic.provider import AnthropicProvider
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    Media,
    MediaDelta,
    Native,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Thread,
    ToolCall,
    ToolChoice,
    ToolDelta,
    ToolResult,
    ToolStarted,
    Used,
    sealed,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.responses.answer import response_of_item
from routeiq.providers.translate.responses.client import ResponsesClient

CODEC = ResponsesClient()
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ID = "resp_" + "ab" * 24
USAGE = Usage(prompt=11, completion=7, cached=3, reasoning=2)


def read(**members: Any) -> Chat:
    return CODEC.read(json.dumps({"model": "m", "input": "hi", **members}).encode())


def asked(**members: Any) -> Chat:
    chat = read(**members)
    chat.thread = Thread(id=ID, stored=True)
    return chat


def whole(*blocks: Block, finish: Any = "stop", chat: Chat | None = None, logprobs: Any = None) -> dict[str, Any]:
    answer = Answer(
        id="a1",
        model="m",
        created=5,
        choices=[Choice(content=list(blocks), finish=finish, logprobs=logprobs)],
        usage=USAGE,
    )
    found: dict[str, Any] = json.loads(CODEC.write(answer, chat or asked()))
    Response.model_validate(found, strict=False)
    assert Response.model_validate(found).to_dict(mode="json") is not None
    return found


def events(*deltas: Delta, finish: Any = "stop", chat: Chat | None = None) -> list[dict[str, Any]]:
    writer = CODEC.writer(chat or asked(), "m")
    ends: list[Delta] = [Finished(reason=finish), Used(usage=USAGE), Ended()]
    data = b"".join(writer.write(delta) for delta in [Started(id="a1", created=5), *deltas, *ends])
    return parse(data)


def parse(data: bytes) -> list[dict[str, Any]]:
    out = []
    for frame in data.decode().strip().split("\n\n"):
        name, payload = frame.split("\n")
        found = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {found['type']}"
        validated = EVENT.validate_python(found)
        assert validated.type == found["type"]
        out.append(found)
    assert [found["sequence_number"] for found in out] == list(range(len(out)))
    return out


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def test_a_request_with_everything() -> None:
    chat = read(
        input=[
            {"role": "user", "content": "hello"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "look"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                    {"type": "input_image", "image_url": "https://x.test/a.jpg"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
                    {"type": "input_file", "file_url": "https://x.test/b.pdf"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look", "annotations": []}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "free"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [
                    {"type": "input_text", "text": "two"},
                    {"type": "input_image", "image_url": "https://x/y.png"},
                ],
            },
        ],
        instructions="be brief",
        tools=[
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
            {"type": "custom", "name": "g", "format": {"type": "text"}},
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "user_location": {"type": "approximate", "country": "DE"},
            },
            {"type": "mcp", "server_label": "s", "server_url": "https://x.test"},
        ],
        tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        parallel_tool_calls=False,
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=2,
        include=["message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results"],
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        safety_identifier="u1",
        prompt_cache_key="k",
        metadata={"a": "b"},
        service_tier="flex",
        truncation="auto",
        max_tool_calls=3,
        stream=True,
        store=True,
        odd=1,
    )
    system, first, second, said, one, two = chat.messages
    assert (system.role, system.content) == ("system", [Text(text="be brief")])
    assert (first.role, first.content) == ("user", [Text(text="hello")])
    assert second.content == [
        Text(text="look"),
        Media(kind="image", media_type="image/png", data="AAAA", detail="low"),
        Media(kind="image", media_type="image/jpeg", url="https://x.test/a.jpg"),
        Media(kind="document", media_type="application/pdf", data="BBBB", name="a.pdf"),
        Media(kind="document", media_type="application/pdf", url="https://x.test/b.pdf"),
    ]
    assert said.role == "assistant"
    assert said.content == [
        Thinking(text="hm", id="rs_1"),
        Text(text="I look"),
        ToolCall(id="c1", name="f", arguments='{"a":1}'),
        ToolCall(id="c2", name="g", arguments="free", custom=True),
    ]
    assert (one.role, one.content) == ("tool", [ToolResult(id="c1", content=[Text(text="one")])])
    assert two.content == [
        ToolResult(
            id="c2",
            content=[Text(text="two"), Media(kind="image", media_type="image/png", url="https://x/y.png")],
            custom=True,
        )
    ]
    assert [tool.name for tool in chat.tools] == ["f", "g", "mcp"]
    assert chat.tools[2].dialect == "responses"
    assert chat.web_search == {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"country": "DE"}},
    }
    assert chat.tool_choice == ToolChoice(mode="required", names=("f",))
    assert (chat.max_tokens, chat.temperature, chat.top_p, chat.top_logprobs) == (100, 0.5, 0.9, 2)
    assert chat.logprobs is True
    assert chat.format is not None
    assert (chat.format.name, chat.format.schema) == ("n", {"type": "object"})
    assert chat.verbosity == "low"
    assert chat.reasoning is not None
    assert (chat.reasoning.effort, chat.reasoning.summary) == ("high", "auto")
    assert (chat.user, chat.prompt_cache_key, chat.metadata, chat.service_tier) == ("u1", "k", {"a": "b"}, "flex")
    assert chat.store is None, "the gateway keeps answers itself"
    assert chat.extra == {"odd": 1}
    assert set(chat.hints) == {"truncation", "max_tool_calls", "include:file_search_call.results"}


def test_a_hosted_tool_reaches_no_other_provider() -> None:
    chat = read(tools=[{"type": "file_search", "vector_store_ids": ["v"]}])
    for provider in (OpenAIProvider(), AnthropicProvider()):
        with pytest.raises(BadRequest, match="file_search"):
            provider.write(chat, Context(provider="p", model="m"), Fit("p"))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "nonsense"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": 3}, "input"),
        ({"tools": [{"name": "f"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "enormous"}}, "reasoning.effort"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**members)
    assert caught.value.param == param


def test_an_answer_and_its_settings() -> None:
    chat = asked(
        instructions="i", tools=[{"type": "function", "name": "f", "parameters": {}, "strict": None}], temperature=0.3
    )
    assert chat.thread is not None
    chat.thread.previous = "resp_before"
    found = whole(
        Thinking(text="hm", signature=sealed("anthropic", "sig")),
        Text(text="one ", citations=[Citation(url="https://x", title="t", start=0, end=3)]),
        Text(text="two"),
        ToolCall(id="c1", name="f", arguments="{}"),
        ToolCall(id="c2", name="g", arguments="x", custom=True),
        finish="tool_calls",
        chat=chat,
    )
    thought, message, call, custom = found["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert thought["encrypted_content"] == "routeiq:signature:anthropic#sig"
    [part] = message["content"]
    assert part["text"] == "one two"
    assert part["annotations"] == [
        {"type": "url_citation", "url": "https://x", "title": "t", "start_index": 0, "end_index": 3}
    ]
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "c1", "{}")
    assert (custom["type"], custom["call_id"], custom["input"]) == ("custom_tool_call", "c2", "x")
    assert [response_of_item(item["id"]) for item in found["output"]] == [(ID, n) for n in range(4)]
    assert found["id"] == ID
    assert (found["status"], found["instructions"], found["temperature"]) == ("completed", "i", 0.3)
    assert (found["previous_response_id"], found["store"], found["top_p"]) == ("resp_before", True, 1.0)
    assert found["tools"] == [{"type": "function", "name": "f", "parameters": {}, "strict": None}]
    assert found["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_off(finish: Any, reason: str) -> None:
    found = whole(Text(text="half"), finish=finish)
    assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert found["output"][0]["status"] == "incomplete"
    streamed = events(TextDelta(text="half"), finish=finish)
    assert kinds(streamed)[-1] == "incomplete"
    assert streamed[-1]["response"] == found


def test_a_stream_in_the_documented_order() -> None:
    found = events(TextDelta(text="one "), TextDelta(text="two"))
    assert kinds(found) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert found[-1]["response"] == whole(Text(text="one two"))
    assert found[0]["response"]["status"] == "in_progress"
    assert {event["item_id"] for event in found[3:8]} == {found[2]["item"]["id"]}


def test_thoughts_calls_and_refusals_stream() -> None:
    found = events(
        ThinkingDelta(text="h"),
        ThinkingDelta(text="m"),
        ThinkingDelta(signature=sealed("anthropic", "s")),
        ThinkingDelta(redacted=sealed("anthropic", "r")),
        RefusalDelta(text="no"),
        ToolStarted(index=0, id="c1", name="f", signature=sealed("gemini", "g")),
        ToolDelta(index=0, arguments="{"),
        ToolStarted(index=1, id="c2", name="g", custom=True),
        ToolDelta(index=1, arguments="x"),
        ToolDelta(index=0, arguments="}"),
        finish="tool_calls",
    )
    assert kinds(found) == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added", "function_call_arguments.delta",
        "output_item.added", "custom_tool_call_input.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    expected = whole(
        Thinking(text="hm", signature=sealed("anthropic", "s")),
        Thinking(redacted=sealed("anthropic", "r")),
        Refusal(text="no"),
        ToolCall(id="c1", name="f", arguments="{}", signature=sealed("gemini", "g")),
        ToolCall(id="c2", name="g", arguments="x", custom=True),
        finish="tool_calls",
    )
    assert found[-1]["response"] == expected


def test_sources_probabilities_and_pictures_stream() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}
    cited = Citation(url="https://x", title="t", start=0, end=1)
    picture = Media(kind="image", media_type="image/png", data="AAAA")
    found = events(TextDelta(text="a", logprobs=logprobs), CitationDelta(citation=cited), MediaDelta(media=picture))
    assert "output_text.annotation.added" in kinds(found)
    assert found[-1]["response"] == whole(Text(text="a", citations=[cited]), picture, logprobs=logprobs)


def test_a_stream_that_fails() -> None:
    writer = CODEC.writer(asked(), "m")
    data = writer.write(Started(id="a", created=5)) + writer.write(TextDelta(text="x"))
    data += writer.fail(UpstreamError("broken", status=429))
    found = parse(data)
    assert kinds(found)[-2:] == ["error", "failed"]
    assert found[-2]["message"] == "broken"
    assert found[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "broken"}
    assert found[-1]["response"]["status"] == "failed"


def test_signatures_come_back() -> None:
    blocks: list[Block] = [
        Thinking(text="hm", signature=sealed("anthropic", "a:b#c")),
        Thinking(redacted=sealed("anthropic", "red")),
        Thinking(text="", redacted=sealed("responses", "gAAAAA")),
        Text(text="said"),
        ToolCall(id="c:1", name="f", arguments="{}", signature=sealed("gemini", "sig")),
    ]
    output = whole(*blocks, finish="tool_calls")["output"]
    assert output[2]["encrypted_content"] == "gAAAAA"
    [message] = read(input=output).messages
    for block in message.content:
        if isinstance(block, Thinking):
            block.id = ""
    assert message.content == blocks


words = st.text(min_size=1, max_size=20)
proofs = st.sampled_from(["", sealed("anthropic", "x"), sealed("gemini", "y==")])
block = st.one_of(
    st.builds(Text, text=words),
    st.builds(Refusal, text=words),
    st.builds(Thinking, text=words, signature=proofs),
    st.builds(Thinking, redacted=st.sampled_from([sealed("anthropic", "r"), sealed("responses", "o")])),
    st.builds(ToolCall, id=words, name=words, arguments=words, signature=proofs),
    st.builds(ToolCall, id=words, name=words, arguments=words, custom=st.just(True)),
    st.builds(Native, dialect=st.just("responses"), value=st.just({"type": "mcp_call", "id": "mcp_1"})),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(block, min_size=1, max_size=6))
def test_items_come_back_as_they_went(blocks: list[Block]) -> None:
    answer = Answer(id="a", model="m", created=5, choices=[Choice(content=blocks)])
    output = json.loads(CODEC.write(answer, asked()))["output"]
    [message] = read(input=output).messages
    again = Answer(id="a", model="m", created=5, choices=[Choice(content=message.content)])
    assert json.loads(CODEC.write(again, asked()))["output"] == output


delta = st.one_of(
    st.builds(TextDelta, text=st.text(max_size=9)),
    st.builds(RefusalDelta, text=st.text(max_size=9)),
    st.builds(ThinkingDelta, text=st.text(max_size=9)),
    st.builds(ThinkingDelta, signature=st.just(sealed("anthropic", "x"))),
    st.builds(CitationDelta, citation=st.just(Citation(url="https://x"))),
    st.builds(ToolStarted, index=st.integers(0, 3), id=words, name=words, custom=st.booleans()),
    st.builds(ToolDelta, index=st.integers(0, 3), arguments=st.text(max_size=9)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(delta, max_size=12))
def test_whatever_comes_the_events_are_valid_and_add_up(deltas: list[Delta]) -> None:
    seen: set[int] = set()
    fresh: list[Delta] = []
    for each in deltas:
        if isinstance(each, ToolStarted):
            if each.index in seen:
                continue
            seen.add(each.index)
        fresh.append(each)
    found = events(*fresh)
    done = [event["item"] for event in sorted(found, key=lambda e: e.get("output_index", -1)) if is_done(event)]
    assert found[-1]["response"]["output"] == done
    added = [event["output_index"] for event in found if event["type"] == "response.output_item.added"]
    assert added == list(range(len(done)))


def is_done(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "response.output_item.done")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "role", "content", "text", "input", "tools", "output", "call_id", "summary", "name"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for body in ({"model": "m", "input": value}, {"model": "m", "input": [value], "tools": [value]}, value):
        with contextlib.suppress(BadRequest):
            assert CODEC.read(msgspec.json.encode(body)).messages


def test_the_sdk_knows_every_event_we_write() -> None:
    union = get_args(get_args(ResponseStreamEvent)[0])
    assert len(union) > 40, "the oracle is the SDK's union of events"
