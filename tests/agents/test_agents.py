"""Coding agents: their requests as they are documented and seen on the wire, replayed in front of every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from matrix.scenes import Call, Say, Seen
from matrix.server import Reply, Server
from matrix.vendors import VENDORS
from matrix.wires.wire import Wire
from support.gateway import deployment
from support.tokens import Asked
from support.upstream import Upstream
from support.worker import Worker

REQUESTS = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).with_name("requests").iterdir())}
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock", "vllm")
CHATS = ("claude_code", "codex", "opencode", "aider", "continue_chat")
NATIVE = {
    "claude_code": "anthropic",
    "claude_code_title": "anthropic",
    "claude_code_quota": "anthropic",
    "codex": "openai",
    "opencode": "openai",
    "aider": "openai",
    "continue_chat": "openai",
}
TEXT = "There is no target `all`."
PATCH = "*** Begin Patch\n*** End Patch"
_RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@dataclass
class Provider:
    """Answers whatever it is asked, in its own dialect, after holding the request against the vendor's types."""

    wire: Wire
    say: Say = field(default_factory=lambda: Say(text=(TEXT,)))
    seen: list[Seen] = field(default_factory=list)
    native: str = ""
    """The last part of the path that the agent asks: what comes there is its own request, whoever made it."""

    def serve(self, asked: Asked) -> Reply:
        wire = self.wire.of(asked)
        wire.strict = _last(asked.path) != self.native
        try:
            seen = wire.see(asked)
        finally:
            wire.strict = True
        self.seen.append(seen)
        if seen.stream:
            return Reply(wire.stream(self.say, seen), wire.stream_kind)
        return Reply([wire.whole(self.say, seen)])


class Running:
    """A worker in front of one provider of each dialect."""

    def __init__(self, worker: Worker, servers: dict[str, Server], providers: dict[str, Provider]) -> None:
        self.worker = worker
        self.servers = servers
        self.providers = providers

    def replay(self, name: str, provider: str, **changes: Any) -> tuple[int, dict[str, str], bytes]:
        """What the agent gets."""
        request = REQUESTS[name]
        self.providers[provider].native = _last(request["path"])
        body = {**request["body"], **changes, "model": provider}
        return self.worker.call(request["path"], body, headers=request["headers"])


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with ExitStack() as stack:
        providers = {name: Provider(VENDORS[name].wire) for name in PROVIDERS}
        servers = {name: stack.enter_context(Server(provider.serve)) for name, provider in providers.items()}
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": VENDORS[name].model, **VENDORS[name].params(servers[name].url)},
            }
            for name in PROVIDERS
        ]
        settings = {"drop_params": True}
        config: dict[str, Any] = {
            "model_list": models,
            "litellm_settings": settings,
            "router_settings": {"num_retries": 0},
        }
        yield Running(stack.enter_context(Worker(config)), servers, providers)


@pytest.fixture
def agents(running: Running) -> Iterator[Running]:
    for name in PROVIDERS:
        running.servers[name].asked.clear()
        running.servers[name].faults.clear()
        running.providers[name].seen.clear()
        running.providers[name].say = Say(text=(TEXT,))
    yield running
    assert [fault for server in running.servers.values() for fault in server.faults] == []


@pytest.mark.parametrize("name", NATIVE)
def test_a_provider_of_its_own_dialect_gets_its_bytes(agents: Running, name: str) -> None:
    provider = NATIVE[name]
    request = REQUESTS[name]
    status, _, got = agents.replay(name, provider)
    assert status == 200
    [asked] = agents.servers[provider].asked
    wanted = {**request["body"], "model": VENDORS[provider].model.partition("/")[2]}
    if asked.path.endswith("/chat/completions"):
        # The gateway wants to know the usage, and OpenAI has a new name for the limit.
        wanted["stream_options"] = {"include_usage": True}
        if "max_tokens" in wanted:
            wanted["max_completion_tokens"] = wanted.pop("max_tokens")
    assert json.loads(asked.body) == wanted
    if provider == "anthropic":
        assert asked.headers["anthropic-beta"] == request["headers"]["anthropic-beta"]
        assert asked.headers["anthropic-version"] == "2023-06-01"
    assert TEXT.encode() in got


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", CHATS)
def test_any_provider_serves_it(agents: Running, name: str, provider: str) -> None:
    status, headers, got = agents.replay(name, provider)
    assert status == 200, got
    assert headers["content-type"].startswith("text/event-stream")
    assert said(name, got)[0] == TEXT
    [seen] = agents.providers[provider].seen
    assert seen.system
    assert seen.stream
    wanted = {"claude_code": 3, "codex": 3, "opencode": 2, "aider": 0, "continue_chat": 1}[name]
    assert len(seen.tools) == wanted
    if name in ("claude_code", "codex", "opencode"):
        assert len(seen.calls) == 2
        assert len(seen.results) == 2
        assert any("No rule to make target" in result for result in seen.results.values())
    if name == "continue_chat":
        assert len(seen.images) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ["claude_code", "codex", "opencode"])
def test_tools_are_called(agents: Running, name: str, provider: str) -> None:
    tool, arguments = {
        "claude_code": ("Bash", {"command": "make all"}),
        "codex": ("shell_command", {"command": "make all"}),
        "opencode": ("bash", {"command": "make all", "description": "Builds"}),
    }[name]
    agents.providers[provider].say = Say(calls=[Call(tool, arguments)])
    status, _, got = agents.replay(name, provider)
    assert status == 200, got
    assert said(name, got)[1] == [(tool, arguments)]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "bedrock"])
def test_codex_patches_with_a_tool_of_free_text(agents: Running, provider: str) -> None:
    """Providers without such tools have it as a function; Codex gets back what it would have got."""
    agents.providers[provider].say = Say(calls=[Call("apply_patch", {"input": PATCH})])
    status, _, got = agents.replay("codex", provider)
    assert status == 200, got
    assert said("codex", got)[1] == [("apply_patch", PATCH)]
    [seen] = agents.providers[provider].seen
    assert seen.tools["apply_patch"]["properties"].keys() == {"input"}
    assert seen.calls[1].arguments["input"].startswith("*** Begin Patch\n*** Update File: Makefile")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_claude_code_asks_for_a_title(agents: Running, provider: str) -> None:
    agents.providers[provider].say = Say(text=('{"title":"A build"}',), structured=True)
    status, _, got = agents.replay("claude_code_title", provider)
    assert status == 200, got
    assert json.loads(said("claude_code", got)[0]) == {"title": "A build"}
    [seen] = agents.providers[provider].seen
    assert seen.schema is not None
    assert "title" in seen.schema["properties"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_claude_code_tries_its_key(agents: Running, provider: str) -> None:
    status, _, got = agents.replay("claude_code_quota", provider)
    assert status == 200, got
    assert json.loads(got)["type"] == "message"


@pytest.mark.parametrize("provider", ["openai", "vllm"])
def test_claude_code_counts_where_nobody_can(agents: Running, provider: str) -> None:
    status, _, got = agents.replay("claude_code_count", provider)
    assert status == 200, got
    assert json.loads(got)["input_tokens"] > 100
    assert agents.servers[provider].asked == []


def test_continue_completes_and_embeds() -> None:
    """Autocompletion asks for what stands between two texts, which chat models can't be asked for."""
    with Upstream() as upstream:
        models = [deployment(upstream, "code"), deployment(upstream, "embed")]
        claude = {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5", "api_key": "k"}}
        with Worker({"model_list": [*models, claude]}) as worker:
            autocomplete, embed = REQUESTS["continue_autocomplete"], REQUESTS["continue_embed"]
            status, _, got = worker.call(autocomplete["path"], {**autocomplete["body"], "model": "code"})
            assert status == 200
            assert all(event["object"] == "text_completion" for event in events(got))
            assert upstream.requests[0].json["suffix"] == autocomplete["body"]["suffix"]
            status, _, got = worker.call(
                autocomplete["path"], {**autocomplete["body"], "stop": None, "model": "claude"}
            )
            assert status == 400
            assert json.loads(got)["error"]["param"] == "suffix"
            status, _, got = worker.call(embed["path"], {**embed["body"], "model": "embed"})
            assert status == 200
            assert len(json.loads(got)["data"]) == 2


def test_agents_find_the_models(agents: Running) -> None:
    for path in ("/v1/models?limit=1000", "/v1/models"):
        status, _, got = agents.worker.get(path)
        assert status == 200
        assert [model["id"] for model in json.loads(got)["data"]] == list(PROVIDERS)


def _last(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2]


def said(name: str, stream: bytes) -> tuple[str, list[tuple[str, Any]]]:
    """Text and calls of a stream, as the agent reads it."""
    return {"claude_code": _messages, "codex": _responses}.get(name, _chunks)(events(stream))


def events(stream: bytes) -> list[Any]:
    lines = [line[6:] for line in stream.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def _messages(found: list[Any]) -> tuple[str, list[tuple[str, Any]]]:
    assert found[0]["type"] == "message_start"
    assert found[-1]["type"] == "message_stop"
    text, calls = "", {}
    for event in found:
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            calls[event["index"]] = [event["content_block"]["name"], ""]
        elif event["type"] == "content_block_delta":
            text += event["delta"].get("text", "")
            if event["delta"]["type"] == "input_json_delta":
                calls[event["index"]][1] += event["delta"]["partial_json"]
    return text, [(tool, json.loads(arguments)) for tool, arguments in calls.values()]


def _responses(found: list[Any]) -> tuple[str, list[tuple[str, Any]]]:
    for event in found:
        _RESPONSES.validate_python(event)
    assert found[0]["type"] == "response.created"
    last = found[-1]
    assert last["type"] == "response.completed"
    text, calls = "", []
    for item in last["response"]["output"]:
        if item["type"] == "message":
            text += "".join(part["text"] for part in item["content"])
        elif item["type"] == "function_call":
            calls.append((item["name"], json.loads(item["arguments"])))
        elif item["type"] == "custom_tool_call":
            calls.append((item["name"], item["input"]))
    return text, calls


def _chunks(found: list[Any]) -> tuple[str, list[tuple[str, Any]]]:
    text, calls = "", {}
    finish = None
    for chunk in found:
        for choice in chunk["choices"]:
            finish = choice.get("finish_reason") or finish
            text += choice["delta"].get("content") or ""
            for part in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(part["index"], ["", ""])
                call[0] += part["function"].get("name") or ""
                call[1] += part["function"].get("arguments") or ""
    assert finish in ("stop", "tool_calls")
    return text, [(tool, json.loads(arguments)) for tool, arguments in calls.values()]
