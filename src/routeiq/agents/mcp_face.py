"""MCP, as this process serves it: which path is what, and who may come in.

/mcp                          every server the key may use
/mcp/sse, /mcp/messages       the same for clients of 2024-11-05
/mcp/{server}, /{server}/mcp  one server, or several and access groups with commas between them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from routeiq.agents.envelope import check_origin, is_modern
from routeiq.agents.mcp_sse import SseEndpoint
from routeiq.agents.places import EVERYTHING, place_of
from routeiq.agents.responder import Responder
from routeiq.agents.stateful import KEEP_ALIVE_SECONDS, SESSION, Stateful
from routeiq.agents.stateless import Stateless
from routeiq.agents.tokens import WELL_KNOWN, McpCallers
from routeiq.core.errors import GatewayError, UnknownPath
from routeiq.core.mcp import OPENAPI, SSE, STDIO, WEBSOCKET, Mcp, McpServer
from routeiq.core.snapshot import Snapshot
from routeiq.mcp import wire
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.oauth.vault import Vault
from routeiq.mcp.pins import Pins
from routeiq.mcp.sessions import Sessions
from routeiq.mcp.upstream import sse, websocket
from routeiq.mcp.upstream.channel import Channel
from routeiq.mcp.upstream.http import HttpChannel
from routeiq.mcp.upstream.openapi import OpenApiChannel
from routeiq.mcp.upstream.stdio import Processes
from routeiq.mcp.wire import GATEWAY_ERROR, McpError, encode
from routeiq.process.heads import Request
from routeiq.transport.pool import Address

if TYPE_CHECKING:
    from routeiq.agents.server import Agents, Handler

_METHODS = b"Allow: POST, GET, DELETE\r\n"


class McpFace:
    """`agents.server.Face` of MCP."""

    def __init__(self, agents: Agents) -> None:
        snapshot = agents.snapshot
        mcp = snapshot.mcp or Mcp()
        self._agents = agents
        self._processes = Processes()
        pins = Pins(agents.state / "mcp-pins.json", mcp)
        vault = Vault(agents.state / "mcp-tokens.sealed", agents.secret)
        self.callers = McpCallers(agents.services, snapshot)
        self.gateway = Gateway(agents.services, snapshot, mcp, self._open, pins, vault)
        self.sessions = Sessions(self.gateway)
        self._stateful = Stateful(self.sessions)
        self._stateless = Stateless(self.gateway)
        self._sse_endpoint = SseEndpoint(self.sessions)
        self._kept_alive = 0.0

    def find(self, request: Request) -> Handler | None:
        """Everything with `mcp` in its place."""
        path = request.path
        if path.startswith(WELL_KNOWN.encode()):
            return self._metadata
        if path in (b"/mcp/sse", b"/mcp/messages"):
            return self._sse
        if path == b"/mcp" or path.startswith(b"/mcp/") or path.endswith(b"/mcp"):
            return self._streamable
        return None

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve by another configuration."""
        self.callers.adopt(snapshot)
        self.gateway.adopt(snapshot, snapshot.mcp or Mcp())

    def tidy(self, now: float) -> None:
        """Let go of what nobody uses."""
        self.sessions.tidy(now)
        self._stateless.tidy(now)
        self.gateway.pool.tidy(now)
        if now - self._kept_alive >= KEEP_ALIVE_SECONDS:
            self._kept_alive = now
            self._sse_endpoint.keep_alive()

    async def close(self) -> None:
        """End sessions and streams, and let go of servers."""
        self._stateless.close()
        await self.sessions.close()
        await self.gateway.close()

    def _open(self, server: McpServer) -> Channel:
        limit = self.gateway.mcp.max_result
        if server.transport == STDIO:
            return self._processes.channel(server, limit)
        if server.transport == WEBSOCKET:
            return websocket.channel(server, limit, self._agents.services.pool.resolver)
        address = Address(
            server.scheme, server.host, server.port, server.verify_tls, server.ca_file,
            guarded=not server.trusted, bound=False,
        )  # fmt: skip
        origin = self._agents.services.pool.origin(address)
        if server.transport == OPENAPI:
            return OpenApiChannel(server, origin, limit)
        return sse.channel(server, origin, limit) if server.transport == SSE else HttpChannel(server, origin, limit)

    async def _metadata(self, request: Request, responder: Responder) -> None:
        found = self.callers.metadata(request)
        if found is None:
            raise UnknownPath("There is no authorization server for MCP here.")
        responder.respond(200, encode(found), headers=b"Access-Control-Allow-Origin: *\r\n")

    async def _streamable(self, request: Request, responder: Responder) -> None:
        ident: object = None
        try:
            check_origin(self.gateway.mcp, request.headers, request.fields)
            caller = await self.callers.of(request)
            place = place_of(self.gateway.registry, request.path, request.fields)
            method = request.method
            if method == b"POST":
                found = wire.decode(request.body)
                self.callers.check_scopes(request, found)
                if isinstance(found, list):
                    await self._stateful.batch(request, responder, caller, place, found)
                    return
                if isinstance(found, dict) and wire.is_id(found.get("id")):
                    ident = found["id"]
                message = wire.check(found)
                if "method" in message and is_modern(message, request.fields):
                    await self._stateless.serve(request, responder, caller, place, message)
                else:
                    await self._stateful.post(request, responder, caller, place, message)
            elif method in (b"GET", b"DELETE") and self._has_session(request):
                await (self._stateful.get if method == b"GET" else self._stateful.delete)(
                    request, responder, caller, place
                )
            else:
                responder.respond(405, b"", headers=_METHODS if method in (b"GET", b"DELETE") else b"Allow: POST\r\n")
        except McpError as error:
            status = error.status or wire.STATUSES.get(error.code, 400)
            responder.respond(status, encode(wire.refusal(ident, error)))
        except GatewayError as error:
            self._refuse(responder, error, ident)

    async def _sse(self, request: Request, responder: Responder) -> None:
        ident: object = None
        try:
            check_origin(self.gateway.mcp, request.headers, request.fields)
            caller = await self.callers.of(request)
            if request.path == b"/mcp/sse" and request.method == b"GET":
                await self._sse_endpoint.listen(responder, caller, EVERYTHING)
            elif request.path == b"/mcp/messages" and request.method == b"POST":
                found = wire.decode(request.body)
                ident = found.get("id") if isinstance(found, dict) else None
                self.callers.check_scopes(request, found)
                await self._sse_endpoint.post(request, responder, caller, wire.check(found))
            else:
                method = b"GET" if request.path == b"/mcp/sse" else b"POST"
                responder.respond(405, b"", headers=b"Allow: %b\r\n" % method)
        except McpError as error:
            responder.respond(error.status or 400, encode(wire.refusal(ident, error)))
        except GatewayError as error:
            self._refuse(responder, error, ident)

    def _has_session(self, request: Request) -> bool:
        """Of revisions with sessions; the stateless one has neither method."""
        version = request.fields.get(b"mcp-protocol-version", b"").strip().decode("latin-1")
        return SESSION in request.fields and (not version or version in wire.LEGACY)

    def _refuse(self, responder: Responder, error: GatewayError, ident: object) -> None:
        told = McpError(GATEWAY_ERROR, error.message, {"code": error.code or error.kind, "type": error.type})
        headers = error.headers or (b"WWW-Authenticate: Bearer\r\n" if error.status == 401 else b"")
        responder.respond(error.status, encode(wire.refusal(ident, told)), headers=headers)
