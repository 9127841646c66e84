"""Raw sockets towards the gateway, for what no client library would send."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Response:
    """One parsed response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)


class RawClient:
    """One connection. A context manager."""

    def __init__(self, host: str, port: int, timeout: float = 10.0) -> None:
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.closed = False

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this side."""
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Everything at once. A peer that has left is no error: read what it said."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def drip(self, data: bytes, interval: float) -> int:
        """A byte at a time; gives how many went out before the peer left."""
        for count, byte in enumerate(data):
            try:
                self.sock.sendall(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                return count
            time.sleep(interval)
        return len(data)

    def more(self) -> bool:
        """Read once into `buffer`. False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.closed = not data
        self.buffer += data
        return bool(data)

    def response(self) -> Response:
        """The next final response, 1xx skipped. Raises `EOFError` when the peer closed before its end."""
        while True:
            found = self._one()
            if found.status >= 200:
                return found

    def _one(self) -> Response:
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise EOFError(f"closed after {self.buffer[:200]!r}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        out = Response(status, headers, b"")
        if status < 200 or status in (204, 304):
            return out
        if "chunked" in (out.header("transfer-encoding") or ""):
            out.body = self._chunks()
        elif (length := out.header("content-length")) is not None:
            out.body = self._exactly(int(length))
        else:
            while self.more():
                pass
            out.body, self.buffer = self.buffer, b""
        return out

    def _exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError(f"{len(self.buffer)} of {count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if not self.more():
                raise EOFError("closed in a chunk")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _chunks(self) -> bytes:
        out = b""
        while size := int(self._line().split(b";")[0], 16):
            out += self._exactly(size)
            self._exactly(2)
        while self._line():
            pass
        return out

    def until_closed(self, timeout: float = 10.0) -> tuple[bytes, float]:
        """Everything up to the end of the connection, and how long that took. Raises `TimeoutError`."""
        start = time.monotonic()
        self.sock.settimeout(timeout)
        while self.more():
            if time.monotonic() - start > timeout:
                raise TimeoutError("the connection stayed open")
        data, self.buffer = self.buffer, b""
        return data, time.monotonic() - start


def request(
    path: str = "/v1/chat/completions",
    body: dict[str, Any] | bytes | None = None,
    *,
    key: str | None = None,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A well-formed request as bytes, to be sent or spoilt."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if data or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data
