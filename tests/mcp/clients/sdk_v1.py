# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==1.30.0"]
# ///
"""The official SDK of the revisions with sessions, as a client: what it sees, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp.client.streamable_http import streamablehttp_client

import mcp
from mcp import ClientSession, types


async def main(url: str, key: str) -> None:
    seen: dict[str, Any] = {"logs": [], "progress": []}

    async def sample(_: Any, __: Any) -> Any:
        content = types.TextContent(type="text", text="sampled")
        return types.CreateMessageResult(role="assistant", content=content, model="m", stopReason="endTurn")

    async def elicit(_: Any, __: Any) -> Any:
        return types.ElicitResult(action="accept", content={"username": "u", "email": "u@example.com"})

    async def logged(params: Any) -> None:
        seen["logs"].append(params.data)

    async def progressed(progress: float, *_: Any) -> None:
        seen["progress"].append(progress)

    headers = {"Authorization": f"Bearer {key}"}
    async with (
        streamablehttp_client(url, headers=headers) as (read, write, _),
        ClientSession(
            read, write, sampling_callback=sample, elicitation_callback=elicit, logging_callback=logged
        ) as session,
    ):
        seen["version"] = (await session.initialize()).protocolVersion
        seen["tools"] = [tool.name for tool in (await session.list_tools()).tools]
        prefix = "all-"
        seen["echo"] = (await session.call_tool(f"{prefix}echo", {"text": "hi"})).content[0].text
        seen["sampling"] = (await session.call_tool(f"{prefix}test_sampling", {"prompt": "x"})).content[0].text
        asked = await session.call_tool(f"{prefix}test_elicitation", {"message": "who?"})
        seen["elicitation"] = asked.content[0].text
        await session.call_tool(f"{prefix}test_tool_with_progress", {}, progress_callback=progressed)
        seen["resource"] = (await session.read_resource("test://static-text")).contents[0].text
        seen["prompts"] = [prompt.name for prompt in (await session.list_prompts()).prompts]
        try:
            await session.call_tool(f"{prefix}no_such_tool", {})
        except mcp.McpError as error:
            seen["unknown"] = error.error.code
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
