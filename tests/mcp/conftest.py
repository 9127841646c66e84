"""One MCP server and one gateway in front of it for all who leave them as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, McpClient
from support.mcp_config import config_of
from support.mcp_server import McpServer


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
