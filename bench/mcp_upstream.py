"""An MCP server that answers at once, in both kinds of revisions: `python bench/mcp_upstream.py PORT`."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import cast

import httptools
import uvloop

MODERN = "2026-07-28"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = [{"name": f"tool_{n}", "description": "Says it again.", "inputSchema": TEXT} for n in range(50)]
CAPABILITIES: dict[str, object] = {"tools": {}}
RESULTS: dict[str, dict[str, object]] = {
    "server/discover": {"supportedVersions": [MODERN], "capabilities": CAPABILITIES},
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": CAPABILITIES,
        "serverInfo": {"name": "bench", "version": "1"},
    },
    "tools/list": {"tools": TOOLS},
    "tools/call": {"content": [{"type": "text", "text": "x" * 500}]},
}


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body.clear()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        if self.parser.get_method() == b"POST":
            message = json.loads(self.body)
            result = RESULTS.get(message["method"])
            if result is not None:
                answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", **result}}
                body = json.dumps(answer).encode()
                head = (
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: bench\r\n"
                    b"Content-Length: %d\r\n\r\n%b"
                ) % (len(body), body)
        else:
            head = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
        self.transport.write(head)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    args = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", args.port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
