"""Messages on both sides, beyond what every dialect has: held against the types of the `anthropic` SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

from matrix.scenes import Say, Seen
from matrix.server import Reply, Server
from matrix.wires.anthropic import AnthropicWire, VertexAnthropicWire
from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.anthropic.client import AnthropicClient
from routeiq.providers.translate.anthropic.provider import AnthropicProvider
from routeiq.providers.translate.chat import (
    Answer,
    CacheMark,
    Chat,
    Choice,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.openai.client import OpenAIClient
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.whole import told
from support.sdk_types import Held
from support.tokens import Asked
from support.worker import Worker

CLIENT, PROVIDER = AnthropicClient(), AnthropicProvider()
SENT = Held(MessageCreateParamsNonStreaming)
USER = Message(role="user", content=[Text(text="hi")])
OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-7"


def write(chat: Chat, model: str = OLD, **fit: Any) -> tuple[dict[str, Any], list[str]]:
    """The request, valid by the SDK's types but for what it no longer has, and what was dropped."""
    how = Fit("anthropic", **fit)
    body = json.loads(PROVIDER.write(chat, Context(provider="anthropic", model=model), how).body)
    SENT.check({name: value for name, value in body.items() if name not in ("temperature", "top_p", "top_k")})
    return body, how.dropped


@pytest.mark.parametrize("model", [NEW, "claude-fable-1", "anthropic.claude-opus-5-v1:0"])
@pytest.mark.parametrize(("name", "value"), [("temperature", 0.5), ("top_p", 0.9), ("top_k", 4)])
def test_new_models_take_no_sampling(model: str, name: str, value: float) -> None:
    chat = Chat(messages=[USER], **{name: value})  # type: ignore[arg-type]
    with pytest.raises(BadRequest) as refused:
        write(chat, model)
    assert refused.value.param == name
    body, dropped = write(chat, model, tolerant=True)
    assert name not in body
    assert dropped == [name]
    assert write(chat, OLD)[0][name] == value
    assert name not in write(Chat(messages=[USER], temperature=1, top_p=1), model)[0]


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        (OLD, Reasoning(effort="high"), {"type": "enabled", "budget_tokens": 4096}, None),
        (OLD, Reasoning(budget=2000), {"type": "enabled", "budget_tokens": 2000}, None),
        (OLD, Reasoning(effort="none"), {"type": "disabled"}, None),
        ("claude-opus-4-6", Reasoning(effort="xhigh"), {"type": "adaptive"}, "xhigh"),
        ("claude-opus-4-6", Reasoning(budget=2000), {"type": "enabled", "budget_tokens": 2000}, None),
        (NEW, Reasoning(effort="high"), {"type": "adaptive", "display": "summarized"}, "high"),
        (NEW, Reasoning(budget=2048), {"type": "adaptive", "display": "summarized"}, "medium"),
        (NEW, Reasoning(effort="low", hidden=True), {"type": "adaptive"}, "low"),
    ],
)
def test_how_much_is_thought(model: str, reasoning: Reasoning, thinking: Any, effort: str | None) -> None:
    body, _ = write(Chat(messages=[USER], reasoning=reasoning, max_tokens=9000), model)
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort


def test_a_model_that_thinks_is_asked_for_nothing_it_refuses() -> None:
    chat = Chat(
        messages=[USER],
        tools=[Tool(name="f", parameters={})],
        tool_choice=ToolChoice(mode="required"),
        temperature=0.5,
        reasoning=Reasoning(effort="high"),
        max_tokens=9000,
    )
    with pytest.raises(BadRequest):
        write(chat)
    body, dropped = write(chat, tolerant=True)
    assert set(dropped) == {"temperature", "tool_choice"}
    assert "tool_choice" not in body


def test_a_turn_whose_thoughts_were_not_kept_is_not_thought_on() -> None:
    """The API refuses it: calls must follow their thoughts."""
    turn = [
        USER,
        Message(role="assistant", content=[ToolCall(id="1", name="f", arguments="{}")]),
        Message(role="tool", content=[ToolResult(id="1", content=[Text(text="x")])]),
    ]
    chat = Chat(messages=turn, tools=[Tool(name="f")], reasoning=Reasoning(effort="high"), max_tokens=9000)
    body, dropped = write(chat)
    assert "thinking" not in body
    assert dropped == ["reasoning_effort"]
    turn[1].content.insert(0, Thinking(text="hm", signature="anthropic#c2ln"))
    assert write(chat)[0]["thinking"]["type"] == "enabled"
    turn[1].content[0] = Thinking(text="hm", signature="gemini#c2ln")  # somebody else's proof is none here
    assert "thinking" not in write(chat)[0]


def test_the_limit_it_needs() -> None:
    assert write(Chat(messages=[USER]))[0]["max_tokens"] == 16_384
    assert write(Chat(messages=[USER]), "claude-3-5-haiku-latest")[0]["max_tokens"] == 8192
    assert write(Chat(messages=[USER]), "claude-3-haiku-20240307")[0]["max_tokens"] == 4096
    chat = Chat(messages=[USER], max_tokens=100, reasoning=Reasoning(budget=2000))
    assert write(chat)[0]["max_tokens"] == 2100  # the budget counts towards it


def test_documents_and_marks() -> None:
    chat = Chat(
        messages=[
            Message(role="system", content=[Text(text="s", cache=CacheMark(ttl="1h"))]),
            Message(
                role="user",
                content=[
                    Media(kind="document", media_type="application/pdf", data="JVBERg==", name="a.pdf", cited=True),
                    Media(kind="document", media_type="text/plain", text="plain", name="b"),
                    Media(kind="image", url="https://example.com/x.png", cache=CacheMark()),
                    Text(text="what?"),
                ],
            ),
        ],
        tools=[Tool(name="f", parameters={"type": "object"}, cache=CacheMark())],
    )
    body, dropped = write(chat)
    assert dropped == []
    assert body["system"] == [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    pdf, plain, image, _ = body["messages"][0]["content"]
    assert pdf["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert (pdf["title"], pdf["citations"]) == ("a.pdf", {"enabled": True})
    assert plain["source"] == {"type": "text", "media_type": "text/plain", "data": "plain"}
    assert image["source"] == {"type": "url", "url": "https://example.com/x.png"}
    assert image["cache_control"] == {"type": "ephemeral"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    again = CLIENT.read(json.dumps(body).encode())
    assert [block for message in again.messages for block in message.content] == [
        block for message in chat.messages for block in message.content
    ]


def test_structured_output_by_tool_where_there_is_no_other_way() -> None:
    chat = Chat(messages=[USER], format=Format(schema={"type": "object", "properties": {"a": {}}}))
    body, _ = write(chat, "claude-3-5-haiku-latest")
    assert body["tool_choice"] == {"type": "tool", "name": body["tools"][0]["name"]}
    native, _ = write(chat, OLD)
    assert "tools" not in native
    assert native["output_config"]["format"]["type"] == "json_schema"


SEARCH = [
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "x"},
        "caller": {"type": "direct"},
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://e.com",
                "title": "E",
                "encrypted_content": "ZW5j",
                "page_age": None,
            }
        ],
    },
]  # fmt: skip


def test_server_tools_of_anthropic() -> None:
    """Kept whole for clients of the same dialect; others get the text, and where it comes from."""
    cited = {
        "type": "web_search_result_location",
        "url": "https://e.com",
        "title": "E",
        "cited_text": "So",
        "encrypted_index": "aW5k",
    }
    text = {"type": "text", "text": "So it is.", "citations": [cited]}
    answer = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [*SEARCH, text],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "output_tokens": 3,
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        },
    }
    SdkMessage.model_validate(answer)
    chat = Chat(messages=[USER])
    read = PROVIDER.read(json.dumps(answer).encode(), chat)
    assert read.usage == Usage(prompt=5, completion=3, searches=1)
    assert [block.value for block in read.choices[0].content if isinstance(block, Native)] == SEARCH
    assert json.loads(CLIENT.write(read, chat))["content"][:2] == SEARCH
    shown = json.loads(OpenAIClient().write(read, chat))["choices"][0]["message"]
    assert shown["content"] == "So it is."
    assert shown["annotations"][0]["url_citation"]["url"] == "https://e.com"

    asked = CLIENT.read(
        json.dumps(
            {"model": "m", "max_tokens": 5, "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [*SEARCH, {"type": "text", "text": "So it is."}]},
                {"role": "user", "content": "more"},
            ]}
        ).encode()
    )  # fmt: skip
    assert write(asked)[0]["messages"][1]["content"][:2] == SEARCH
    with pytest.raises(BadRequest) as refused:
        _openai(asked)
    assert refused.value.param == "messages"


def _openai(chat: Chat) -> None:
    OpenAIProvider().write(chat, Context(provider="openai", model="gpt-5.1"), Fit("openai"))


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ([{"type": "text", "text": 5}], "messages.0.content.0"),
        ([{"text": "x"}], "messages.0.content.0"),
        ([{"type": "image", "source": {"type": "file_path"}}], "messages.0.content.0.source.type"),
        ([{"type": "tool_result", "tool_use_id": "1", "content": 5}], "messages.0.content.0.content"),
        ([{"type": "tool_result", "content": [{"type": "text", "text": []}]}], "messages.0.content.0.content.0"),
    ],
)  # fmt: skip
def test_wrong_requests_say_where(content: Any, param: str) -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": content}]}
    with pytest.raises(BadRequest) as refused:
        CLIENT.read(json.dumps(body).encode())
    assert refused.value.param == param


def test_proofs_of_others_come_back_to_them() -> None:
    """Of thoughts as they are, of calls in a thinking block before them; Anthropic is never sent one."""
    content: list[Any] = [
        Thinking(text="hm", signature="gemini#dGhvdWdodA=="),
        Text(text="So."),
        ToolCall(id="1", name="f", arguments="{}", signature="gemini#Y2FsbA=="),
        ToolCall(id="2", name="g", arguments="{}"),
        Thinking(text="own", signature="anthropic#b3du"),
    ]
    answer = Answer(id="m", model="x", choices=[Choice(content=content, finish="tool_calls")])
    chat = Chat(messages=[USER])
    whole = json.loads(CLIENT.write(answer, chat))["content"]
    writer = CLIENT.writer(chat, "x")
    streamed = _accumulated(b"".join(writer.write(delta) for delta in told(answer)))
    assert streamed == whole
    assert [block["type"] for block in whole] == ["thinking", "text", "thinking", "tool_use", "tool_use", "thinking"]
    assert whole[0]["signature"] == "routeiq:gemini#dGhvdWdodA=="
    assert whole[-1]["signature"] == "b3du"
    body = {
        "model": "m",
        "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": whole},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]},
        ],
    }
    again = CLIENT.read(json.dumps(body).encode())
    assert again.messages[1].content == content
    sent, dropped = write(again)
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["text", "tool_use", "tool_use", "thinking"]
    assert "thinking" in dropped


def _accumulated(stream: bytes) -> list[dict[str, Any]]:
    """The blocks of a stream, as an SDK puts them together."""
    blocks: list[dict[str, Any]] = []
    for line in stream.splitlines():
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    blocks[-1][name] += delta[name]
    return blocks


@pytest.mark.parametrize("model", ["claude", "cloud"])
def test_a_conversation_that_another_provider_began(model: str) -> None:
    """Its thoughts are left out on the way to Claude, natively and in a cloud, which would refuse their signatures."""
    wires = {"claude": AnthropicWire(), "cloud": VertexAnthropicWire()}
    seen: list[Any] = []

    def serve(asked: Asked) -> Reply:
        seen.append(json.loads(asked.body))
        return Reply([wires[model].whole(Say(text=("ok",)), Seen())])

    with Server(serve) as server:
        vertex = f"{server.url}/v1/projects/p/locations/us-central1"
        params = {
            "claude": {"model": "anthropic/claude-sonnet-4-5", "api_base": server.url, "api_key": "k"},
            "cloud": {"model": "vertex_ai/claude-sonnet-4-5", "api_base": vertex, "api_key": "k"},
        }
        with Worker({"model_list": [{"model_name": "m", "litellm_params": params[model]}]}) as worker:
            for signature, kept in (("b3du", 1), ("routeiq:gemini#eA==", 0)):
                thought = {"type": "thinking", "thinking": "hm", "signature": signature}
                body = {
                    "model": "m",
                    "max_tokens": 10,
                    "messages": [
                        {"role": "user", "content": "hi"},
                        {"role": "assistant", "content": [thought, {"type": "text", "text": "so"}]},
                        {"role": "user", "content": "more"},
                    ],
                }
                status, _, got = worker.call("/v1/messages", body)
                assert status == 200, got
                kinds = [block["type"] for block in seen[-1]["messages"][1]["content"]]
                assert kinds == ["thinking"] * kept + ["text"]
