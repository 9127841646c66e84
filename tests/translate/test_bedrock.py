"""Bedrock's Converse: requests AWS would take, answers and streams as it sends them."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.dialects.bedrock import from_answer
from routeiq.providers.translate.bedrock.embeddings import BedrockEmbedProvider
from routeiq.providers.translate.bedrock.provider import BedrockProvider
from routeiq.providers.translate.chat import (
    CacheMark,
    Chat,
    Citation,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    Format,
    Media,
    MediaDelta,
    Message,
    Native,
    Reasoning,
    Refusal,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolDelta,
    ToolResult,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.embed import Embed
from support.bedrock import answer, check, event, failure, parsed

PNG = base64.b64encode(b"\x89PNG\r\n\xff\xfe\xfd").decode()
PICTURE = Media(kind="image", media_type="image/png", data=PNG)
CODEC = BedrockProvider()
USER = Message(role="user", content=[Text(text="hi")])
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "amazon.nova-2-lite-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
WEATHER = Tool(name="weather", description="d", parameters={"type": "object", "properties": {"city": {}}})


def write(chat: Chat, model: str = CLAUDE, **fit: Any) -> tuple[dict[str, Any], list[str]]:
    how = Fit("bedrock", **fit)
    outgoing = CODEC.write(chat, Context(provider="bedrock", model=model), how)
    assert outgoing.operation == "converse"
    return check("ConverseStream" if chat.stream else "Converse", outgoing.body), how.dropped


def refused(chat: Chat, param: str, model: str = CLAUDE) -> str:
    with pytest.raises(BadRequest) as raised:
        write(chat, model)
    assert raised.value.param == param
    return raised.value.message


def test_turns_and_blocks() -> None:
    chat = Chat(
        messages=[
            Message(role="system", content=[Text(text="one", cache=CacheMark("1h"))]),
            USER,
            Message(role="user", content=[Text(text="there")], name="ann"),
            Message(
                role="assistant",
                content=[
                    Thinking(text="hm", signature="bedrock#sig"),
                    Thinking(redacted="anthropic#cmVk"),
                    Thinking(text="whose", signature="gemini#x"),
                    Text(text="yes"),
                    Text(text=""),
                    ToolCall(id="a", name="weather", arguments='{"city":"Rome"}', cache=CacheMark()),
                    ToolCall(id="odd id!", name="weather", arguments="broken"),
                ],
            ),
            Message(
                role="user",
                content=[
                    Text(text="so?"),
                    ToolResult(
                        id="a", content=[Text(text="sun"), Media(kind="image", media_type="image/png", data=PNG)]
                    ),
                    ToolResult(id="odd id!", failed=True),
                ],
            ),
            Message(role="assistant", content=[Refusal(text="no")]),
            Message(role="developer", content=[Text(text="two")]),
            Message(role="user", content=[Text(text="")]),
        ],
        tools=[WEATHER],
    )
    body, dropped = write(chat)
    odd = body["messages"][1]["content"][5]["toolUse"]["toolUseId"]
    assert body == {
        "system": [{"text": "one"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "two"}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}, {"text": "there"}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"text": "yes"},
                    {"toolUse": {"toolUseId": "a", "name": "weather", "input": {"city": "Rome"}}},
                    {"cachePoint": {"type": "default"}},
                    {"toolUse": {"toolUseId": odd, "name": "weather", "input": {"input": "broken"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "a",
                            "content": [{"text": "sun"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
                        }
                    },
                    {"toolResult": {"toolUseId": odd, "content": [{"text": "(empty)"}], "status": "error"}},
                    {"text": "so?"},
                ],
            },
            {"role": "assistant", "content": [{"text": "no"}]},
            {"role": "user", "content": [{"text": "(empty)"}]},
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "inputSchema": {"json": {"type": "object", "properties": {"city": {}}}},
                        "description": "d",
                    }
                }
            ]
        },
    }
    assert dropped == ["name", "thinking"]


def test_media() -> None:
    media = [
        Media(kind="document", media_type="application/pdf", data=PNG, name="Q1 report_v2!!.final.pdf", cited=True),
        Media(kind="document", media_type="text/plain", text="words", context="c"),
        Media(kind="video", media_type="video/mp4", url="s3://bucket/a.mp4"),
        Media(kind="audio", media_type="audio/mpeg", data=PNG),
        Media(kind="image", url="s3://bucket/a.jpg"),
    ]
    body, _ = write(Chat(messages=[Message(role="user", content=list(media))]))
    assert body["messages"][0]["content"] == [
        {"text": "(empty)"},
        {
            "document": {
                "format": "pdf",
                "source": {"bytes": PNG},
                "name": "Q1 report v2 final",
                "citations": {"enabled": True},
            }
        },
        {"document": {"format": "txt", "source": {"text": "words"}, "name": "Document 2", "context": "c"}},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}},
        {"audio": {"format": "mp3", "source": {"bytes": PNG}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.jpg"}}}},
    ]


@pytest.mark.parametrize(
    ("media", "told"),
    [
        (Media(kind="image", media_type="image/png", url="https://a/b.png"), "S3"),
        (Media(kind="image", media_type="image/tiff", data=PNG), "png, jpeg"),
        (Media(kind="document", data=PNG), "unnamed type"),
    ],
)
def test_media_that_can_not_be_sent(media: Media, told: str) -> None:
    assert told in refused(Chat(messages=[Message(role="user", content=[media])]), "messages")


def test_parameters() -> None:
    chat = Chat(
        messages=[USER],
        max_tokens=9,
        temperature=0.25,
        top_p=0.5,
        top_k=3,
        stop=["a"],
        service_tier="flex",
        metadata={"team": "a b"},
        user="u",
        store=False,
        betas=("context-1m",),
        stream=True,
        extra={
            "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
            "additionalModelRequestFields": {"x": 1},
        },
    )
    body, dropped = write(chat)
    del body["messages"]
    assert body == {
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.25, "topP": 0.5, "stopSequences": ["a"]},
        "additionalModelRequestFields": {"top_k": 3, "anthropic_beta": ["context-1m"], "x": 1},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a b"},
        "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
    }
    assert dropped == ["user"]


def test_families_have_their_own_fields() -> None:
    chat = Chat(messages=[USER], top_k=3, service_tier="fast", metadata={"n": 1})
    body, dropped = write(chat, NOVA)
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 3}}
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert dropped == ["metadata"]
    assert write(chat, "cohere.command-r-v1:0")[0]["additionalModelRequestFields"] == {"k": 3}
    refused(chat, "top_k", LLAMA)
    cached = Chat(messages=[Message(role="user", content=[Text(text="a", cache=CacheMark("1h"))])])
    assert write(cached, LLAMA) == ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, ["cache_control"])
    assert write(cached, NOVA)[0]["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}


def test_what_is_refused() -> None:
    refused(Chat(messages=[USER], temperature=1.5), "temperature")
    refused(Chat(messages=[USER], stop=[" "]), "stop")
    refused(Chat(messages=[USER], seed=1), "seed")
    refused(Chat(messages=[USER], parallel_tool_calls=False, tools=[WEATHER]), "parallel_tool_calls")
    refused(Chat(messages=[Message(role="user", content=[Native(dialect="gemini", value={})])]), "messages")
    allowed = ToolChoice(mode="required", names=("weather",))
    refused(Chat(messages=[USER], tools=[WEATHER], tool_choice=allowed), "tool_choice")
    body, dropped = write(Chat(messages=[USER], temperature=1.5, seed=1, top_k=1), LLAMA, tolerant=True)
    assert "inferenceConfig" not in body
    assert dropped == ["temperature", "top_k", "seed"]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), None),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", names=("weather",)), {"tool": {"name": "weather"}}),
    ],
)
def test_tool_choice(choice: ToolChoice, written: Any) -> None:
    body, _ = write(Chat(messages=[USER], tools=[WEATHER], tool_choice=choice))
    assert body["toolConfig"].get("toolChoice") == written


def test_tools_are_left_out_where_none_may_be_used_and_kept_where_they_were() -> None:
    none = ToolChoice(mode="none")
    assert "toolConfig" not in write(Chat(messages=[USER], tools=[WEATHER], tool_choice=none))[0]
    turns = [
        USER,
        Message(role="assistant", content=[ToolCall(id="a", name="weather", arguments="{}")]),
        Message(role="tool", content=[ToolResult(id="a", content=[Text(text="sun")])]),
    ]
    refused(Chat(messages=turns, tools=[WEATHER], tool_choice=none), "tool_choice")
    tools = write(Chat(messages=turns))[0]["toolConfig"]["tools"]
    assert tools == [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}]


def test_thinking() -> None:
    chat = Chat(messages=[USER], reasoning=Reasoning(effort="low"), max_tokens=4096)
    body, _ = write(chat)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert body["inferenceConfig"] == {"maxTokens": 4096}
    body, _ = write(Chat(messages=[USER], reasoning=Reasoning(effort="max")), "anthropic.claude-opus-4-6-v1")
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}
    assert body["outputConfig"] == {"effort": "max"}
    refused(Chat(messages=[USER], reasoning=Reasoning(budget=2048), temperature=0.5), "temperature")
    refused(Chat(messages=[USER], reasoning=Reasoning(budget=2048), top_k=5), "top_k")
    unproven = [
        USER,
        Message(role="assistant", content=[ToolCall(id="a", name="weather", arguments="{}")]),
        Message(role="tool", content=[ToolResult(id="a", content=[Text(text="sun")])]),
    ]
    body, dropped = write(Chat(messages=unproven, tools=[WEATHER], reasoning=Reasoning(budget=2048)))
    assert "additionalModelRequestFields" not in body
    assert dropped == ["reasoning_effort"]
    body, _ = write(chat, NOVA)
    assert body["additionalModelRequestFields"] == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    off = Chat(messages=[USER], reasoning=Reasoning(effort="none"))
    assert write(off, NOVA)[0]["additionalModelRequestFields"] == {"reasoningConfig": {"type": "disabled"}}
    assert write(off)[0]["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}
    assert write(chat, "openai.gpt-oss-120b-1:0")[0]["additionalModelRequestFields"] == {"reasoning_effort": "low"}
    assert write(chat, "us.deepseek.r1-v1:0")[1] == ["reasoning_effort"]


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    chat = Chat(messages=[USER], format=Format(schema=schema, name="n", description="d"))
    wanted = write(chat)[0]["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(wanted.pop("schema")) == {**schema, "additionalProperties": False}
    assert wanted == {"name": "n", "description": "d"}
    for model in (OLD, LLAMA):
        tools = write(chat, model)[0]["toolConfig"]
        assert tools["tools"][0]["toolSpec"]["name"] == "structured_answer"
        assert ("toolChoice" in tools) == (model == OLD)
    told = answer("Converse", whole([{"toolUse": use("structured_answer", {"a": 1})}], "tool_use"))
    choice = CODEC.read(told, chat).choices[0]
    assert (choice.content, choice.finish) == ([Text(text='{"a": 1}')], "stop")


def whole(content: list[Any], stop: str = "end_turn", **members: Any) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
        "metrics": {"latencyMs": 1},
        **members,
    }


def use(name: str, given: Any) -> dict[str, Any]:
    return {"toolUseId": "t1", "name": name, "input": given}


def test_answer() -> None:
    content = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "hello"},
        {
            "citationsContent": {
                "content": [{"text": "cited"}],
                "citations": [
                    {"title": "T", "sourceContent": [{"text": "q"}], "location": {"web": {"url": "https://a"}}}
                ],
            }
        },
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"toolUse": {**use("nova_grounding", {}), "type": "server_tool_use"}},
        {"toolUse": use("weather", {"city": "Rome"})},
    ]
    usage = {
        "inputTokens": 5,
        "outputTokens": 7,
        "totalTokens": 62,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}],
    }
    told = answer("Converse", whole(content, "tool_use", usage=usage, serviceTier={"type": "priority"}))
    read = CODEC.read(told, Chat(messages=[]))
    assert read.choices[0].content == [
        Thinking(text="hm", signature="bedrock#s"),
        Thinking(redacted="bedrock#cmVk"),
        Text(text="hello"),
        Text(text="cited", citations=[Citation(text="q", url="https://a", title="T")]),
        Media(kind="image", media_type="image/png", data=PNG),
        ToolCall(id="t1", name="weather", arguments='{"city": "Rome"}'),
    ]
    assert read.choices[0].finish == "tool_calls"
    assert read.usage == Usage(prompt=55, completion=7, cached=20, written=20, written_1h=10, service_tier="priority")
    assert read.service_tier == "priority"


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "stop"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_why_it_ended(stop: str, finish: str) -> None:
    assert CODEC.read(answer("Converse", whole([{"text": "a"}], stop)), Chat(messages=[])).choices[0].finish == finish


def test_stop_sequence_is_told() -> None:
    told = whole([{"text": "a"}], "stop_sequence", additionalModelResponseFields={"stop_sequence": "END"})
    choice = CODEC.read(answer("Converse", told), Chat(messages=[])).choices[0]
    assert (choice.finish, choice.stop_sequence) == ("stop_sequence", "END")


STREAM = b"".join(
    [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "hö"}}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": {"title": "T", "source": "S"}}}),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        event(
            "contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "weather"}}}
        ),
        event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city"'}}}),
        event("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": ':"Rome"}'}}}),
        event("contentBlockStop", {"contentBlockIndex": 2}),
        event("contentBlockStart", {"contentBlockIndex": 3, "start": {"image": {"format": "png"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"image": {"source": {"bytes": PNG}}}}),
        event("messageStop", {"stopReason": "tool_use"}),
    ]
)
METADATA = event(
    "metadata",
    {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}, "metrics": {"latencyMs": 9}},
)
DELTAS: list[Delta] = [
    Started(),
    ThinkingDelta(text="hm"),
    ThinkingDelta(signature="bedrock#s"),
    TextDelta(text="hö"),
    CitationDelta(citation=Citation(title="T", url="S")),
    ToolStarted(index=0, id="t", name="weather"),
    ToolDelta(index=0, arguments='{"city"'),
    ToolDelta(index=0, arguments=':"Rome"}'),
    MediaDelta(media=Media(kind="image", media_type="image/png", data=PNG)),
    Finished(reason="tool_calls"),
]


def read(data: bytes, size: int | None = None) -> list[Delta]:
    reader = CODEC.reader(Chat(messages=[]))
    step = size or len(data)
    out = [delta for at in range(0, len(data), step) for delta in reader.feed(data[at : at + step])]
    return out + reader.finish()


def test_stream_at_any_chunking() -> None:
    used = Used(usage=Usage(prompt=3, completion=4))
    for size in (1, 2, 7, 64, 1000, None):
        assert read(STREAM + METADATA, size) == [*DELTAS, used, Ended()]
    assert len(parsed(STREAM + METADATA)) == 15


def test_stream_cut_at_every_byte() -> None:
    whole_stream = STREAM + METADATA
    for cut in range(1, len(whole_stream)):
        reader = CODEC.reader(Chat(messages=[]))
        deltas = [*reader.feed(whole_stream[:cut]), *reader.feed(whole_stream[cut:])]
        assert deltas == [*DELTAS, Used(usage=Usage(prompt=3, completion=4)), Ended()]
        if cut != len(STREAM):
            assert not any(isinstance(delta, Ended) for delta in read(whole_stream[:cut]))


def test_stream_without_usage_is_complete_when_closed() -> None:
    assert read(STREAM) == [*DELTAS, Ended()]


@pytest.mark.parametrize(
    ("kind", "status", "retryable"),
    [
        ("throttlingException", 429, True),
        ("modelStreamErrorException", 424, True),
        ("validationException", 400, False),
        ("internalServerException", 500, True),
        ("serviceUnavailableException", 503, True),
    ],
)
def test_exceptions_in_a_stream(kind: str, status: int, retryable: bool) -> None:
    with pytest.raises(UpstreamError, match="went wrong") as raised:
        read(STREAM + failure(kind, "it went wrong"))
    assert (raised.value.status, raised.value.retryable, raised.value.code) == (status, retryable, kind)


def test_broken_stream() -> None:
    with pytest.raises(UpstreamError, match="broken frame"):
        read(b"HTTP/1.1 200 OK\r\n" * 4)
    wrong = bytearray(STREAM)
    wrong[-1] ^= 1
    with pytest.raises(UpstreamError, match="checksum"):
        read(bytes(wrong))


def test_errors() -> None:
    error = from_answer(403, b'{"Message":"no credentials"}', provider="bedrock", retry_after=None)
    assert (error.message, error.status, error.elsewhere) == ("no credentials", 403, True)
    long = b'{"message":"Input is too long for requested model."}'
    assert from_answer(400, long, provider="bedrock", retry_after=None).fallback == "context_window"
    assert from_answer(424, b"{}", provider="bedrock", retry_after=None).retryable
    assert from_answer(502, b"<html>", provider="bedrock", retry_after=None).status == 502


def test_count() -> None:
    chat = Chat(messages=[Message(role="system", content=[Text(text="s")]), USER], tools=[WEATHER])
    outgoing = CODEC.write_count(chat, Context(provider="bedrock", model=CLAUDE), Fit("bedrock"))
    assert outgoing.operation == "converse_count"
    asked = check("CountTokens", outgoing.body)["input"]["converse"]
    assert asked.keys() == {"messages", "system", "toolConfig"}
    assert CODEC.read_count(answer("CountTokens", {"inputTokens": 9})) == 9
    assert CODEC.write_count(chat, Context(provider="bedrock", model=NOVA), Fit("bedrock")).operation == ""


def embed(model: str, *texts: str, **members: Any) -> tuple[Any, Embed]:
    asked = Embed(inputs=list(texts), **members)
    outgoing = BedrockEmbedProvider().write_embed(asked, Context(provider="bedrock", model=model), Fit("bedrock"))
    assert outgoing.operation == "invoke"
    return json.loads(outgoing.body), asked


def test_embeddings() -> None:
    codec = BedrockEmbedProvider()
    body, asked = embed("amazon.titan-embed-text-v2:0", "a", dimensions=256)
    assert body == {"inputText": "a", "dimensions": 256}
    told = codec.read_embed(b'{"embedding":[0.5,1],"embeddingsByType":{},"inputTextTokenCount":3}', asked)
    assert (told.vectors, told.usage) == ([[0.5, 1.0]], Usage(prompt=3))
    body, asked = embed("us.cohere.embed-v4:0", "abcdefgh", "b", task="query", dimensions=512)
    assert body == {
        "texts": ["abcdefgh", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 512,
    }
    for shape in (b'{"float":[[1],[2]]}', b"[[1],[2]]"):
        told = codec.read_embed(b'{"id":"x","embeddings":%b}' % shape, asked)
        assert (told.vectors, told.usage) == ([[1.0], [2.0]], Usage(prompt=2, estimated=True))
    body, asked = embed("amazon.nova-2-multimodal-embeddings-v1:0", "a", task="query", dimensions=256)
    assert body["singleEmbeddingParams"] == {
        "embeddingPurpose": "GENERIC_RETRIEVAL",
        "text": {"truncationMode": "NONE", "value": "a"},
        "embeddingDimension": 256,
    }
    told = codec.read_embed(b'{"embeddings":[{"embeddingType":"TEXT","embedding":[0.25]}]}', asked)
    assert told.vectors == [[0.25]]


def test_embeddings_that_can_not_be_asked_for() -> None:
    for model, texts, members, param in (
        ("amazon.titan-embed-text-v2:0", ("a", "b"), {}, "input"),
        ("amazon.titan-embed-text-v1", ("a",), {"dimensions": 3}, "dimensions"),
        (LLAMA, ("a",), {}, "model"),
    ):
        with pytest.raises(BadRequest) as raised:
            embed(model, *texts, **members)
        assert raised.value.param == param


texts = st.builds(lambda text: Text(text=text), st.text(max_size=8))
pictures = st.just(Media(kind="image", media_type="image/png", data=PNG))
papers = st.builds(lambda name: Media(kind="document", media_type="application/pdf", data=PNG, name=name), st.text())
calls = st.builds(lambda ident: ToolCall(id=ident, name="weather", arguments="{}"), st.text(min_size=1, max_size=80))
results = st.builds(lambda ident, inner: ToolResult(id=ident, content=inner), st.text(), st.lists(texts | pictures))
turns = st.one_of(
    st.builds(lambda content: Message(role="user", content=content), st.lists(texts | pictures | papers | results)),
    st.builds(lambda content: Message(role="assistant", content=content), st.lists(texts | calls)),
    st.builds(lambda content: Message(role="system", content=content), st.lists(texts)),
)


@given(
    st.lists(turns, max_size=5),
    st.sampled_from([CLAUDE, OLD, NOVA, LLAMA]),
    st.sampled_from([None, Reasoning(effort="high"), Reasoning(budget=4000)]),
    st.lists(st.just(WEATHER), max_size=1),
    st.sampled_from([None, Format(), Format(schema={"type": "object"})]),
    st.booleans(),
)
def test_any_conversation_is_one_that_aws_takes(
    messages: list[Message], model: str, reasoning: Any, tools: list[Tool], wanted: Any, stream: bool
) -> None:
    chat = Chat(messages=messages, reasoning=reasoning, tools=tools, format=wanted, stream=stream)
    body, _ = write(chat, model)
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert all(message["content"] for message in body["messages"])
