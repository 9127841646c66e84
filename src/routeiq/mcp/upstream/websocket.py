"""MCP over a WebSocket, a message a text frame, subprotocol `mcp`: of no revision, but spoken.

By the `websockets` library (the `mcp` extra), which is imported where a server needs it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from routeiq.core.mcp import McpServer
from routeiq.mcp.upstream.channel import Unreachable
from routeiq.mcp.upstream.duplex import Duplex
from routeiq.mcp.wire import McpError, Message, Unavailable, decode, encode
from routeiq.transport.call import UpstreamBroken
from routeiq.transport.dns import Resolver
from routeiq.transport.guard import is_public
from routeiq.transport.pool import Address, tls_context

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CONNECT_SECONDS = 10.0
MISSING = "servers with a WebSocket need the extra: pip install 'routeiq[mcp]'"


def channel(server: McpServer, limit: int, resolver: Resolver) -> Duplex:
    """A connection that is made with the first message. `limit`: bytes of one message."""
    connection = _Connection(server, limit, resolver)
    connection.duplex = Duplex(connection.write, server.timeout, connection.end)
    return connection.duplex


class _Connection:
    def __init__(self, server: McpServer, limit: int, resolver: Resolver) -> None:
        self.duplex: Duplex
        self._resolver = resolver
        self._server = server
        self._limit = limit
        self._connection: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def write(self, message: Message) -> None:
        """Send a message, over a connection that is made now if there is none."""
        async with self._opening:
            if self._connection is None:
                self._connection = await self._open()
                self._reading = asyncio.create_task(self._read(self._connection))
        try:
            await self._connection.send(encode(message).decode())
        except (OSError, EOFError) as error:
            raise Unavailable(f"The connection to the server has ended: {error}") from None

    async def end(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> ClientConnection:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidHandshake, InvalidURI
            from websockets.typing import Subprotocol
        except ImportError:
            raise Unavailable(MISSING) from None
        server = self._server
        secure = server.scheme == "https"
        uri = f"{'wss' if secure else 'ws'}://{server.host_header}{server.target}"
        address = Address(server.scheme, server.host, server.port, server.verify_tls, server.ca_file)
        try:
            return await connect(
                uri,
                host=await self._checked_host(),
                port=server.port,
                subprotocols=[Subprotocol("mcp")],
                additional_headers=dict(server.headers),
                max_size=self._limit,
                open_timeout=CONNECT_SECONDS,
                compression=None,
                proxy=None,
                ssl=tls_context(address) if secure else None,
                server_hostname=server.host if secure else None,
            )
        except (OSError, InvalidURI, InvalidHandshake, UpstreamBroken) as error:
            raise Unreachable(f"The server can't be reached: {error}") from None

    async def _checked_host(self) -> str:
        """Where to connect to: of a server that the operator did not write, the very address that was looked at."""
        server = self._server
        if server.trusted:
            return server.host
        for address in await self._resolver.resolve(server.host, server.port):
            if is_public(address):
                return address
        raise UpstreamBroken("refused", f"{server.host} is not on the open network")

    async def _read(self, connection: ClientConnection) -> None:
        why = "The server has closed the connection."
        try:
            async for frame in connection:
                self.duplex.take(decode(frame.encode() if isinstance(frame, str) else frame))
        except McpError:
            why = "The server sent what is not a message."
        except Exception as error:  # the library's, of which there are many
            why = f"The connection to the server has ended: {error}"
        self.duplex.fail(Unavailable(why))
