"""Answers in every client's dialect, whole and streamed: both say the same, and all that the dialect has room for."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from routeiq.core.snapshot import CHAT, COHERE_CHAT, COMPLETION, GENERATE, GENERATE_ARRAY, MESSAGES, RESPONSES
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    FinishReason,
    Reasoning,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolDelta,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS
from routeiq.providers.translate.whole import told

CHAT_ASKED = Chat(messages=[], include_usage=True, reasoning=Reasoning(effort="high"))
READ_BY = {CHAT: "openai", MESSAGES: "anthropic", GENERATE: "gemini", COHERE_CHAT: "cohere"}
"""Dialects in which the provider's side can read what the client's side wrote."""
LOGPROBS = {
    "content": [
        {"token": "Hö", "logprob": -0.5, "bytes": [72, 195, 182], "top_logprobs": [{"token": "Hö", "logprob": -0.5}]},
        {"token": "h.", "logprob": -0.25, "bytes": [104, 46], "top_logprobs": [{"token": "h.", "logprob": -0.25}]},
    ],
    "refusal": None,
}
CALLS: list[Any] = [
    ToolCall(id="call_one", name="weather", arguments='{"city":"Zürich ☃"}'),
    ToolCall(id="call_two", name="clock", arguments='{"n":123456789012345678901234567890}'),
]
USAGE = Usage(prompt=100, completion=50, cached=30, written=20, reasoning=10)
SOURCE = Citation(url="https://a.example/x", title="A", start=0, end=2)
FINISHES: tuple[FinishReason, ...] = ("stop", "stop_sequence", "length", "content_filter", "refusal", "pause")


def answer(*content: Any, finish: FinishReason = "stop", **more: Any) -> Answer:
    choice = Choice(content=list(content), finish=finish, logprobs=more.pop("logprobs", None))
    return Answer(id="a1", model="m", created=5, choices=[choice], usage=more.pop("usage", USAGE), **more)


ANSWERS: dict[str, Answer] = {
    "text": answer(Text(text="Höh. ")),
    "nothing": answer(),
    "thought": answer(Thinking(text="Hm"), Text(text="Höh.")),
    "proven thought": answer(Thinking(text="Hm", signature="anthropic#c2ln"), Text(text="Höh.")),
    "calls": answer(*CALLS, finish="tool_calls"),
    "text and calls": answer(Text(text="Höh."), *CALLS, finish="tool_calls"),
    "a call without arguments": answer(ToolCall(id="c", name="f", arguments="{}"), finish="tool_calls"),
    "refusal": answer(Refusal(text="No."), finish="refusal"),
    "blocked": answer(Refusal(text="Blocked."), finish="content_filter"),
    "log probabilities": answer(Text(text="Höh."), logprobs=LOGPROBS),
    "source": answer(Text(text="Höh.", citations=[SOURCE])),
    "tier": answer(Text(text="Höh."), service_tier="priority"),
    "choices": Answer(
        id="a1",
        model="m",
        created=5,
        choices=[
            Choice(index=0, content=[Text(text="one"), *CALLS[:1]], finish="tool_calls"),
            Choice(index=1, content=[Thinking(text="Hm"), Text(text="two"), *CALLS[1:]], finish="tool_calls"),
        ],
        usage=USAGE,
    ),
    **{f"ended by {finish}": answer(Text(text="Höh."), finish=finish) for finish in FINISHES},
    "ended by refusal, silent": answer(finish="refusal"),
}


def gathered(deltas: list[Delta]) -> Answer:
    """The answer that a stream tells."""
    out = Answer(choices=[])
    choices: dict[int, Choice] = {}
    calls: dict[tuple[int, int], ToolCall] = {}
    assert isinstance(deltas[0], Started)
    assert isinstance(deltas[-1], Ended)
    for delta in deltas:
        at = getattr(delta, "choice", 0)
        choice = choices.setdefault(at, Choice(index=at, content=[]))
        last = choice.content[-1] if choice.content else None
        if isinstance(delta, Started):
            out.id, out.model, out.service_tier, out.usage = delta.id, delta.model, delta.service_tier, delta.usage
        elif isinstance(delta, TextDelta):
            if delta.logprobs is not None:
                choice.logprobs = choice.logprobs or {"content": []}
                choice.logprobs["content"] += delta.logprobs["content"]
            if isinstance(last, Text):
                last.text += delta.text
            elif delta.text:
                choice.content.append(Text(text=delta.text))
        elif isinstance(delta, ThinkingDelta):
            if not isinstance(last, Thinking):
                last = Thinking()
                choice.content.append(last)
            last.text += delta.text
            last.signature, last.redacted = delta.signature or last.signature, delta.redacted or last.redacted
        elif isinstance(delta, RefusalDelta):
            choice.content.append(Refusal(text=delta.text))
        elif isinstance(delta, CitationDelta):
            assert isinstance(last, Text)
            last.citations = [*last.citations, delta.citation]
        elif isinstance(delta, ToolStarted):
            calls[at, delta.index] = ToolCall(id=delta.id, name=delta.name, arguments="", custom=delta.custom)
            choice.content.append(calls[at, delta.index])
        elif isinstance(delta, ToolDelta):
            calls[at, delta.index].arguments += delta.arguments
        elif isinstance(delta, Finished):
            choice.finish, choice.stop_sequence = delta.reason, delta.stop_sequence
        elif isinstance(delta, Used):
            out.usage, out.service_tier = delta.usage, delta.service_tier or out.service_tier
    out.choices = [choices[at] for at in sorted(choices)]
    return out


def streamed(client: str, said: Answer) -> bytes:
    writer = CHAT_CLIENTS[client].writer(CHAT_ASKED, "m")
    return b"".join(writer.write(delta) for delta in told(said))


def essence(said: Answer) -> Any:
    """An answer as far as it must be the same whole and streamed."""
    for choice in said.choices:
        for block in choice.content:
            if isinstance(block, ToolCall):
                block.arguments = json.dumps(json.loads(block.arguments or "{}"))
        if isinstance(choice.logprobs, dict):
            choice.logprobs = [(token["token"], token["logprob"]) for token in choice.logprobs["content"]]
    choices = [
        (choice.index, choice.finish, choice.stop_sequence, choice.logprobs, [repr(block) for block in choice.content])
        for choice in said.choices
    ]
    return {"id": said.id, "choices": choices, "usage": said.usage, "tier": said.service_tier}


@pytest.mark.parametrize("client", READ_BY)
@pytest.mark.parametrize("name", ANSWERS)
def test_whole_and_streamed_say_the_same(client: str, name: str) -> None:
    said = ANSWERS[name]
    provider = CHAT_PROVIDERS[READ_BY[client]]
    whole = provider.read(CHAT_CLIENTS[client].write(said, CHAT_ASKED), CHAT_ASKED)
    reader = provider.reader(CHAT_ASKED)
    stream = gathered(reader.feed(streamed(client, said)) + reader.finish())
    assert essence(stream) == essence(whole)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_response_is_the_same_whole_and_streamed(name: str) -> None:
    said = ANSWERS[name]
    whole = json.loads(CHAT_CLIENTS[RESPONSES].write(said, CHAT_ASKED))
    last = streamed(RESPONSES, said).strip().split(b"\n\n")[-1]
    assert json.loads(last.partition(b"data: ")[2])["response"] == whole


@pytest.mark.parametrize("name", ANSWERS)
def test_a_completion_is_the_same_whole_and_streamed(name: str) -> None:
    said = ANSWERS[name]
    whole = json.loads(CHAT_CLIENTS[COMPLETION].write(said, CHAT_ASKED))
    found: dict[int, dict[str, Any]] = {}
    events = [line.removeprefix(b"data: ") for line in streamed(COMPLETION, said).split(b"\n\n") if line]
    assert events[-1] == b"[DONE]"
    for event in events[:-1]:
        chunk = json.loads(event)
        for piece in chunk["choices"]:
            choice = found.setdefault(piece["index"], {"index": piece["index"], "text": "", "logprobs": None})
            choice["text"] += piece["text"]
            choice["logprobs"] = piece["logprobs"] or choice["logprobs"]
            choice["finish_reason"] = piece["finish_reason"]
    assert list(found.values()) == whole["choices"]
    assert chunk["usage"] == whole["usage"]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_array_says_what_events_say(name: str) -> None:
    events = streamed(GENERATE, ANSWERS[name]).strip().split(b"\r\n\r\n")
    assert json.loads(streamed(GENERATE_ARRAY, ANSWERS[name])) == [
        json.loads(event.removeprefix(b"data: ")) for event in events
    ]


@pytest.mark.parametrize("client", [CHAT, MESSAGES, GENERATE, COHERE_CHAT, RESPONSES, COMPLETION])
def test_what_stopped_it_is_told(client: str) -> None:
    """A refusal or a block never looks like an answer that came to its end."""
    codec = CHAT_CLIENTS[client]
    usual = json.loads(codec.write(answer(Text(text="t")), CHAT_ASKED))
    for finish in ("refusal", "content_filter", "length"):
        shown = json.loads(codec.write(answer(Text(text="t"), finish=finish), CHAT_ASKED))
        assert _ending(shown) != _ending(usual), finish


def _ending(shown: dict[str, Any]) -> Any:
    choices = shown.get("choices") or shown.get("candidates") or [{}]
    ends = (shown.get("status"), shown.get("stop_reason"), shown.get("finish_reason"))
    return (*ends, choices[0].get("finish_reason"), choices[0].get("finishReason"))


@pytest.mark.parametrize(("client", "provider"), READ_BY.items())
def test_usage_is_kept(client: str, provider: str) -> None:
    said = answer(Text(text="t"))
    back = CHAT_PROVIDERS[provider].read(CHAT_CLIENTS[client].write(said, CHAT_ASKED), CHAT_ASKED)
    assert back.usage is not None
    assert (back.usage.prompt, back.usage.completion, back.usage.cached) == (100, 50, 30)
    if client in (CHAT, MESSAGES):
        assert back.usage.written == 20
    if client in (CHAT, GENERATE):
        assert back.usage.reasoning == 10


@pytest.mark.parametrize("client", [CHAT, GENERATE, COHERE_CHAT])
def test_log_probabilities_and_sources_are_kept(client: str) -> None:
    provider = CHAT_PROVIDERS[READ_BY[client]]
    body = CHAT_CLIENTS[client].write(answer(Text(text="Höh.", citations=[SOURCE]), logprobs=LOGPROBS), CHAT_ASKED)
    [choice] = provider.read(body, CHAT_ASKED).choices
    assert [(token["token"], token["logprob"]) for token in choice.logprobs["content"]] == [("Hö", -0.5), ("h.", -0.25)]
    [text] = choice.content
    assert isinstance(text, Text)
    [source] = text.citations
    assert (source.url, source.title, source.start, source.end) == ("https://a.example/x", "A", 0, 2)


@pytest.mark.parametrize("client", [CHAT, GENERATE])
def test_choices_are_kept(client: str) -> None:
    provider = CHAT_PROVIDERS[READ_BY[client]]
    reader = provider.reader(CHAT_ASKED)
    stream = gathered(reader.feed(streamed(client, ANSWERS["choices"])) + reader.finish())
    said = [[block.text for block in choice.content if isinstance(block, Text)] for choice in stream.choices]
    called = [[block.id for block in choice.content if isinstance(block, ToolCall)] for choice in stream.choices]
    assert (said, called) == ([["one"], ["two"]], [["call_one"], ["call_two"]])


@pytest.mark.parametrize("client", [MESSAGES, COHERE_CHAT, RESPONSES])
def test_only_the_first_choice_is_told_where_there_is_one(client: str) -> None:
    first = msgspec.structs.replace(ANSWERS["choices"], choices=ANSWERS["choices"].choices[:1])
    mixed = told(ANSWERS["choices"])
    writer = CHAT_CLIENTS[client].writer(CHAT_ASKED, "m")
    others = [delta for delta in mixed if getattr(delta, "choice", 0)]
    out = b""
    for delta in told(first):
        out += writer.write(delta)
        if isinstance(delta, TextDelta):
            out += b"".join(writer.write(other) for other in others)
    assert out == streamed(client, first)
