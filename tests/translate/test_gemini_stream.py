"""Gemini's streams, read; and what holds for any conversation and any chunking."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Block,
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
    Reasoning,
    RefusalDelta,
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
from routeiq.providers.translate.gemini.client import GeminiClient
from routeiq.providers.translate.gemini.provider import GeminiProvider

NOTHING = Chat(messages=[])


def event(answer: types.GenerateContentResponse) -> bytes:
    """As Google frames it."""
    return (
        b"data: " + json.dumps(answer.model_dump(mode="json", exclude_none=True, by_alias=True)).encode() + b"\r\n\r\n"
    )


def piece(*parts: types.Part, index: int | None = None, **members: Any) -> types.GenerateContentResponse:
    usage = members.pop("usage", None)
    candidate = types.Candidate(index=index, content=types.Content(role="model", parts=list(parts)), **members)
    return types.GenerateContentResponse(
        candidates=[candidate],
        usage_metadata=usage,
        model_version="gemini-2.5-flash",
        response_id="abc",
    )


def count(prompt: int, candidates: int | None = None) -> types.GenerateContentResponseUsageMetadata:
    return types.GenerateContentResponseUsageMetadata(
        prompt_token_count=prompt, candidates_token_count=candidates, total_token_count=prompt + (candidates or 0)
    )


STREAM = b"".join(
    event(answer)
    for answer in (
        piece(types.Part(text="hm", thought=True), usage=count(5)),
        piece(types.Part(text="hö"), usage=count(5, 1)),
        piece(types.Part(text="h", thought_signature=b"\x00\x01\x02"), usage=count(5, 1)),
        piece(types.Part(text="zwei"), index=1),
        piece(
            types.Part(function_call=types.FunctionCall(name="f", args={"a": [1]}), thought_signature=b"\x03\x04\x05"),
            types.Part(function_call=types.FunctionCall(id="own", name="g")),
        ),
        piece(types.Part(inline_data=types.Blob(mime_type="image/png", data=b"abc"))),
        piece(types.Part(text="!"), index=1, finish_reason=types.FinishReason.MAX_TOKENS),
        piece(
            types.Part(text=""),
            finish_reason=types.FinishReason.STOP,
            usage=count(5, 9),
            grounding_metadata=types.GroundingMetadata(
                web_search_queries=["q"],
                grounding_chunks=[
                    types.GroundingChunk(web=types.GroundingChunkWeb(uri="https://a.example", title="A"))
                ],
                grounding_supports=[
                    types.GroundingSupport(
                        segment=types.Segment(start_index=3, end_index=4, text="h"), grounding_chunk_indices=[0]
                    )
                ],
            ),
        ),
    )
)
DELTAS = [
    Started(id="abc", model="gemini-2.5-flash", usage=Usage(5, 0, estimated=True)),
    ThinkingDelta(text="hm"),
    TextDelta(text="hö"),
    Used(usage=Usage(5, 1, estimated=True)),
    TextDelta(text="h"),
    ThinkingDelta(signature="gemini#AAEC"),
    TextDelta(text="zwei", choice=1),
    ToolStarted(index=0, id="call_abc_1", name="f", signature="gemini#AwQF"),
    ToolDelta(index=0, arguments='{"a": [1]}'),
    ToolStarted(index=1, id="own", name="g"),
    ToolDelta(index=1, arguments="{}"),
    MediaDelta(media=Media(kind="image", media_type="image/png", data="YWJj")),
    TextDelta(text="!", choice=1),
    CitationDelta(citation=Citation(url="https://a.example", title="A", start=2, end=3)),
    Used(usage=Usage(5, 9, searches=1)),
    Finished(reason="tool_calls"),
    Finished(reason="length", choice=1),
    Ended(),
]


def read(data: bytes, *cuts: int) -> list[Delta]:
    reader = GeminiProvider().reader(NOTHING)
    out: list[Delta] = []
    start = 0
    for cut in (*cuts, len(data)):
        out += reader.feed(data[start:cut])
        start = cut
    return out + reader.finish()


def test_stream() -> None:
    assert read(STREAM) == DELTAS


def test_cut_at_every_byte() -> None:
    for cut in range(len(STREAM)):
        assert read(STREAM, cut) == DELTAS
    assert read(STREAM, *range(len(STREAM))) == DELTAS


def test_line_ends_of_others() -> None:
    assert read(STREAM.replace(b"\r\n", b"\n")) == DELTAS
    assert read(STREAM.rstrip()) == DELTAS


def test_a_cut_stream_does_not_end() -> None:
    half = event(piece(types.Part(text="half")))
    assert read(half) == [Started(id="abc", model="gemini-2.5-flash"), TextDelta(text="half")]
    assert read(half + b'data: {"candidates":[{"finishReason":"ST')[-1] == TextDelta(text="half")
    assert read(b"") == []
    other = event(piece(types.Part(text="whole"), index=1, finish_reason=types.FinishReason.STOP))
    assert Ended() not in read(half + other)
    assert read(half + other + event(piece(finish_reason=types.FinishReason.STOP)))[-1] == Ended()


def test_a_blocked_prompt() -> None:
    feedback = types.GenerateContentResponsePromptFeedback(
        block_reason=types.BlockedReason.PROHIBITED_CONTENT, block_reason_message="Not this."
    )
    found = read(event(types.GenerateContentResponse(prompt_feedback=feedback)))
    assert found[1:] == [RefusalDelta(text="Not this."), Finished(reason="content_filter"), Ended()]


def test_errors_in_a_stream() -> None:
    reader = GeminiProvider().reader(NOTHING)
    assert len(reader.feed(event(piece(types.Part(text="half"))))) == 2
    with pytest.raises(UpstreamError) as caught:
        reader.feed(b'data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}\r\n\r\n')
    assert (caught.value.status, caught.value.message, caught.value.retryable) == (503, "overloaded", True)
    broken = piece(finish_reason=types.FinishReason.MALFORMED_FUNCTION_CALL, finish_message="print(f(")
    for wrong in (event(broken), b"data: <html>\n\n", b"data: [1]\n\n", b'data: {"candidates":3}\n\n'):
        with pytest.raises(UpstreamError):
            GeminiProvider().reader(NOTHING).feed(wrong)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_noise_is_an_error_or_nothing(noise: bytes, cut: int) -> None:
    reader = GeminiProvider().reader(NOTHING)
    try:
        found = reader.feed(noise[:cut]) + reader.feed(noise[cut:]) + reader.finish()
    except UpstreamError:
        return
    assert Ended() not in found


# What Gemini can say, said to it and heard from it again.

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
name = st.from_regex(r"[a-z_][a-zA-Z0-9_.\-]{0,15}", fullmatch=True)
data = st.binary(min_size=1, max_size=30).map(lambda raw: base64.b64encode(raw).decode())
proof = data.map(lambda value: f"gemini#{value}")
arguments = st.dictionaries(name, st.none() | st.booleans() | st.integers(-9, 9) | text, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
inline = st.builds(
    lambda kind, of, raw: Media(
        kind=kind, media_type=f"{kind}/{of}" if kind != "document" else "application/pdf", data=raw
    ),
    st.sampled_from(["image", "audio", "video", "document"]),
    st.sampled_from(["png", "mp4", "wav"]),
    data,
)
linked = st.builds(
    lambda path: Media(kind="image", media_type="image/png", url=f"https://a.example/{path}.png"),
    name,
)
said = st.builds(lambda value: Text(text=value), text)


@st.composite
def conversations(draw: st.DrawFn) -> Chat:
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message(role="system", content=draw(st.lists(said, min_size=1, max_size=2))))
    called = 0
    for _ in range(draw(st.integers(1, 3))):
        user: list[Block] = draw(st.lists(said | inline | linked, min_size=1, max_size=3))
        messages.append(Message(role="user", content=user))
        answer: list[Block] = []
        if draw(st.booleans()):
            answer.append(Thinking(text=draw(text), signature=draw(proof)))
        answer += draw(st.lists(said, min_size=1, max_size=2))
        results: list[Block] = []
        for _ in range(draw(st.integers(0, 3))):
            called += 1
            tool = draw(name)
            signature = draw(st.just("") | proof)
            answer.append(ToolCall(id=f"id{called}", name=tool, arguments=draw(arguments), signature=signature))
            value = Text(text=draw(text.map(lambda words: "x" + words)))
            results.append(ToolResult(id=f"id{called}", name=tool, content=[value], failed=draw(st.booleans())))
        messages.append(Message(role="assistant", content=answer))
        if results:
            messages.append(Message(role="tool", content=draw(st.permutations(results))))
            messages.append(Message(role="assistant", content=[draw(said)]))
    tools = draw(
        st.lists(st.builds(lambda n, d: Tool(name=n, description=d, parameters=SCHEMA), name, text), max_size=2)
    )
    choices = st.sampled_from(
        [
            None,
            ToolChoice(mode="auto"),
            ToolChoice(mode="none"),
            ToolChoice(mode="required"),
            ToolChoice(mode="tool", names=("f",)),
            ToolChoice(mode="auto", names=("f", "g")),
        ]
    )
    return Chat(
        messages=messages,
        tools=tools,
        tool_choice=draw(choices) if tools else None,
        max_tokens=draw(st.none() | st.integers(1, 10_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 100)),
        stop=draw(st.lists(text, max_size=3)),
        seed=draw(st.none() | st.integers(0, 2**31 - 1)),
        n=draw(st.none() | st.integers(1, 4)),
        format=draw(st.sampled_from([None, Format(), Format(schema=SCHEMA, name="answer")])),
        reasoning=draw(
            st.sampled_from([None, Reasoning(budget=1000), Reasoning(adaptive=True, hidden=True), Reasoning()])
        ),
        include_usage=True,
    )


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@given(conversations())
def test_what_is_said_to_gemini_means_the_same_there(chat: Chat) -> None:
    fit = Fit("gemini")
    sent = GeminiProvider().write(chat, Context(provider="gemini", model="gemini-2.5-flash"), fit)
    assert fit.dropped == []
    assert GeminiClient().read(sent.body) == chat


@given(conversations())
def test_vertex_loses_only_ids(chat: Chat) -> None:
    sent = GeminiProvider().write(chat, Context(provider="vertex_ai", model="gemini-2.5-flash"), Fit("vertex_ai"))
    for heard, meant in zip(GeminiClient().read(sent.body).messages, chat.messages, strict=True):
        calls = [block.name for block in meant.content if isinstance(block, ToolCall)]
        assert [block.name for block in heard.content if isinstance(block, ToolCall)] == calls
        answers = sorted(
            (block.id, block.content[0].text)  # type: ignore[union-attr]
            for block in meant.content
            if isinstance(block, ToolResult)
        )
        got = [block.content[0].text for block in heard.content if isinstance(block, ToolResult)]  # type: ignore[union-attr]
        assert sorted(got) == sorted(words for _, words in answers)


deltas = st.lists(
    st.builds(TextDelta, text=text)
    | st.builds(ThinkingDelta, text=text)
    | st.builds(lambda raw: MediaDelta(media=Media(kind="image", media_type="image/png", data=raw)), data),
    max_size=6,
)


@given(deltas, st.sampled_from(["stop", "length", "content_filter"]), st.integers(1, 50))
def test_a_stream_written_is_read_the_same(pieces: list[Delta], reason: Any, step: int) -> None:
    chat = Chat(messages=[], reasoning=Reasoning())
    writer = GeminiClient().writer(chat, "m")
    told = [Started(id="r", model="up"), *pieces, Finished(reason=reason), Used(usage=Usage(3, 4)), Ended()]
    written = b"".join(writer.write(delta) for delta in told)
    found = read(written, *range(step, len(written), step))
    assert found[0] == Started(id="r", model="m", usage=None if pieces else Usage(3, 4))
    assert [delta for delta in found if not isinstance(delta, (Started, Used))] == [
        *pieces,
        Finished(reason=reason),
        Ended(),
    ]
