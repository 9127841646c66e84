"""A provider that speaks HTTP/2 only, with prior knowledge, and holds its streams; on one uvloop process.

A POST that asks for a stream gets its first event at once and then nothing until SIGUSR1 ends every open stream with
`[DONE]`. Any other request gets one completion.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import cast

import h2.config
import h2.connection
import h2.events
import uvloop
from h2.settings import SettingCodes, Settings

from harness import answer_body
from upstream import DONE, events

STREAMS = 1000
"""Streams a client may have open on one connection."""
FIRST = events(1)[0]
CONFIG = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
SETTINGS = {SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS, SettingCodes.MAX_HEADER_LIST_SIZE: 65536}


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, connections: set[Provider]) -> None:
        self.connections = connections
        self.h2 = h2.connection.H2Connection(CONFIG)
        # Set before the first SETTINGS frame: with update_settings a client would see h2's own 100 first.
        self.h2.local_settings = Settings(client=False, initial_values=SETTINGS)
        self.bodies: dict[int, bytearray] = {}
        self.held: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's in type, only in kind.
        self.transport = cast("asyncio.Transport", transport)
        self.connections.add(self)
        self.h2.initiate_connection()
        self.transport.write(self.h2.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.bodies[event.stream_id] = bytearray()
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answer(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.bodies.pop(event.stream_id, None)
                self.held.discard(event.stream_id)
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        """Begin a stream or send a completion; either fits the first flow-control window."""
        if json.loads(self.bodies.pop(stream) or b"{}").get("stream"):
            self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")])
            self.h2.send_data(stream, FIRST)
            self.held.add(stream)
        else:
            self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
            self.h2.send_data(stream, answer_body(), end_stream=True)

    def finish(self) -> None:
        """End every open stream."""
        for stream in self.held:
            self.h2.send_data(stream, DONE, end_stream=True)
        self.held.clear()
        self.transport.write(self.h2.data_to_send())


def finish(connections: set[Provider]) -> None:
    """End every open stream of every connection."""
    for connection in connections:
        connection.finish()


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    args = parser.parse_args()
    connections = set[Provider]()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, finish, connections)
    server = await loop.create_server(lambda: Provider(connections), args.host, args.port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
