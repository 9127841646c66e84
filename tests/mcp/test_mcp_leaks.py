"""Secrets and personal data on their way to MCP servers and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.mcp import REDACT, Leaks
from routeiq.mcp.accounting import Refused
from routeiq.mcp.leaks import screen
from support.mcp_agents import AgentsProcess
from support.mcp_client import McpClient, text_of
from support.mcp_server import McpServer

KEY = "sk-abcdefghijklmnop"
CARD = "4111 1111 1111 1111"
ALL = Leaks(kinds=("keys", "cards", "emails"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


def process(everything: McpServer, **leaks: Any) -> AgentsProcess:
    own = {"tool_calls": True, "leaks": leaks}
    return AgentsProcess({"mcp_servers": {"one": {"url": everything.url}}, "routeiq": {"mcp": own}})


def last(everything: McpServer) -> Any:
    """Of the last call."""
    bodies = [one["body"] for one in everything.seen()]
    return [one for one in bodies if one.get("method") == "tools/call"][-1]["params"]["arguments"]


def test_they_pass_unless_somebody_says_otherwise(everything: McpServer) -> None:
    with process(everything) as agents:
        assert text_of(McpClient(agents, None).call("one-echo", text=KEY)) == KEY


def test_they_are_masked_both_ways(everything: McpServer) -> None:
    with process(everything, arguments="redact", results="warn") as agents:
        client = McpClient(agents, None)
        answer = text_of(client.call("one-echo", text=f"with {KEY}, {CARD} and ann@example.com"))
        assert KEY not in answer
        assert "[CARD] and ann@example.com" in answer
        assert KEY not in last(everything)["text"]
        assert text_of(client.call("one-echo", text="nothing of the kind")) == "nothing of the kind"
        assert "looks like a secret" in agents.logs()
        assert KEY not in agents.logs()


def test_they_are_refused_both_ways(everything: McpServer) -> None:
    with process(everything, arguments="block", results="block", kinds=["emails"]) as agents:
        client = McpClient(agents, None)
        refused = client.ask("tools/call", {"name": "one-echo", "arguments": {"text": "ann@example.com"}})
        assert refused["error"]["data"]["code"] == "leak_refused"
        assert last(everything) != {"text": "ann@example.com"}
        assert text_of(client.call("one-echo", text=KEY)) == KEY  # another kind


def test_names_and_depth_tell() -> None:
    found = screen(REDACT, ALL, "arguments", "s", {"login": {"password": "hunter2"}, "list": [{"api_key": ["x1"]}]})
    assert found == {"login": {"password": "***"}, "list": [{"api_key": ["***"]}]}
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Refused):
        screen("block", ALL, "results", "s", {"deep": deep})
    media = {"content": [{"type": "image", "data": "c2stYWJjZGVmZ2hpamtsbW5vcA=="}]}
    assert screen("block", ALL, "results", "s", media) is media


@given(st.dictionaries(st.text(), JSON))
def test_what_is_clean_stays_so(value: dict[str, Any]) -> None:
    once = screen(REDACT, ALL, "arguments", "s", value)
    assert screen(REDACT, ALL, "arguments", "s", once) == once
