"""What most tests of MCP serve."""

from __future__ import annotations

from typing import Any

from support.mcp_client import AGENT, OTHER
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
