# /// script
# requires-python = ">=3.11"
# dependencies = ["fastmcp==4.1.2"]
# ///
"""FastMCP as a client: what it sees, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import MCPError


async def main(url: str, key: str) -> None:
    seen: dict[str, Any] = {"progress": []}

    async def progressed(progress: float, *_: Any) -> None:
        seen["progress"].append(progress)

    async def sample(*_: Any) -> str:
        return "sampled"

    async def elicit(*_: Any) -> dict[str, str]:
        return {"username": "u", "email": "u@example.com"}

    transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"})
    async with Client(transport, sampling_handler=sample, elicitation_handler=elicit) as client:
        seen["tools"] = [tool.name for tool in await client.list_tools()]
        seen["echo"] = (await client.call_tool("all-echo", {"text": "hi"})).content[0].text
        seen["sampling"] = (await client.call_tool("all-test_sampling", {"prompt": "x"})).content[0].text
        seen["elicitation"] = (await client.call_tool("all-test_elicitation", {"message": "x"})).content[0].text
        await client.call_tool("all-test_tool_with_progress", {}, progress_handler=progressed)
        seen["resource"] = (await client.read_resource("test://static-text"))[0].text
        seen["prompts"] = [prompt.name for prompt in await client.list_prompts()]
        try:
            await client.call_tool("all-no_such_tool", {})
        except MCPError as error:
            seen["unknown"] = str(error)
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
