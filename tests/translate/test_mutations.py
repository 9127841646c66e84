"""Requests and answers that were good until something in them changed: understood or refused, never a fault of ours.

What was recorded of clients and providers is changed in one place or two, read, and written for everybody else.
"""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.scenes import Call, Say, Seen
from matrix.wires.anthropic import AnthropicWire
from matrix.wires.bedrock import BedrockWire
from matrix.wires.cohere import CohereWire
from matrix.wires.gemini import GeminiWire
from matrix.wires.openai import OpenAIWire
from matrix.wires.wire import Wire
from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.snapshot import CHAT, COHERE_CHAT, GENERATE, MESSAGES, RESPONSES
from routeiq.providers.translate.chat import Chat, Delta
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.freetext import as_functions
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS
from routeiq.providers.translate.whole import told
from support import bedrock

RECORDED = Path(__file__).parents[1] / "agents" / "requests"
MODELS = {"anthropic": "claude-opus-4-7", "gemini": "gemini-3-pro", "bedrock": "anthropic.claude-sonnet-4-5"}
SAY = Say(text=("Hello", " you"), thought="Hm.", calls=[Call("f", {"a": [1, None]}), Call("g", {})])
WIRES: dict[str, Wire] = {
    "openai": OpenAIWire(thinks_aloud=True),
    "anthropic": AnthropicWire(),
    "gemini": GeminiWire("/"),
    "bedrock": BedrockWire(),
    "cohere": CohereWire(),
}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())["body"]


REQUESTS: list[tuple[str, Any]] = [
    (MESSAGES, recorded("claude_code")),
    (MESSAGES, recorded("claude_code_title")),
    (RESPONSES, recorded("codex")),
    (CHAT, recorded("opencode")),
    (CHAT, recorded("continue_chat")),
    (
        GENERATE,
        {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "b"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "thinkingConfig": {"thinkingBudget": 5}},
        },
    ),
    (
        COHERE_CHAT,
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ]},
                {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "b"}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
            "thinking": {"type": "enabled", "token_budget": 5},
        },
    ),
]  # fmt: skip

junk = st.recursive(
    st.sampled_from([None, True, False, 0, -1, 1e300, 2**70, "", "x", "\ud83d\ude00", "{", "data:,x", [], {}]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every member and item."""
    found: list[tuple[Any, ...]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += [(*at, key), *places(item, (*at, key))]
    return found


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with something else, or nothing, in one place or two."""
    out = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        here = places(out)
        if not here:
            break
        *way, last = draw(st.sampled_from(here))
        inside = out
        for key in way:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(junk)
        else:
            del inside[last]
    return out


@pytest.mark.parametrize("number", range(len(REQUESTS)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_requests(number: int, data: st.DataObject) -> None:
    endpoint, body = REQUESTS[number]
    sent = json.dumps(data.draw(changed(body))).encode()
    try:
        chat = CHAT_CLIENTS[endpoint].read(sent)
    except BadRequest:
        return
    for dialect, codec in CHAT_PROVIDERS.items():
        context = Context(provider=dialect, model=MODELS.get(dialect, "m"), options={})
        for tolerant in (True, False):
            with contextlib.suppress(BadRequest):
                json.loads(codec.write(as_functions(chat), context, Fit(dialect, tolerant=tolerant)).body)


@pytest.mark.parametrize("name", WIRES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_answers(name: str, data: st.DataObject) -> None:
    body = json.loads(WIRES[name].whole(SAY, Seen()))
    sent = json.dumps(data.draw(changed(body))).encode()
    chat = Chat(messages=[])
    try:
        answer = CHAT_PROVIDERS[name].read(sent, chat)
    except (UpstreamError, msgspec.DecodeError):
        return
    for client in CHAT_CLIENTS.values():
        written = client.write(answer, chat)
        json.loads(written)
        write(client, told(answer))


@pytest.mark.parametrize("name", WIRES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_streams(name: str, data: st.DataObject) -> None:
    events = WIRES[name].stream(SAY, Seen(stream=True))
    at = data.draw(st.integers(0, len(events) - 1))
    events[at] = frame(name, events[at], data)
    reader = CHAT_PROVIDERS[name].reader(Chat(messages=[]))
    try:
        deltas = [delta for event in events for delta in reader.feed(event)] + reader.finish()
    except UpstreamError:
        return
    for client in CHAT_CLIENTS.values():
        write(client, deltas)


def frame(name: str, event: bytes, data: st.DataObject) -> bytes:
    """One event with its JSON changed."""
    if name == "bedrock":
        [(kind, members)] = bedrock.parsed(event)[0].items()
        return bedrock.loose_event(kind, data.draw(changed(members)))
    head, _, payload = event.partition(b"data: ")
    if not payload.startswith(b"{"):
        return event
    return b"%bdata: %b\n\n" % (head, json.dumps(data.draw(changed(json.loads(payload)))).encode())


def write(client: Any, deltas: list[Delta]) -> None:
    writer = client.writer(Chat(messages=[]), "m")
    for delta in deltas:
        assert isinstance(writer.write(delta), bytes)
