"""Adds a key to every request on its way to a gateway, because the conformance suite can't; Host and Origin stay."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httptools


class _Client(asyncio.Protocol):
    def __init__(self, port: int, header: bytes) -> None:
        self._port = port
        self._header = header
        self._parser = httptools.HttpRequestParser(self)
        self._head: list[bytes] = []
        self._waiting: list[bytes] = []
        self._up: asyncio.Transport | None = None
        self._down: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._down = transport
        self._task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._up, _ = await loop.create_connection(lambda: _Server(self._down), "127.0.0.1", self._port)
        self._up.writelines(self._waiting)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._up is not None:
            self._up.close()

    def on_url(self, url: bytes) -> None:
        self._head = [b"%b %b HTTP/1.1\r\n%b" % (self._parser.get_method(), url, self._header)]

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.append(b"%b: %b\r\n" % (name, value))

    def on_headers_complete(self) -> None:
        self._send(b"".join(self._head) + b"\r\n")

    def on_body(self, data: bytes) -> None:
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self._up is None:
            self._waiting.append(data)
        else:
            self._up.write(data)


class _Server(asyncio.Protocol):
    def __init__(self, down: Any) -> None:
        self._down = down

    def data_received(self, data: bytes) -> None:
        self._down.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._down.close()


class Shim:
    """A listener in front of a port of this machine; a context manager."""

    def __init__(self, port: int, key: str, *, listen: int = 0) -> None:
        self._target = port
        self._header = f"Authorization: Bearer {key}\r\n".encode()
        self._listen = listen
        self._loop = asyncio.new_event_loop()
        self.port = 0

    def __enter__(self) -> Shim:
        factory = self._loop.create_server(lambda: _Client(self._target, self._header), "127.0.0.1", self._listen)
        self._server = self._loop.run_until_complete(factory)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
