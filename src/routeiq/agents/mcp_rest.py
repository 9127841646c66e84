"""Servers and tools without JSON-RPC: LiteLLM's `/mcp-rest` and `/v1/mcp`, and `/llmrouter/mcp`.

https://docs.litellm.ai/docs/mcp_rest_api
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import msgspec

from routeiq import __version__
from routeiq.agents.envelope import check_origin
from routeiq.agents.responder import Responder
from routeiq.agents.tokens import CALL, McpCallers
from routeiq.core.errors import BadRequest, Forbidden, GatewayError, Overloaded, UnknownPath, UpstreamUnreachable
from routeiq.core.mcp import McpServer
from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.accounting import Refused
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.sessions import Sessions
from routeiq.mcp.turn import ModernTurn
from routeiq.mcp.upstream.server import Upstream
from routeiq.mcp.view import Place
from routeiq.mcp.wire import INVALID_PARAMS, McpError, Message, Unavailable, encode
from routeiq.process.heads import Request

if TYPE_CHECKING:
    from routeiq.agents.server import Handler

HEALTH_SECONDS = 10.0
"""How long a server may take to show that it is well."""

Answer = Callable[["_Asked"], Awaitable[Any]]


class RestTurn(ModernTurn):
    """A request without an envelope: nothing can be asked back."""

    checked = False

    def __init__(self, caller: Caller, place: Place, fields: dict[bytes, bytes]) -> None:
        super().__init__(caller, place, fields, {"_meta": {wire.META_CAPABILITIES: {}}})


class _Asked:
    """One request."""

    def __init__(self, request: Request, caller: Caller, words: tuple[str, ...]) -> None:
        self.caller = caller
        self.fields = request.fields
        self.words = words
        """What stands in the path where the table has `*`."""
        self._request = request

    def query(self, name: str) -> str:
        """A parameter of the query, or nothing."""
        return parse_qs(self._request.query.decode("latin-1")).get(name, [""])[0]

    def body(self) -> Message:
        """The body. Raises `BadRequest` unless it is a JSON object."""
        try:
            found = msgspec.json.decode(self._request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if not isinstance(found, dict):
            raise BadRequest("The body must be a JSON object.")
        return found

    @property
    def has_body(self) -> bool:
        """Whether there is one."""
        return bool(self._request.body)

    def origin(self) -> str:
        """How the client calls the gateway."""
        host = self.fields.get(b"host", b"localhost").decode("latin-1")
        scheme = self.fields.get(b"x-forwarded-proto", b"http").decode("latin-1")
        return f"{scheme if scheme in ('http', 'https') else 'http'}://{host}"


class RestFace:
    """`agents.server.Face` of what is not JSON-RPC."""

    def __init__(self, gateway: Gateway, sessions: Sessions, callers: McpCallers) -> None:
        self._callers = callers
        self._gateway = gateway
        self._sessions = sessions
        own = "/llmrouter/mcp"
        self._table: list[tuple[bytes, str, Answer]] = [
            (b"GET", "/mcp-rest/tools/list", self._rest_tools),
            (b"POST", "/mcp-rest/tools/call", self._rest_call),
            (b"GET", "/v1/mcp/server", self._servers),
            (b"GET", "/v1/mcp/server/health", self._health),
            (b"GET", "/v1/mcp/server/*", self._server),
            (b"GET", "/v1/mcp/server/*/pin", self._pins),
            (b"POST", "/v1/mcp/server/*/pin", self._pin),
            (b"DELETE", "/v1/mcp/server/*/pin", self._unpin),
            (b"GET", "/v1/mcp/toolset", self._toolsets),
            (b"GET", "/v1/mcp/tools", self._tools),
            (b"GET", "/v1/mcp/access_groups", self._groups),
            (b"GET", "/v1/mcp/registry.json", self._registry),
            (b"GET", "/v1/mcp/sessions", self._list_sessions),
            (b"DELETE", "/v1/mcp/sessions", self._end_sessions),
            (b"GET", f"{own}/servers", self._servers),
            (b"GET", f"{own}/servers/*", self._server),
            (b"GET", f"{own}/tools", self._tool_names),
            (b"GET", f"{own}/tools/list", self._own_tools),
            (b"GET", f"{own}/tools/*", self._own_tool),
            (b"GET", f"{own}/resources", self._resources),
            (b"POST", f"{own}/tools/call", self._own_call),
            (b"GET", f"/v1{own}/server/health", self._health),
            (b"GET", f"/v1{own}/server/*/health", self._one_health),
            (b"GET", f"/v1{own}/registry.json", self._registry),
            (b"GET", f"/v1{own}/access_groups", self._groups),
        ]

    def find(self, request: Request) -> Handler | None:
        """A row of the table."""
        path = unquote(request.path.decode("latin-1")).rstrip("/")
        allowed = []
        for method, pattern, answer in self._table:
            words = _match(pattern, path)
            if words is None:
                continue
            if method == request.method:
                return functools.partial(self._serve, words=words, answer=answer)
            allowed.append(method)
        if allowed:
            return functools.partial(_not_allowed, methods=allowed)
        return None

    async def _serve(self, request: Request, responder: Responder, words: tuple[str, ...], answer: Answer) -> None:
        try:
            check_origin(self._gateway.mcp, request.headers, request.fields)
            caller = await self._callers.of(request)
            if request.path.endswith(b"/tools/call"):
                self._callers.check_scopes(request, {"method": CALL})
            result = await answer(_Asked(request, caller, words))
        except McpError as error:
            raise told(error) from None
        responder.respond(200, encode(result))

    # servers

    async def _servers(self, asked: _Asked) -> Any:
        return [self._shown(asked.caller, upstream) for upstream in self._granted(asked.caller)]

    async def _server(self, asked: _Asked) -> Any:
        return self._shown(asked.caller, self._one(asked.caller, asked.words[0]))

    async def _health(self, asked: _Asked) -> Any:
        wanted = {word for word in asked.query("server_ids").split(",") if word}
        found = [one for one in self._granted(asked.caller) if not wanted or one.server.id in wanted]
        return await asyncio.gather(*(self._probed(asked.caller, one) for one in found))

    async def _one_health(self, asked: _Asked) -> Any:
        return await self._probed(asked.caller, self._one(asked.caller, asked.words[0]))

    async def _groups(self, asked: _Asked) -> Any:
        groups = {group for one in self._granted(asked.caller) for group in one.server.access_groups}
        return {"access_groups": sorted(groups)}

    async def _registry(self, asked: _Asked) -> Any:
        """https://github.com/modelcontextprotocol/registry: what a client has to know to connect."""
        wanted = {word for word in asked.query("access_groups").split(",") if word}
        servers = []
        for one in self._granted(asked.caller):
            server = one.server
            if wanted and wanted.isdisjoint(server.access_groups):
                continue
            remote = {"type": "streamable-http", "url": f"{asked.origin()}/{server.name}/mcp"}
            servers.append(
                {
                    "server": {
                        "name": server.name, "title": server.prefix, "version": __version__,
                        "description": server.description, "remotes": [remote],
                    }
                }
            )  # fmt: skip
        return {"servers": servers}

    async def _probed(self, caller: Caller, upstream: Upstream) -> Message:
        """A server that was asked just now."""
        access = upstream.access({}, caller.key.id)
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await access.read(wait=True)
        except TimeoutError:
            access.error = f"It did not answer within {HEALTH_SECONDS:g} s."
        status, error = upstream.health
        return {
            "server_id": upstream.server.id,
            "server_name": upstream.server.name,
            "status": status,
            "health_check_error": error or None,
        }

    def _granted(self, caller: Caller) -> list[Upstream]:
        grants = self._gateway.registry.grants(caller.key, everything=self._gateway.open)
        return [self._gateway.registry.upstreams[ident] for ident, _ in grants]

    def _one(self, caller: Caller, word: str) -> Upstream:
        for upstream in self._granted(caller):
            if word in (upstream.server.id, upstream.server.name, upstream.server.prefix):
                return upstream
        raise UnknownPath(f"There is no MCP server {word[:200]!r} here.", code="mcp_server_not_found")

    def _shown(self, caller: Caller, upstream: Upstream) -> Message:
        """In LiteLLM's words; what may hold a secret is told to nobody, addresses to admins."""
        server = upstream.server
        status, error = upstream.health
        out: Message = {
            "server_id": server.id,
            "server_name": server.name,
            "alias": server.prefix if server.prefix != server.name else None,
            "description": server.description or None,
            "transport": server.transport,
            "mcp_info": {**msgspec.json.decode(server.info), "server_name": server.name},
            "mcp_access_groups": list(server.access_groups),
            "allow_all_keys": server.open,
            "allowed_tools": list(server.allowed) if server.allowed is not None else [],
            "extra_headers": list(server.forward),
            "status": status,
            "health_check_error": error or None,
        }
        if caller.key.admin:
            out["url"] = _address(server)
        return out

    # tools

    async def _rest_tools(self, asked: _Asked) -> Any:
        wanted = asked.query("server_id")
        chosen = [self._one(asked.caller, wanted)] if wanted else self._granted(asked.caller)
        tools: list[Message] = []
        errors = []
        for upstream in chosen:
            found = await self._entries(asked, upstream)
            info = {"server_id": upstream.server.id, "alias": upstream.server.prefix}
            told = self._shown(asked.caller, upstream)["mcp_info"]
            tools += [{**tool, "mcp_info": {**told, **info}} for tool in found]
            if upstream.health[1]:
                errors.append(f"{upstream.server.name}: {upstream.health[1]}")
        message = "Successfully retrieved tools" if not errors else "; ".join(errors)
        return {"tools": tools, "error": "partial_failure" if errors else None, "message": message}

    async def _rest_call(self, asked: _Asked) -> Any:
        body = asked.body()
        server, name = body.get("server_id"), body.get("name")
        if not isinstance(server, str) or not isinstance(name, str):
            raise BadRequest("server_id and name are required.")
        upstream = self._one(asked.caller, server)
        return await self._call(asked, _place(upstream), name, body.get("arguments"))

    async def _tools(self, asked: _Asked) -> Any:
        turn = RestTurn(asked.caller, Place(), asked.fields)
        return {"tools": (await self._gateway.view(turn)).entries("tools/list")}

    async def _tool_names(self, asked: _Asked) -> Any:
        return {"tools": [tool["name"] for tool in (await self._tools(asked))["tools"]]}

    async def _own_tools(self, asked: _Asked) -> Any:
        tools = [self._own_shown(name, tool) for name, tool in await self._all(asked)]
        return {"tools": tools, "count": len(tools)}

    async def _own_tool(self, asked: _Asked) -> Any:
        for name, tool in await self._all(asked):
            if name == asked.words[0]:
                return self._own_shown(name, tool)
        raise UnknownPath(f"There is no tool {asked.words[0][:200]!r} here.", code="tool_not_found")

    async def _all(self, asked: _Asked) -> list[tuple[str, Any]]:
        view = await self._gateway.view(RestTurn(asked.caller, Place(), asked.fields))
        return list(view.tools.items())

    def _own_shown(self, name: str, tool: Any) -> Message:
        return {
            "name": name,
            "server_id": tool.server.id,
            "server_name": tool.server.name,
            "description": tool.raw.get("description"),
            "input_schema": tool.raw.get("inputSchema"),
        }

    async def _resources(self, asked: _Asked) -> Any:
        view = await self._gateway.view(RestTurn(asked.caller, Place(), asked.fields))
        return {"resources": [one["uri"] for one in view.entries("resources/list")]}

    async def _own_call(self, asked: _Asked) -> Any:
        body = asked.body()
        name = body.get("tool_name")
        if not isinstance(name, str):
            raise BadRequest("tool_name is required.")
        result = await self._call(asked, Place(), name, body.get("arguments"))
        tool = next(tool for shown, tool in await self._all(asked) if shown == name)
        return {"status": "success", "tool_name": name, "server_id": tool.server.id, "result": result}

    async def _entries(self, asked: _Asked, upstream: Upstream) -> list[Message]:
        turn = RestTurn(asked.caller, _place(upstream), asked.fields)
        return (await self._gateway.view(turn)).entries("tools/list")

    async def _call(self, asked: _Asked, place: Place, name: str, arguments: Any) -> Message:
        turn = RestTurn(asked.caller, place, asked.fields)
        return await self._gateway.call(turn, {"name": name, "arguments": arguments or {}})

    # definitions

    async def _pins(self, asked: _Asked) -> Any:
        upstream = self._administered(asked)
        await upstream.access({}, asked.caller.key.id).read(wait=True)
        return {"server_id": upstream.server.id, "differences": self._gateway.pins.differences(upstream.server)}

    async def _pin(self, asked: _Asked) -> Any:
        upstream = self._administered(asked)
        tools = asked.body().get("tools") if asked.has_body else None
        if tools is not None and not (isinstance(tools, list) and all(isinstance(name, str) for name in tools)):
            raise BadRequest("tools must be a list of names.", param="tools")
        await upstream.access({}, asked.caller.key.id).read(wait=True)
        self._gateway.pins.approve(upstream.server, tools)
        return await self._read_again(asked, upstream)

    async def _unpin(self, asked: _Asked) -> Any:
        upstream = self._administered(asked)
        self._gateway.pins.forget(upstream.server)
        return await self._read_again(asked, upstream)

    async def _read_again(self, asked: _Asked, upstream: Upstream) -> Message:
        await upstream.access({}, asked.caller.key.id).read(wait=True)
        return {"server_id": upstream.server.id, "differences": self._gateway.pins.differences(upstream.server)}

    def _administered(self, asked: _Asked) -> Upstream:
        _only_admins(asked.caller)
        return self._one(asked.caller, asked.words[0])

    async def _toolsets(self, asked: _Asked) -> Any:
        granted = {one.server.id: one.server.name for one in self._granted(asked.caller)}
        return [
            {
                "toolset_id": name,
                "toolset_name": name,
                "tools": {granted[ident]: list(tools) for ident, tools in parts.items() if ident in granted},
            }
            for name, parts in self._gateway.mcp.toolsets.items()
            if not granted.keys().isdisjoint(parts)
        ]

    # sessions

    async def _list_sessions(self, asked: _Asked) -> Any:
        _only_admins(asked.caller)
        return {"sessions": self._sessions.shown(), "count": len(self._sessions)}

    async def _end_sessions(self, asked: _Asked) -> Any:
        _only_admins(asked.caller)
        count = len(self._sessions)
        await self._sessions.close()
        return {"deleted": count}

    # a face has these

    def adopt(self, snapshot: Any) -> None:
        """The gateway has taken it."""

    def tidy(self, now: float) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is open."""


def _match(pattern: str, path: str) -> tuple[str, ...] | None:
    """What stands for each `*` of a pattern."""
    wanted, found = pattern.split("/"), path.split("/")
    if len(wanted) != len(found):
        return None
    words = []
    for one, other in zip(wanted, found, strict=True):
        if one == "*" and other:
            words.append(other)
        elif one != other:
            return None
    return tuple(words)


async def _not_allowed(request: Request, responder: Responder, methods: list[bytes]) -> None:  # noqa: ARG001
    told = b", ".join(methods)
    raise BadRequest(
        f"This endpoint takes {told.decode()} only.",
        status=405, code="method_not_allowed", headers=b"Allow: %b\r\n" % told,
    )  # fmt: skip


def _only_admins(caller: Caller) -> None:
    if not caller.key.admin:
        raise Forbidden("Only admins may do this.", code="not_allowed")


def _place(upstream: Upstream) -> Place:
    return Place(f"/mcp/{upstream.server.name}", (upstream.server.id,), single=True)


def _address(server: McpServer) -> str:
    """Without its query, which may hold a secret."""
    if server.command:
        return server.command
    return f"{server.scheme}://{server.host_header}{server.target.partition('?')[0]}"


def told(error: McpError) -> GatewayError:
    """A failure as a client of REST is told."""
    data = error.data if isinstance(error.data, dict) else {}
    code = str(data.get("code") or "")
    if isinstance(error, Unavailable):
        return UpstreamUnreachable(error.message, code="mcp_server_unavailable")
    if code == "tool_invocation_disabled":
        return GatewayError(error.message, status=501, type="invalid_request_error", code="tool_invocation_disabled")
    if isinstance(error, Refused):
        if error.event_status == 503:
            return Overloaded(error.message, code=code)
        return GatewayError(error.message, status=error.event_status, type=str(data.get("type") or ""), code=code)
    if error.code == INVALID_PARAMS:
        return BadRequest(error.message, status=404, code="tool_not_found")
    return BadRequest(error.message, status=error.status or 502, code="mcp_error")
