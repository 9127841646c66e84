"""What a client asks for stands in the provider's body, or is refused or left out by name: never lost in silence."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from wishes import PNG, SCHEMA, WISHES, chat, messages, shows

from routeiq.core.errors import BadRequest
from routeiq.core.snapshot import CHAT, MESSAGES
from routeiq.providers.translate.chat import Chat, Finished, Format, TextDelta, ToolCall, ToolStarted
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.freetext import as_functions, text_tools
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS
from routeiq.providers.translate.structured import ANSWER_TOOL

PROVIDERS: dict[str, tuple[str, Context]] = {
    "openai": ("openai", Context(provider="openai", model="gpt-4.1")),
    "gpt-5": ("openai", Context(provider="openai", model="gpt-5.1")),
    "vllm": ("openai", Context(provider="vllm", model="qwen", options={"reasoning_field": "reasoning_content"})),
    "deepseek": ("openai", Context(provider="deepseek", model="v3", options={"no_json_schema": "true"})),
    "anthropic": ("anthropic", Context(provider="anthropic", model="claude-sonnet-4-5")),
    "claude-3": ("anthropic", Context(provider="anthropic", model="claude-3-5-sonnet")),
    "gemini": ("gemini", Context(provider="gemini", model="gemini-2.5-flash")),
    "vertex": ("gemini", Context(provider="vertex_ai", model="gemini-3-pro")),
    "bedrock": ("bedrock", Context(provider="bedrock", model="anthropic.claude-sonnet-4-5-v1:0")),
    "nova": ("bedrock", Context(provider="bedrock", model="amazon.nova-pro-v1:0")),
    "cohere": ("cohere", Context(provider="cohere", model="command-a-03-2025")),
    "ollama": ("ollama", Context(provider="ollama", model="llama3.2")),
    "watsonx": ("watsonx", Context(provider="watsonx", model="ibm/granite-3")),
    "sagemaker": ("sagemaker", Context(provider="sagemaker_chat", model="endpoint")),
    "sagemaker_text": ("sagemaker_text", Context(provider="sagemaker", model="endpoint")),
    "replicate": ("replicate", Context(provider="replicate", model="meta/meta-llama-3-70b-instruct")),
}

CELLS = [(wish, client) for wish, found in WISHES.items() for client in found.bodies]
ALL = ("stop", "document of text", "many parts", "tools", "calls and results", "assistant first and last")
"""Wishes all of whose words must arrive; of the others one will do."""


def sent(client: str, provider: str, body: dict[str, Any], fit: Fit) -> str | BadRequest:
    """What the provider is told, with the client's custom tools as the pipeline hands them on, or why it is not."""
    dialect, context = PROVIDERS[provider]
    asked = CHAT_CLIENTS[client if client in CHAT_CLIENTS else CHAT].read(json.dumps(body).encode())
    if text_tools(asked):
        asked = as_functions(asked)
    try:
        outgoing = CHAT_PROVIDERS[dialect].write(asked, context, fit)
    except BadRequest as error:
        return error
    return (outgoing.body + outgoing.headers).decode()


@pytest.mark.parametrize("tolerant", [False, True], ids=["strict", "tolerant"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("wish", "client"), CELLS)
def test_nothing_is_lost_in_silence(wish: str, client: str, provider: str, tolerant: bool) -> None:
    asked = WISHES[wish]
    fit = Fit(PROVIDERS[provider][1].provider, tolerant=tolerant)
    body = sent(client, provider, asked.bodies[client], fit)
    if isinstance(body, BadRequest):
        assert body.param, body.message
        assert body.param in asked.names, body.message
        assert not tolerant or body.code != "unsupported_parameter"
        return
    arrived = [word in body for word in asked.words]
    if all(arrived) if wish in ALL else any(arrived):
        return
    assert set(fit.dropped) & set(asked.names), (fit.dropped, body)


LONG = "toolu_" + "x" * 70
ODD = ["functions.weather:0", LONG, "call_kept"]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "bedrock", "gemini", "cohere", "watsonx"])
@pytest.mark.parametrize("ident", ODD)
def test_a_result_still_answers_its_call(provider: str, ident: str) -> None:
    """Ids that a provider would refuse are changed, in the call and in its result alike."""
    call = {"id": ident, "type": "function", "function": {"name": "kept_tool", "arguments": "{}"}}
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]}]
    body = sent(CHAT, provider, chat(*said, {"role": "tool", "tool_call_id": ident, "content": "ok"}), Fit(provider))
    assert isinstance(body, str)
    fits = {"openai": r".{1,40}", "anthropic": r"[a-zA-Z0-9_-]+", "bedrock": r"[a-zA-Z0-9_.:-]{1,64}"}
    names = r'"(?:id|tool_call_id|tool_use_id|toolUseId)":"([^"]*)"'
    found = re.findall(names, body)
    assert len(found) == 2
    assert found[0] == found[1]
    assert re.fullmatch(fits.get(provider, ".*"), found[0])


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_claude_is_given_no_white_space(provider: str) -> None:
    """Neither as a text of its own, nor at the end of an answer that was begun for it."""
    said = [
        shows({"type": "text", "text": " \n"}, {"type": "text", "text": "hi"}),
        {"role": "assistant", "content": "So: "},
    ]
    body = sent(CHAT, provider, chat(*said), Fit(provider))
    assert isinstance(body, str)
    texts = re.findall(r'"text":"([^"]*)"', body)
    assert texts == ["hi", "So:"]


@pytest.mark.parametrize("tolerant", [False, True])
def test_more_stop_sequences_than_it_takes(tolerant: bool) -> None:
    body = sent(MESSAGES, "openai", messages(stop_sequences=list("abcde")), Fit("openai", tolerant=tolerant))
    if tolerant:
        assert isinstance(body, str)
        assert json.loads(body)["stop"] == list("abcd")
    else:
        assert isinstance(body, BadRequest)
        assert body.param == "stop"


@pytest.mark.parametrize("tier", ["auto", "standard_only"])
def test_tiers_of_anthropics_clients_are_openais(tier: str) -> None:
    body = sent(MESSAGES, "openai", messages(service_tier=tier), Fit("openai"))
    assert isinstance(body, str)
    assert json.loads(body)["service_tier"] == {"auto": "auto", "standard_only": "default"}[tier]


def test_calls_without_ids_get_some_of_their_own() -> None:
    """In one answer and over several: whole and streamed, no two calls are taken for the same."""
    provider = CHAT_PROVIDERS["openai"]
    calls = [{"index": at, "function": {"name": "f", "arguments": "{}"}} for at in range(2)]
    seen = []
    for ident in ("one", "two"):
        whole = {"id": ident, "choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
        answer = provider.read(json.dumps(whole).encode(), Chat(messages=[]))
        made = [block.id for block in answer.choices[0].content if isinstance(block, ToolCall)]
        chunk = {"id": ident, "choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
        deltas = provider.reader(Chat(messages=[])).feed(b"data: %b\n\n" % json.dumps(chunk).encode())
        assert [delta.id for delta in deltas if isinstance(delta, ToolStarted)] == made
        seen += made
    assert len(set(seen)) == 4


@pytest.mark.parametrize("pieces", [["I shall answer now.", ""], ["", " Well: "], ["\n"]])
def test_words_before_a_structured_answer_are_no_part_of_it(pieces: list[str]) -> None:
    wanted = Chat(messages=[], format=Format(schema={"type": "object"}))
    call = {"index": 0, "id": "c", "function": {"name": ANSWER_TOOL, "arguments": '{"a":1}'}}
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    reader = CHAT_PROVIDERS["openai"].reader(wanted)
    deltas = reader.feed(b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in [*chunks, {}]))
    deltas += reader.feed(b"data: [DONE]\n\n")
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == '{"a":1}'
    assert [delta.reason for delta in deltas if isinstance(delta, Finished)] == ["stop"]


def test_an_answer_that_is_text_is_shown_where_a_tool_was_not_called() -> None:
    reader = CHAT_PROVIDERS["openai"].reader(Chat(messages=[], format=Format()))
    shown = [delta for piece in ('{"a"', ":1}") for delta in reader.feed(_said(piece)) if isinstance(delta, TextDelta)]
    assert [delta.text for delta in shown] == ['{"a"', ":1}"]
    reader = CHAT_PROVIDERS["openai"].reader(Chat(messages=[], format=Format()))
    assert not any(isinstance(delta, TextDelta) for delta in reader.feed(_said("I can't.")))
    assert [delta.text for delta in reader.feed(b"data: [DONE]\n\n") if isinstance(delta, TextDelta)] == ["I can't."]


def _said(text: str) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": text}}]}).encode()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((rb"a\ud83d", rb"\ude80b"), "a\U0001f680b"),
        ((rb"a\uD83D", rb"", rb"\uDE80"), "a\U0001f680"),
        ((rb"\ude80b",), "\ufffdb"),
        ((rb"\ud83d", rb"\ud83d\ude80"), "\U0001f680"),
        ((rb"\\ud83d\ud83d", rb"\ude80"), "\\ud83d\U0001f680"),
    ],
)
def test_characters_cut_in_two(pieces: tuple[bytes, ...], text: str) -> None:
    reader = CHAT_PROVIDERS["openai"].reader(Chat(messages=[]))
    stream = b"".join(b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % piece for piece in pieces)
    assert "".join(delta.text for delta in reader.feed(stream) if isinstance(delta, TextDelta)) == text


def test_what_only_anthropics_tools_have_is_named() -> None:
    tool = {"name": "t", "input_schema": SCHEMA, "input_examples": [{"kept_city": "Oslo"}]}
    fit = Fit("openai")
    sent(MESSAGES, "openai", messages(tools=[tool]), fit)
    assert fit.dropped == ["tools.input_examples"]


def test_pictures_called_jpg_are_jpeg() -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}}
    body = sent(CHAT, "anthropic", chat(shows(picture)), Fit("anthropic"))
    assert isinstance(body, str)
    assert '"media_type":"image/jpeg"' in body
