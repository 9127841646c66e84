"""An A2A agent that answers at once, and holds streams: `python bench/a2a_upstream.py PORT`."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from typing import Any, cast

import httptools
import uvloop

IDS = itertools.count(1)
MESSAGE = {
    "messageId": "reply",
    "contextId": "conversation",
    "role": "ROLE_AGENT",
    "parts": [{"text": "x" * 500}],
}


def card(port: int) -> dict[str, Any]:
    """Its card."""
    interface = {"url": f"http://127.0.0.1:{port}/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {"name": "bench", "version": "1", "supportedInterfaces": [interface], "capabilities": {"streaming": True}}


def task(state: str) -> dict[str, Any]:
    """A task."""
    return {
        "id": f"task-{next(IDS)}",
        "contextId": "conversation",
        "status": {"state": state},
        "artifacts": [{"artifactId": "a", "parts": [{"text": "x" * 500}]}],
    }


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self, port: int) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.port = port
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
        if self.parser.get_method() != b"POST":
            self.reply(card(self.port))
            return
        request = json.loads(self.body)
        if request["method"] == "SendStreamingMessage":
            event = {"jsonrpc": "2.0", "id": request["id"], "result": {"task": task("TASK_STATE_WORKING")}}
            data = b"data: " + json.dumps(event).encode() + b"\n\n"
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n" % (len(data), data)
            )
            return
        text = request["params"]["message"]["parts"][0]["text"]
        result = {"task": task("TASK_STATE_COMPLETED")} if text == "task" else {"message": MESSAGE}
        self.reply({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def reply(self, found: dict[str, Any]) -> None:
        """JSON."""
        body = json.dumps(found).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    args = parser.parse_args()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(args.port), "127.0.0.1", args.port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
