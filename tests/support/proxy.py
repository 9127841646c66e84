"""A corporate HTTP proxy: tunnels `CONNECT`, forwards absolute-form requests, may ask for credentials."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import Any
from urllib.parse import urlsplit


class Proxy:
    """Runs in a thread on a port the system chose; `seen` lists the first line of every request. A context manager."""

    def __init__(self, *, user: str | None = None, password: str = "", refuse: int | None = None) -> None:
        """With `user`, requests without the right `Proxy-Authorization` get 407. `refuse`: answer all with this."""
        self.seen: list[str] = []
        self.heads: list[bytes] = []
        self.refuse = refuse
        self.credentials = None if user is None else base64.b64encode(f"{user}:{password}".encode()).decode()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        login = "" if user is None else f"{user}:{password}@"
        self.url = f"http://{login}127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, cancel every tunnel."""
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        line, _, fields = head.partition(b"\r\n")
        self.seen.append(line.decode("latin-1"))
        method, target, version = line.decode("latin-1").split(" ")
        if self.refuse is not None:
            writer.write(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.refuse)
            await writer.drain()
            return
        if self.credentials is not None and f"basic {self.credentials}".lower() not in fields.decode("latin-1").lower():
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            upstream_reader, upstream_writer = await asyncio.open_connection(_loopback(host), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(target)
            upstream_reader, upstream_writer = await asyncio.open_connection(_loopback(url.hostname), url.port or 80)
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            kept = [item for item in fields.split(b"\r\n") if not item.lower().startswith(b"proxy-")]
            upstream_writer.write(f"{method} {path} {version}\r\n".encode() + b"\r\n".join(kept))
        await asyncio.gather(_pump(reader, upstream_writer), _pump(upstream_reader, writer))


def _loopback(host: str | None) -> str:
    """Nothing but this machine is ever connected to; any other name stands for it."""
    return host if host in ("127.0.0.1", "::1") else "127.0.0.1"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
