"""Small JSON documents over HTTP, from addresses that may be somebody else's choice."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from routeiq.mcp.fetch import fetch
from routeiq.mcp.wire import Message, Unavailable
from routeiq.transport.pool import Address, Pool

SECONDS = 10.0
MOST = 256 * 1024
"""Bytes of one document."""
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Fetcher:
    """Asks over the pool. `trusted` hosts the operator has named; all others must be on the open network, by HTTPS."""

    def __init__(self, pool: Pool, trusted: frozenset[str]) -> None:
        self._pool = pool
        self._trusted = trusted

    async def get(self, url: str) -> tuple[int, Message]:
        """Status and object; empty where the body is none. Raises `Unavailable`."""
        return await self._ask("GET", url, b"", "", {})

    async def post(self, url: str, body: bytes, kind: str, headers: dict[str, str]) -> tuple[int, Message]:
        """The same for a POST."""
        return await self._ask("POST", url, body, kind, headers)

    async def _ask(self, method: str, url: str, body: bytes, kind: str, headers: dict[str, str]) -> tuple[int, Message]:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        trusted = host in self._trusted
        if not host or parts.username is not None or any(c <= " " or c > "~" for c in url):
            raise Unavailable("A URL of the authorization server is not one.")
        if parts.scheme != "https" and not (parts.scheme == "http" and trusted):
            raise Unavailable("The authorization server is not reached by HTTPS.")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise Unavailable("A URL of the authorization server is not one.") from None
        address = Address(parts.scheme, host, port, guarded=not trusted)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if method == "POST":
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        status, _, data = await fetch(
            self._pool.origin(address),
            (f"{head}\r\n".encode("latin-1"), body),
            seconds=SECONDS,
            limit=MOST,
            who="The authorization server",
        )
        try:
            found = msgspec.json.decode(data) if data else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = {}
        return status, found if isinstance(found, dict) else {}
