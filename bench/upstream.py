"""A provider of either dialect that streams at a set pace, on one uvloop process.

A POST that asks for a stream gets `--events` events, the first at once and the others `--interval` seconds apart,
then the end marker. With a negative interval it gets the first event and then nothing until `GET /finish` ends every
open stream. Any other POST gets one completion, and any other GET an empty object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from typing import cast

import httptools
import uvloop

from harness import DIALECTS, answer_body

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def events(count: int) -> list[bytes]:
    """The stream's events."""
    out = []
    for n in range(count):
        delta = {"role": "assistant", "content": ""} if n == 0 else {"content": f"word{n:03d} "}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if n == count - 1 else None}
        payload = {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "bench-model",
            "choices": [choice],
        }
        out.append(b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n")
    return out


def messages_events(count: int) -> list[bytes]:
    """The same in Anthropic's dialect."""
    usage = {"input_tokens": 200, "output_tokens": 1}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench-model", "content": []}
    start: list[dict[str, object]] = [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    deltas: list[dict[str, object]] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"word{n:03d} "}}
        for n in range(1, count)
    ]
    first, *rest = [framed(event) for event in deltas]
    return [b"".join(framed(event) for event in start) + first, *rest]


def framed(event: dict[str, object]) -> bytes:
    """One server-sent event with its name."""
    return b"event: %s\ndata: %s\n\n" % (
        str(event["type"]).encode(),
        json.dumps(event, separators=(",", ":")).encode(),
    )


DONE = b"data: [DONE]\n\n"
_ENDING: tuple[dict[str, object], ...] = (
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 150}},
    {"type": "message_stop"},
)
STOP = b"".join(framed(event) for event in _ENDING)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, parts: list[bytes], end: bytes, answer: bytes, interval: float, held: set[Provider]) -> None:
        self.parts = parts
        self.end = chunk(end) + b"0\r\n\r\n"
        self.answer = answer
        self.interval = interval
        self.held = held
        self.timer: asyncio.TimerHandle | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()
        self.path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's in type, only in kind.
        self.transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.held.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body.clear()
        self.path = b""

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if self.parser.get_method() != b"POST":
            if self.path == b"/finish":
                for connection in list(self.held):
                    connection.transport.write(connection.end)
                self.plain(b'{"ended":%d}' % len(self.held))
                self.held.clear()
            else:
                self.plain(b"{}")
        elif json.loads(self.body).get("stream"):
            self.transport.write(HEAD + self.parts[0])
            if self.interval < 0:
                self.held.add(self)
            elif self.interval == 0:
                self.transport.write(b"".join(self.parts[1:]) + self.end)
            else:
                self.start = asyncio.get_running_loop().time()
                self.wait(1)
        else:
            self.plain(self.answer)

    def wait(self, index: int) -> None:
        """Send event `index` when its time has come."""
        when = self.start + index * self.interval
        self.timer = asyncio.get_running_loop().call_at(when, self.send, index)

    def send(self, index: int) -> None:
        """Send event `index`, or the end."""
        if index >= len(self.parts):
            self.timer = None
            self.transport.write(self.end)
            return
        self.transport.write(self.parts[index])
        if index + 1 < len(self.parts):
            self.wait(index + 1)
        else:
            self.send(index + 1)

    def plain(self, body: bytes) -> None:
        """A JSON answer."""
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--interval", type=float, default=0.005)
    parser.add_argument("--dialect", choices=DIALECTS, default="openai")
    args = parser.parse_args()
    openai = args.dialect == "openai"
    parts = [chunk(event) for event in (events if openai else messages_events)(args.events)]
    end, answer, held = DONE if openai else STOP, answer_body(args.dialect), set[Provider]()
    server = await asyncio.get_running_loop().create_server(
        lambda: Provider(parts, end, answer, args.interval, held), "127.0.0.1", args.port, backlog=8192
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
