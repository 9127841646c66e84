"""The same server over every transport: the same answers, and what happens when one of them goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, McpClient, text_of
from support.mcp_server import McpServer

TESTS = Path(__file__).resolve().parents[1]
TRANSPORTS = ("http", "events", "stdio", "websocket", "old")


@pytest.fixture(scope="module")
def gateway(everything: McpServer) -> Iterator[Gateway]:
    base = f"127.0.0.1:{everything.port}"
    command = {
        "transport": "stdio",
        "command": sys.executable,
        "args": ["-m", "support.mcp_server", "--stdio"],
        "env": {"PYTHONPATH": str(TESTS), "SECRET_OF_MINE": "yes"},
    }
    servers = {
        "http": {"url": everything.url},
        "events": {"transport": "sse", "url": f"http://{base}/sse"},
        "stdio": command,
        "websocket": {"transport": "websocket", "url": f"ws://{base}/ws"},
        "old": {**command, "protocol_version": "2025-06-18"},
        "forbidden": {"transport": "stdio", "command": "/bin/sh"},
    }
    config = {"mcp_servers": servers, "routeiq": {"mcp": {"tool_calls": True, "stdio_commands": [sys.executable]}}}
    with Gateway(config, key=ADMIN, env={"SECRET_OF_THE_GATEWAY": "no"}) as running:
        yield running


def test_every_transport_gives_the_same(gateway: Gateway) -> None:
    found = []
    for transport in TRANSPORTS:
        client = McpClient(gateway, ADMIN, f"/mcp/{transport}")
        added = ("added_",)
        found.append(
            (
                [tool for tool in client.ask("tools/list")["result"]["tools"] if not tool["name"].startswith(added)],
                client.ask("resources/list")["result"]["resources"],
                client.call("test_multiple_content_types"),
                client.ask("tools/call", {"name": "test_error_handling"})["result"],
                client.ask("resources/read", {"uri": "test://static-binary"})["result"]["contents"],
                client.ask("prompts/get", {"name": "test_prompt_with_image"})["result"]["messages"],
            )
        )
    assert all(one == found[0] for one in found[1:])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_progress_and_questions_come_over_every_transport(gateway: Gateway, transport: str) -> None:
    client = McpClient(gateway, ADMIN, f"/mcp/{transport}")
    client.initialize(elicitation={})
    answer = client.request("tools/call", {"name": "test_tool_with_progress", "_meta": {"progressToken": "mine"}})
    *told, last = answer.messages()
    assert [message["params"]["progress"] for message in told] == [0, 50, 100]
    assert {message["params"]["progressToken"] for message in told} == {"mine"}
    assert "result" in last
    messages = client.request("tools/call", {"name": "test_elicitation", "arguments": {"message": "m"}}).messages()
    asked = next(messages)
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})
    assert "decline" in text_of(next(messages)["result"])


def test_a_command_that_is_not_listed_is_not_run(gateway: Gateway) -> None:
    assert "is not a program that may be run" in gateway.logs()
    assert McpClient(gateway, ADMIN, "/mcp/forbidden").post("tools/list").status == 404


def processes(gateway: Gateway) -> list[psutil.Process]:
    return [one for one in gateway.processes() if "--stdio" in one.cmdline()]


def test_a_process_has_a_small_environment_and_is_started_again(gateway: Gateway) -> None:
    client = McpClient(gateway, ADMIN, "/mcp/stdio")
    assert text_of(client.call("echo", text="one")) == "one"
    found = processes(gateway)
    assert found
    for process in found:
        environment = process.environ()
        assert environment["SECRET_OF_MINE"] == "yes"
        assert "SECRET_OF_THE_GATEWAY" not in environment
        assert not any(name.startswith("ROUTEIQ") for name in environment)
        process.kill()
    end = time.monotonic() + 15
    while "result" not in client.ask("tools/call", {"name": "echo", "arguments": {"text": "two"}}):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert {process.pid for process in processes(gateway)}.isdisjoint({process.pid for process in found})


def test_one_dead_server_does_not_empty_the_list(everything: McpServer) -> None:
    with McpServer() as mortal:
        servers = {"alive": {"url": everything.url}, "mortal": {"url": mortal.url}}
        config = {"mcp_servers": servers, "routeiq": {"mcp": {"tool_calls": True, "catalog_seconds": 1}}}
        with Gateway(config, key=ADMIN) as running:
            client = McpClient(running, ADMIN)
            assert {name.partition("-")[0] for name in client.names()} == {"alive", "mortal"}
            mortal.stop()
            failed = client.ask("tools/call", {"name": "mortal-echo", "arguments": {"text": "x"}})["error"]
            assert failed["data"]["code"] == "mcp_server_unavailable"
            assert text_of(client.call("alive-echo", text="still")) == "still"
            assert "alive-echo" in client.names()
