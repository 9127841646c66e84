# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==2.3.0"]
# ///
"""The official SDK of 2026-07-28 as a client, in that revision and (`legacy`) in one with sessions: what it sees."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, TextContent

import mcp
from mcp import Client


async def main(url: str, key: str, mode: str) -> None:
    seen: dict[str, Any] = {"progress": []}

    async def sample(*_: Any) -> Any:
        content = TextContent(type="text", text="sampled")
        return CreateMessageResult(role="assistant", content=content, model="m", stop_reason="endTurn")

    async def elicit(*_: Any) -> Any:
        return ElicitResult(action="accept", content={"username": "u", "email": "u@example.com"})

    async def progressed(progress: float, *_: Any) -> None:
        seen["progress"].append(progress)

    async with create_mcp_http_client(headers={"Authorization": f"Bearer {key}"}) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, sampling_callback=sample, elicitation_callback=elicit, mode=mode) as client:
            seen["version"] = client.protocol_version
            seen["tools"] = [tool.name for tool in (await client.list_tools()).tools]
            seen["echo"] = (await client.call_tool("all-echo", {"text": "hi"})).content[0].text
            seen["sampling"] = (await client.call_tool("all-test_sampling", {"prompt": "x"})).content[0].text
            asked = await client.call_tool("all-test_elicitation", {"message": "who?"})
            seen["elicitation"] = asked.content[0].text
            await client.call_tool("all-test_tool_with_progress", {}, progress_callback=progressed)
            seen["resource"] = (await client.read_resource("test://static-text")).contents[0].text
            seen["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
            try:
                await client.call_tool("all-no_such_tool", {})
            except mcp.MCPError as error:
                seen["unknown"] = error.error.code
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
