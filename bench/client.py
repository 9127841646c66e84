"""A bare HTTP/1.1 client on asyncio that knows when a response was received in full."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class Answer:
    """A complete response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One kept-alive connection that is opened when needed and after every failure."""

    def __init__(self, port: int, source: str | None = None) -> None:
        self.port = port
        self.source = source
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        """Drop the connection."""
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def start(self, query: bytes) -> tuple[int, dict[str, str]]:
        """Send a request and read the head of its response."""
        if self.reader is None or self.writer is None:
            local = (self.source, 0) if self.source else None
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=local)
        self.writer.write(query)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in head[1:] if line)
        return int(head[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        assert self.reader is not None
        size = int((await self.reader.readline()).split(b";")[0], 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def ask(self, query: bytes) -> Answer:
        """One request to the end of its response. Raises what the connection raises."""
        try:
            status, headers = await self.start(query)
            assert self.reader is not None
            if "chunked" in headers.get("transfer-encoding", ""):
                body = b""
                while part := await self.chunk():
                    body += part
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        except BaseException:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)


def post(body: bytes, headers: dict[str, str], path: str = "/v1/chat/completions") -> bytes:
    """A POST as bytes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{lines}"
    return head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
