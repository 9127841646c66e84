"""One MCP server and one gateway in front of it for all who leave them as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, OTHER, McpClient
from support.mcp_server import McpServer


def config_of(everything: McpServer, **mcp: Any) -> dict[str, Any]:
    """Two names for one server, and keys that may use both, one, or none of its tools."""
    some = {"mcp_servers": ["everything"], "mcp_tool_permissions": {"everything": ["echo"]}}
    return {
        "mcp_servers": {
            "everything": {
                "url": everything.url,
                "alias": "all",
                "static_headers": {"X-Static": "yes"},
                "extra_headers": ["x-passed"],
                "mcp_info": {
                    "mcp_server_cost_info": {
                        "default_cost_per_query": 0.01,
                        "tool_name_to_cost_per_query": {"echo": 0.25},
                    }
                },
            },
            "second": {
                "url": everything.url,
                "access_groups": ["office"],
                "allowed_tools": ["echo", "test_simple_text"],
                "disallowed_tools": ["test_simple_text"],
                "tool_name_to_description": {"echo": "Another description."},
                "allowed_params": {"echo": ["text"]},
                "rpm": 5,
            },
            "dead": {"url": "http://127.0.0.1:9/mcp"},
        },
        "routeiq": {
            "mcp": {"tool_calls": True, **mcp},
            "keys": [
                {
                    "name": "agent",
                    "key": AGENT,
                    "object_permission": {"mcp_servers": ["all-proxy-mcpservers"]},
                },
                {"name": "other", "key": OTHER, "object_permission": some},
                {"name": "nobody", "key": "sk-riq-test-nobody-0123456789"},
            ],
        },
    }


@pytest.fixture(scope="session")
def everything() -> Iterator[McpServer]:
    with McpServer() as server:
        yield server


@pytest.fixture(scope="session")
def mcp_gateway(everything: McpServer) -> Iterator[Gateway]:
    with Gateway(config_of(everything), key=ADMIN) as running:
        while b'"db":"connected"' not in running.get("/health/readiness")[2]:
            time.sleep(0.05)  # unknown keys are asked of the control plane, which starts last
        yield running


@pytest.fixture
def agent(mcp_gateway: Gateway) -> McpClient:
    """A client of every server."""
    return McpClient(mcp_gateway, AGENT)
