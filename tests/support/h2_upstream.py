"""A provider that speaks HTTP/2 only, over TLS with ALPN `h2` or with prior knowledge."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from typing import Any

import h2.config
import h2.connection
import h2.events
import trustme

from support import answers


class H2Upstream:
    """Answers chats, embeddings and streams; `requests` lists the decoded bodies. A context manager."""

    def __init__(self, *, tls: bool = True) -> None:
        self.requests: list[dict[str, Any]] = []
        self.heads: list[list[tuple[str, str]]] = []
        self.tls = tls
        self.ca_pem = b""
        self._context: ssl.SSLContext | None = None
        if tls:
            authority = trustme.CA()
            self.ca_pem = authority.cert_pem.bytes()
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_alpn_protocols(["h2"])
            authority.issue_cert("localhost").configure_cert(self._context)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="h2-upstream", daemon=True)
        self._thread.start()
        server = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(server, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.base = f"https://localhost:{self.port}/v1" if tls else f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> H2Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class _Connection(asyncio.Protocol):
    def __init__(self, server: H2Upstream) -> None:
        self.server = server
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.h2.initiate_connection()
        transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.streams[event.stream_id] = ([(str(k), str(v)) for k, v in event.headers], bytearray())
            elif isinstance(event, h2.events.DataReceived):
                self.streams[event.stream_id][1].extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answer(event.stream_id)
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        """Send the whole answer; the bodies used here fit the first flow-control window."""
        head, raw = self.streams.pop(stream)
        path = dict(head).get(":path", "")
        body: dict[str, Any] = json.loads(bytes(raw) or b"{}")
        self.server.heads.append(head)
        self.server.requests.append(body)
        kind = "application/json"
        if body.get("stream"):
            kind = "text/event-stream"
            parts = [*answers.chat_events(body), answers.DONE]
        else:
            parts = [answers.embeddings(body) if path.endswith("/embeddings") else answers.chat(body)]
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", kind), ("x-request-id", "req_h2")])
        for part in parts:
            self.h2.send_data(stream, part)
        self.h2.end_stream(stream)
