"""Cohere's codecs alone: every cut of a stream, every odd body, everything that is told in both directions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from cohere.v2 import types as v2
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import BadRequest, GatewayError, UpstreamError, UpstreamTimeout
from routeiq.core.usage import Usage
from routeiq.providers.dialects import cohere as dialect
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
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
from routeiq.providers.translate.cohere.client import CohereClient
from routeiq.providers.translate.cohere.client_embeddings import CohereEmbedClient
from routeiq.providers.translate.cohere.embeddings import CohereEmbedProvider
from routeiq.providers.translate.cohere.provider import CohereProvider
from routeiq.providers.translate.cohere.rerank import Reranker
from routeiq.providers.translate.embed import Embed, Rerank
from routeiq.providers.translate.rerank import RerankClient
from routeiq.providers.translate.tei.provider import TeiProvider
from support import cohere_wire as wire

CLIENT, PROVIDER = CohereClient(), CohereProvider()
COMMAND = Context(provider="cohere", model="command-a-03-2025")
THINKER = Context(provider="cohere", model="command-a-reasoning-08-2025")
CHAT = Chat(messages=[])
SOURCE = {"type": "tool", "id": "w:0", "tool_output": {"title": "Sky", "content": "blue"}}


def user(*blocks: Any) -> Chat:
    return Chat(messages=[Message(role="user", content=list(blocks) or [Text(text="Hello")])])


def written(chat: Chat, context: Context = COMMAND, fit: Fit | None = None) -> dict[str, Any]:
    """The body for Cohere, once its SDK's types have taken it."""
    outgoing = PROVIDER.write(chat, context, fit or Fit("cohere"))
    assert outgoing.operation == "cohere_chat"
    return wire.accept_chat(outgoing.body)


def deltas(events: list[bytes], cuts: tuple[int, ...] = ()) -> list[Delta]:
    data = b"".join(events)
    reader = PROVIDER.reader(CHAT)
    out: list[Delta] = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        out += reader.feed(data[start:end])
    return out + reader.finish()


# --- the provider's side


@pytest.mark.parametrize("kind", sorted(wire.STREAMS))
def test_a_stream_is_the_same_wherever_it_is_cut(kind: str) -> None:
    events = wire.STREAMS[kind]
    whole = deltas(events)
    assert isinstance(whole[0], Started)
    assert isinstance(whole[-1], Ended)

    def told(found: list[Delta]) -> bytes:
        writer = CLIENT.writer(CHAT, "m")
        return b"".join(writer.write(delta) for delta in found)

    assert all(told(deltas(events, (at,))) == told(whole) for at in range(1, len(b"".join(events))))


@given(st.sampled_from(sorted(wire.STREAMS)), st.data())
def test_a_stream_without_its_end_has_no_end(kind: str, data: st.DataObject) -> None:
    whole = b"".join(wire.STREAMS[kind])
    last = whole.rindex(b'"usage"')
    found = deltas([whole[: data.draw(st.integers(0, last))]])
    assert not any(isinstance(delta, Ended) for delta in found)


def test_a_stream_in_our_words() -> None:
    usage = Usage(5, 2)
    assert deltas(wire.TOOL_STREAM) == [
        Started(id="29f14a5a"),
        ThinkingDelta(text="I will "),
        ThinkingDelta(text="look."),
        ToolStarted(index=0, id="w_1", name="weather"),
        ToolDelta(index=0, arguments='{"city":'),
        ToolDelta(index=0, arguments=' "Rome"}'),
        ToolStarted(index=1, id="w_2", name="time"),
        ToolDelta(index=1, arguments="{}"),
        Finished(reason="tool_calls"),
        Used(usage=usage),
        Ended(),
    ]
    cited = next(delta for delta in deltas(wire.TEXT_STREAM) if isinstance(delta, CitationDelta)).citation
    assert (cited.text, cited.url, cited.title, cited.start, cited.end) == ("src", "u:1", "T", 0, 3)


@pytest.mark.parametrize(
    ("reason", "status"), [("ERROR", 500), ("TIMEOUT", 504)]
)  # fmt: skip
def test_answers_that_end_in_an_error(reason: str, status: int) -> None:
    with pytest.raises(UpstreamError) as raised:
        deltas([wire.start(), wire.end(reason, error="the GPU melted")])
    assert (raised.value.status, raised.value.message, raised.value.retryable) == (status, "the GPU melted", True)
    body = json.dumps(wire.answer(finish_reason=reason)).encode()
    for read in (lambda: PROVIDER.read(body, CHAT), lambda: dialect.CohereFace("cohere_chat").read_answer(body)):
        with pytest.raises(UpstreamError) as raised:
            read()
        assert raised.value.status == status
    watch = dialect.CohereFace("cohere_chat").watch()
    watch.see(wire.end(reason).partition(b"data: ")[2])
    assert (watch.done, watch.failed) == (False, True)


def test_a_whole_answer_in_our_words() -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Blue"}],
        "citations": [
            {"start": 0, "end": 4, "text": "Blue", "sources": [SOURCE], "content_index": 1, "type": "TEXT_CONTENT"},
            {"start": 0, "end": 2, "text": "Hm", "sources": [SOURCE], "content_index": 0, "type": "THINKING_CONTENT"},
        ],
    }
    logprobs = [{"text": "Blue", "token_ids": [4], "logprobs": [-0.5]}]
    body = json.dumps(wire.answer(message=message, logprobs=logprobs, finish_reason="STOP_SEQUENCE")).encode()
    answer = PROVIDER.read(body, CHAT)
    [choice] = answer.choices
    thought, text = choice.content
    assert thought == Thinking(text="Hm.")
    assert isinstance(text, Text)
    [cited] = text.citations
    assert (cited.text, cited.title, cited.end) == ("blue", "Sky", 4)
    assert choice.finish == "stop_sequence"
    assert choice.logprobs["content"][0] == {
        "token": "Blue", "logprob": -0.5, "bytes": list(b"Blue"), "top_logprobs": []
    }  # fmt: skip
    assert answer.usage == Usage(5, 2, cached=3)
    again = json.loads(CLIENT.write(answer, CHAT))
    assert again["message"]["citations"] == [message["citations"][0]]
    assert again["message"]["content"] == message["content"]


def test_a_conversation_in_cohere_s_words() -> None:
    chat = Chat(
        messages=[
            Message(role="developer", content=[Text(text="Be brief.")]),
            Message(
                role="user",
                content=[
                    Text(text="a"),
                    Media(kind="image", url="https://x.example/a.png", detail="high"),
                    Media(kind="document", text="It rains.", name="Weather", context="today"),
                ],
            ),
            Message(
                role="assistant",
                content=[Thinking(text="Look."), Text(text="Wait."), ToolCall(id="c", name="f", arguments="")],
            ),
            Message(
                role="tool",
                content=[
                    ToolResult(id="c", content=[Text(text="1"), Media(kind="document", text="2")]),
                    ToolResult(id="d", failed=True),
                ],
            ),
            Message(role="assistant", content=[Thinking(text="So."), Refusal(text="No.")]),
            Message(role="user", content=[Text(text="b"), Text(text="c")]),
        ],
        tools=[Tool(name="f", strict=True), Tool(name="g", parameters={"type": "object"}, description="G")],
        tool_choice=ToolChoice(mode="tool", names=("f",)),
        extra={"documents": ["own"], "citation_options": {"mode": "OFF"}, "priority": 1},
        presence_penalty=0.5,
        logprobs=True,
        reasoning=Reasoning(effort="none"),
    )
    assert written(chat, THINKER) == {
        "model": "command-a-reasoning-08-2025",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "tool_plan": "Look.",
                "content": "Wait.",
            },
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [
                    {"type": "text", "text": "1"},
                    {"type": "document", "document": {"id": "doc-1", "data": {"text": "2"}}},
                ],
            },
            {"role": "tool", "tool_call_id": "d", "content": "The tool failed."},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "So."}, {"type": "text", "text": "No."}],
            },
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "strict_tools": True,
        "tool_choice": "REQUIRED",
        "documents": ["own", {"id": "doc-0", "data": {"text": "It rains.", "title": "Weather", "context": "today"}}],
        "citation_options": {"mode": "OFF"},
        "priority": 1,
        "presence_penalty": 0.5,
        "logprobs": True,
        "thinking": {"type": "disabled"},
    }


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"n": 2}, "n"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"min_p": 0.1}, "min_p"),
        ({"frequency_penalty": 1.5}, "frequency_penalty"),
        ({"extra": {"unknown": 1}}, "unknown"),
        ({"tools": [Tool(name="f", custom=True)]}, "tools"),
        ({"tools": [Tool(name="s", dialect="anthropic", native={})]}, "tools"),
        ({"tools": [Tool(name="f")], "format": Format(schema={"type": "object"})}, "response_format"),
        ({"messages": [Message(role="user", content=[Native(dialect="gemini", value={})])]}, "messages"),
    ],
)
def test_what_it_has_not_is_refused_or_left_out(changes: dict[str, Any], param: str) -> None:
    chat = msgspec.structs.replace(user(), **changes)
    with pytest.raises(BadRequest) as raised:
        PROVIDER.write(chat, COMMAND, Fit("cohere"))
    assert raised.value.param == param
    fit = Fit("cohere", tolerant=True)
    sent = written(chat, fit=fit)
    assert fit.dropped == [param]
    assert param == "messages" or sent.keys() <= {"model", "messages"} | ({"tools"} & changes.keys())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Media(kind="audio", data="AA", media_type="audio/wav"), "This model takes no audio"),
        (Media(kind="document", data="AA", media_type="application/pdf"), "This model takes no document"),
        (Media(kind="image", file_id="f"), "This model takes no image"),
    ],
)
def test_media_it_cannot_see(block: Media, message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        PROVIDER.write(user(block), COMMAND, Fit("cohere", tolerant=True))
    assert raised.value.message.startswith(message)


def test_thinking_is_for_models_that_can() -> None:
    chat = msgspec.structs.replace(user(), reasoning=Reasoning(effort="high"))
    fit = Fit("cohere")
    assert "thinking" not in written(chat, fit=fit)
    assert fit.dropped == ["reasoning_effort"]
    assert written(chat, THINKER)["thinking"] == {"type": "enabled", "token_budget": 4096}
    chat.reasoning = Reasoning(adaptive=True)
    assert written(chat, THINKER)["thinking"] == {"type": "enabled"}


def test_documents_that_are_none() -> None:
    chat = msgspec.structs.replace(user(Media(kind="document", text="x")), extra={"documents": 5})
    with pytest.raises(BadRequest) as raised:
        PROVIDER.write(chat, COMMAND, Fit("cohere"))
    assert raised.value.param == "documents"


# --- the client's side


def test_a_request_in_our_words() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    chat = CLIENT.read(
        json.dumps(
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "x"},
                    {
                        "role": "assistant",
                        "tool_plan": "Plan.",
                        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    },
                    {
                        "role": "tool",
                        "tool_call_id": "c",
                        "content": [{"type": "document", "document": {"data": '{"a": 1}'}}],
                    },
                    {"role": "user", "content": [{"type": "text", "text": "y"}, image]},
                ],
                "documents": ["plain", {"id": "d", "data": {"title": "T", "text": "t"}}, {"data": {"k": 1}}],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
                "strict_tools": True,
                "tool_choice": "NONE",
                "response_format": {"type": "json_object"},
                "thinking": {"type": "enabled", "token_budget": 99},
                "k": 0,
                "safety_mode": "OFF",
                "mock_response": "m",
                "made_up": 1,
            }
        ).encode()
    )
    assert chat.messages[1].content == [Thinking(text="Plan."), ToolCall(id="c", name="f", arguments="{}")]
    assert chat.messages[2].content == [ToolResult(id="c", content=[Text(text='{"a": 1}')])]
    documents = chat.messages[3].content[:3]
    assert [(found.text, found.name, found.cited) for found in documents if isinstance(found, Media)] == [
        ("plain", "", True), ("t", "T", True), ('{"k":1}', "", True)
    ]  # fmt: skip
    assert chat.messages[3].content[4] == Media(kind="image", media_type="image/png", data="AAAA", detail="low")
    assert (chat.tools[0].strict, chat.tool_choice) == (True, ToolChoice(mode="none"))
    assert chat.format == Format()
    assert chat.reasoning == Reasoning(budget=99)
    assert (chat.top_k, chat.hints, chat.extra) == (None, ("safety_mode",), {"made_up": 1})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"[" * 100_000, None),
        (b'{"messages":[]}', "messages"),
        (b'{"messages":[{"role":"alien"}]}', "messages[0].role"),
        (b'{"messages":[{"role":"tool","content":"x"}]}', "messages[0].tool_call_id"),
        (b'{"messages":[{"role":"user","content":[{"type":"video"}]}]}', "messages[0].content"),
        (b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}',
         "messages[0].content"),
    ],
)  # fmt: skip
def test_requests_that_are_none(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as raised:
        CLIENT.read(body)
    assert raised.value.param == param


def streamed(*found: Delta) -> list[dict[str, Any]]:
    """Events of a stream, each once the SDK's type of its name has taken it."""
    writer = CLIENT.writer(CHAT, "m")
    data = b"".join(writer.write(delta) for delta in (Started(id="i"), *found, Finished(reason="tool_calls"), Ended()))
    events = [json.loads(raw.partition(b"data: ")[2]) for raw in data.split(b"\n\n")[:-1]]
    for event in events[1:]:  # the SDK's type of the first has less than the API's reference
        wire.event(event["type"], **{name: value for name, value in event.items() if name != "type"})
    return events


def test_calls_that_run_beside_each_other_are_told_one_after_the_other() -> None:
    events = streamed(
        TextDelta(text="x"),
        ToolStarted(index=0, id="a", name="f"),
        ToolDelta(index=0, arguments='{"p":'),
        ToolStarted(index=1, id="b", name="g"),
        ToolDelta(index=1, arguments="{}"),
        ToolDelta(index=0, arguments="1}"),
        ToolStarted(index=2, id="c", name="h"),
        ToolDelta(index=2, arguments="{"),
    )
    kinds = [(event["type"], event.get("index")) for event in events]
    assert kinds == [
        ("message-start", None),
        ("content-start", 0),
        ("content-delta", 0),
        ("content-end", 0),
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
        ("tool-call-start", 2),
        ("tool-call-delta", 2),
        ("tool-call-end", 2),
        ("message-end", None),
    ]


def test_what_else_a_stream_may_bring() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -0.25}]}
    events = streamed(
        ThinkingDelta(text="Hm."),
        ThinkingDelta(signature="anthropic#x"),
        TextDelta(text="ab", logprobs=logprobs),
        TextDelta(text="other", choice=1),
        CitationDelta(citation=Citation(url="https://x.example", title="X", text="q", start=0, end=2)),
        MediaDelta(media=Media(kind="image", data="AA")),
        TextDelta(text=""),
    )
    assert [event["type"] for event in events] == [
        "message-start", "content-start", "content-delta", "content-end", "content-start", "content-delta",
        "content-delta", "citation-start", "citation-end", "content-end", "message-end",
    ]  # fmt: skip
    assert events[5]["logprobs"] == {"text": "a", "token_ids": [], "logprobs": [-0.5]}
    assert events[6]["logprobs"] == {"text": "b", "token_ids": [], "logprobs": [-0.25]}
    cited = events[7]["delta"]["message"]["citations"]
    assert cited["sources"][0]["document"] == {"title": "X", "url": "https://x.example", "text": "q"}
    assert cited["content_index"] == 1


def test_whole_answers_are_what_the_sdk_reads() -> None:
    content: list[Any] = [
        Thinking(text="Hm."),
        Text(text="Hi", citations=[Citation(url="u", text="q")]),
        Refusal(text="No."),
    ]
    logprobs = {"content": [{"token": "Hi", "logprob": -1.0}]}
    answer = Answer(id="i", choices=[Choice(content=content, finish="length", logprobs=logprobs)], usage=Usage(3, 4, 1))
    body = json.loads(CLIENT.write(answer, CHAT))
    wire.same(v2.V2ChatResponse, body)
    assert [part["type"] for part in body["message"]["content"]] == ["thinking", "text", "text"]
    assert body["message"]["citations"][0]["content_index"] == 1
    assert body["usage"]["cached_tokens"] == 1
    calls = [Thinking(text="Plan."), ToolCall(id="c", name="f", arguments="{}")]
    body = json.loads(CLIENT.write(Answer(choices=[Choice(content=calls, finish="tool_calls")]), CHAT))
    wire.same(v2.V2ChatResponse, body)
    assert (body["finish_reason"], body["message"]["tool_calls"][0]["id"]) == ("TOOL_CALL", "c")


@pytest.mark.parametrize(
    "finish", ["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause"]
)
def test_every_finish_has_a_name(finish: Any) -> None:
    body = json.loads(CLIENT.write(Answer(choices=[Choice(content=[], finish=finish)]), CHAT))
    wire.same(v2.V2ChatResponse, body)
    assert body["finish_reason"].isupper()


# --- errors


def test_errors_in_cohere_s_words() -> None:
    error = BadRequest("No.", param="k", code="invalid_value")
    body = json.loads(dialect.error_body(error))
    assert (body["message"], body["error"]["param"]) == ("No.", "k")
    for failure, reason in ((GatewayError("Odd."), "ERROR"), (UpstreamTimeout("Late."), "TIMEOUT")):
        event = json.loads(CLIENT.writer(CHAT, "m").fail(failure).partition(b"data: ")[2])
        assert event == {"type": "message-end", "delta": {"error": failure.message, "finish_reason": reason}}


def test_errors_that_mean_more_than_they_say() -> None:
    def read(status: int, message: str) -> UpstreamError:
        body = json.dumps({"id": "x", "message": message}).encode()
        return dialect.from_answer(status, body, provider="cohere", retry_after=None)

    error = read(498, "invalid api token")
    assert (error.status, error.class_name, error.elsewhere) == (401, "AuthenticationError", True)
    error = read(400, "too many tokens: size limit exceeded by 11326 tokens.")
    assert (error.fallback, error.code) == ("context_window", "context_length_exceeded")
    error = read(429, "You are using a Trial key")
    assert (error.retryable, error.class_name) == (True, "RateLimitError")


# --- embeddings, reranking


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"images": ["data:x"]}, "images"),
        ({"texts": []}, "texts"),
        ({}, "texts"),
        ({"texts": ["a"], "embedding_types": ["ubinary"]}, "embedding_types"),
        ({"texts": ["a"], "embedding_types": ["float", "base64"]}, "embedding_types"),
        ({"inputs": [{"content": [{"type": "image_url"}]}]}, "inputs"),
        ({"texts": [1]}, "texts[0]"),
    ],
)
def test_embeddings_that_cannot_be_had(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        CohereEmbedClient().read_embed(json.dumps({"input_type": "classification", **body}).encode())
    assert raised.value.param == param


def test_embeddings_that_are_too_few() -> None:
    embed = Embed(inputs=["a", "b"])
    with pytest.raises(UpstreamError):
        CohereEmbedProvider().read_embed(b'{"embeddings":{"float":[[1]]}}', embed)
    with pytest.raises(UpstreamError):
        TeiProvider().read_embed(b"[[1]]", embed)
    with pytest.raises(BadRequest):
        CohereEmbedProvider().write_embed(Embed(inputs=[[1, 2]]), COMMAND, Fit("cohere"))
    found = CohereEmbedProvider().read_embed(b'{"embeddings":{"float":[[1],[2]]}}', embed)
    assert found.usage is not None
    assert found.usage.estimated


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=5),
    st.none() | st.integers(1, 6),
    st.data(),
)
def test_rankings_are_in_order_whatever_the_provider_s(
    documents: list[str], top_n: int | None, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(documents))))
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(documents), max_size=len(documents)))
    rerank = Rerank(query="q", documents=documents, top_n=top_n)
    results = [{"index": index, "relevance_score": scores[index]} for index in order]
    for reader, body in (
        (Reranker(cuts_documents=True), {"results": results}),
        (Reranker(cuts_documents=False), {"data": results, "usage": {"total_tokens": 5}}),
        (TeiProvider(), [{"index": index, "score": scores[index]} for index in order]),
    ):
        found = reader.read_rerank(json.dumps(body).encode(), rerank)
        assert [score for _, score in found.results] == sorted(scores, reverse=True)[:top_n]
        assert all(scores[index] == score for index, score in found.results)
        assert found.usage is not None
        assert found.usage.units == 1
        answer = json.loads(RerankClient().write_rerank(found, rerank))
        wire.same(v2.V2RerankResponse, {"id": "", "results": answer["results"]})


# --- whatever comes

NAMES = [
    "type", "index", "id", "delta", "message", "content", "text", "thinking", "tool_calls", "tool_plan", "citations",
    "function", "name", "arguments", "finish_reason", "usage", "billed_units", "tokens", "input_tokens", "logprobs",
    "sources", "document", "documents", "messages", "role", "texts", "query", "results", "data", "relevance_score",
    "embeddings", "float", "meta", "error", "image_url", "url", "tools", "response_format", "inputs",
]  # fmt: skip
WORDS = [
    "message-start", "content-delta", "tool-call-start", "tool-call-delta", "citation-start", "message-end", "text",
    "user", "tool", "assistant", "ERROR", "COMPLETE", "document", "image_url", "data:image/png;base64,AA",
    "json_object",
]  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**30) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
bodies = st.builds(lambda value: json.dumps(value).encode(), anything) | st.binary(max_size=30)


@given(bodies)
def test_odd_bodies_are_answers_or_errors(body: bytes) -> None:
    embed, rerank = Embed(inputs=["a"]), Rerank(query="q", documents=["d"])
    face = dialect.CohereFace("rerank")
    for read in (
        lambda: PROVIDER.read(body, CHAT),
        lambda: CohereEmbedProvider().read_embed(body, embed),
        lambda: TeiProvider().read_embed(body, embed),
        lambda: TeiProvider().read_rerank(body, rerank),
        lambda: Reranker(cuts_documents=True).read_rerank(body, rerank),
        lambda: face.read_answer(body),
        lambda: dialect.CohereWatch().see(body),
    ):
        try:
            read()
        except (msgspec.DecodeError, UnicodeDecodeError, UpstreamError):
            pass
    dialect.from_answer(400, body, provider="cohere", retry_after=None)


@given(bodies)
def test_odd_requests_are_requests_or_refused(body: bytes) -> None:
    for read in (
        CLIENT.read,
        CohereEmbedClient().read_embed,
        RerankClient().read_rerank,
        *(dialect.CohereFace(endpoint).peek for endpoint in ("cohere_chat", "cohere_embed", "rerank")),
    ):
        try:
            read(body)
        except BadRequest:
            pass


@given(st.lists(bodies, max_size=4))
def test_odd_streams_are_read_or_told(payloads: list[bytes]) -> None:
    reader = PROVIDER.reader(CHAT)
    found: list[Delta] = []
    try:
        for payload in payloads:
            found += reader.feed(b"data: %b\n\n" % payload.replace(b"\n", b"").replace(b"\r", b""))
        found += reader.finish()
    except UpstreamError:
        pass
    assert all(isinstance(delta, Started) == (at == 0) for at, delta in enumerate(found))
    assert all(isinstance(delta, Ended) <= (at == len(found) - 1) for at, delta in enumerate(found))
