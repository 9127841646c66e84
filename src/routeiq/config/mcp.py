"""Compiles `mcp_servers` and `routeiq.mcp`."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from typing import Any

import msgspec
from pydantic import ValidationError

from routeiq.config import openapi
from routeiq.config.address import Address, is_loopback, parse_base
from routeiq.config.context import Context, flag_of
from routeiq.config.outbound import TOKENS, headers_of
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.mcp import McpCost, McpServerSettings
from routeiq.core import mcp
from routeiq.core.mcp import Jwt, Leaks, Mcp, McpServer, OAuth, ToolLoop
from routeiq.core.money import nano

ENABLED_ENV = "MCP_GATEWAY_ENABLED"
CALLS_ENV = "LLMROUTER_ENABLE_MCP_TOOL_INVOCATION"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TAKEN = frozenset(("sse", "messages", "oauth", "proxy"))
"""Names under `/mcp/` that are no server's."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_SERVED = ("oauth2", "none", "api_key", "basic", *TOKENS)
_WEBSOCKET = {"ws": "http", "wss": "https"}


def enabled(ctx: Context) -> bool:
    """Whether there is an MCP gateway: `MCP_GATEWAY_ENABLED`, else `routeiq.mcp.enabled`, else where it has servers."""
    asked = flag_of(ctx, ENABLED_ENV)
    if asked is None:
        asked = ctx.config.routeiq.mcp.enabled
    return bool(ctx.config.mcp_servers) if asked is None else asked


def compile_mcp(ctx: Context, host: str | None) -> Mcp | None:
    """The gateway, or `None` where there is none. `host` is where the server listens."""
    if host is None or not enabled(ctx):
        return None
    own = ctx.config.routeiq.mcp
    calls = flag_of(ctx, CALLS_ENV)
    if calls is None:
        calls = bool(own.tool_calls)
    servers = [server for name, settings in ctx.config.mcp_servers if (server := _server(ctx, name, settings))]
    _check_names(ctx, servers)
    if servers and not calls:
        hint = f"set routeiq.mcp.tool_calls or {CALLS_ENV} to true"
        ctx.warning(("mcp_servers",), "tools are listed and can't be called: calls are not switched on", hint)
    hosts = own.allowed_hosts
    if hosts is None:
        hosts = list(_LOCAL) if is_loopback(host) else []
    names = ("prefix", "separator", "max_result", "page", "catalog_seconds", "session_seconds", "max_sessions",
             "pinning", "scan", "search_over", "public_url")  # fmt: skip
    return Mcp(
        servers=tuple(servers),
        calls=calls,
        hosts=tuple(name.strip("[]").lower() for name in hosts),
        toolsets=_toolsets(ctx, servers),
        jwt=_jwt(ctx),
        ask_destructive=own.ask_destructive,
        leaks=Leaks(arguments=own.leaks.arguments, results=own.leaks.results, kinds=tuple(own.leaks.kinds)),
        loop=ToolLoop(
            rounds=own.tool_loop.max_rounds or ToolLoop().rounds,
            cost=nano(own.tool_loop.max_cost) if own.tool_loop.max_cost is not None else None,
        ),
        origins=tuple(origin.rstrip("/").lower() for origin in own.allowed_origins),
        **{name: value for name in names if (value := getattr(own, name)) is not None},
    )


def _jwt(ctx: Context) -> Jwt | None:
    own, path = ctx.config.routeiq.mcp, ("routeiq", "mcp", "jwt")
    settings = own.jwt
    if settings is None:
        return None
    if settings.issuer is None or settings.jwks_url is None:
        ctx.error(path, "needs an issuer and a jwks_url")
        return None
    try:
        address = parse_base(settings.jwks_url.partition("?")[0])
    except ValueError as error:
        ctx.error((*path, "jwks_url"), str(error))
        return None
    if address.scheme == "http" and not address.loopback:
        ctx.error((*path, "jwks_url"), "must be https: whoever can change the keys can be anybody")
    if not settings.audience and not own.public_url:
        ctx.error(path, "needs an audience, or routeiq.mcp.public_url", "a token for another service must not do here")
    if find_spec("joserfc") is None:
        ctx.error(path, "needs the extra: pip install 'routeiq[mcp]'")
    return Jwt(
        issuer=settings.issuer,
        jwks_url=settings.jwks_url,
        jwks_host=address.host,
        audience=tuple(settings.audience),
        algorithms=tuple(settings.algorithms),
        user_claim=settings.user_id_jwt_field or Jwt(issuer="", jwks_url="", jwks_host="").user_claim,
        team_claim=settings.team_id_jwt_field or "",
        scopes=tuple(settings.scopes),
        call_scopes=tuple(settings.call_scopes),
    )


def _toolsets(ctx: Context, servers: list[McpServer]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Sets by name, their servers by id."""
    out: dict[str, dict[str, tuple[str, ...]]] = {}
    words = {word: server for server in servers for word in (server.id, server.name, server.prefix)}
    for name, parts in ctx.config.routeiq.mcp.toolsets.items():
        path: Path = ("routeiq", "mcp", "toolsets", name)
        if not _NAME.fullmatch(name) or name in _TAKEN or name in words:
            ctx.error(path, "is not a name for a toolset, or is a server's")
        for word in parts:
            if word not in words:
                ctx.error((*path, word), "is not one of mcp_servers", did_you_mean(word, words))
        out[name] = {words[word].id: tuple(tools) for word, tools in parts.items() if word in words}
    return out


def digested(found: Mcp | None) -> Mcp | None:
    """The same without secrets, for a revision."""
    if found is None:
        return None
    return msgspec.structs.replace(
        found,
        servers=tuple(
            McpServer(id=server.id, name=server.name, prefix=_digest(msgspec.json.encode(server, order="sorted")))
            for server in found.servers
        ),
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_names(ctx: Context, servers: list[McpServer]) -> None:
    """Names, prefixes and ids are each one server's."""
    taken: dict[str, str] = {}
    for server in servers:
        for word in {server.name.lower(), server.prefix.lower(), server.id.lower()}:
            other = taken.setdefault(word, server.name)
            if other != server.name:
                ctx.error(("mcp_servers", server.name), f"is called {word}, and so is the server {other}")


def _server(ctx: Context, name: str, settings: McpServerSettings) -> McpServer | None:
    path: Path = ("mcp_servers", name)
    if not _NAME.fullmatch(name) or name in _TAKEN:
        hint = f"it may not be {', '.join(sorted(_TAKEN))}"
        ctx.error(path, "is not a name for a server: 1 to 64 letters, digits, dots, dashes and underscores", hint)
        return None
    if settings.alias is not None and not _NAME.fullmatch(settings.alias):
        ctx.error((*path, "alias"), "must be 1 to 64 letters, digits, dots, dashes and underscores")
    aliases = ctx.config.litellm.mcp_aliases
    alias = settings.alias or next((alias for alias, target in aliases.items() if target == name), None)
    transport = mcp.HTTP if settings.transport == "streamable_http" else settings.transport
    where: dict[str, Any] = {}
    address: Address | None = None
    document: dict[str, Any] = {}
    stored = name in ctx.stored_servers
    if settings.spec_path is not None:
        if stored:
            ctx.error((*path, "spec_path"), "is a file, which only servers of the configuration file may have")
            return None
        transport = mcp.OPENAPI
        try:
            document = openapi.read(settings.spec_path)
        except ValueError as error:
            ctx.error((*path, "spec_path"), str(error))
            return None
    if settings.auth_type not in _SERVED:
        _leave_out(ctx, (*path, "auth_type"), f"{settings.auth_type} is not served yet")
        return None
    if transport == mcp.WEBSOCKET and find_spec("websockets") is None:
        ctx.error((*path, "transport"), "needs the extra: pip install 'routeiq[mcp]'")
    if transport == mcp.STDIO:
        if not _command(ctx, settings, path):
            return None
        where = {"command": settings.command, "args": tuple(settings.args), "env": settings.env}
    else:
        url = settings.url or openapi.base_of(document)
        address = _address(ctx, settings, url, path)
        if address is None:
            return None
        target, _, query = (url or "").partition("?")
        where = {
            "scheme": address.scheme,
            "host": address.host,
            "port": address.port,
            "target": (address.path + ("/" if target.endswith("/") else "") or "/") + (f"?{query}" if query else ""),
            "host_header": address.host_header,
        }
        verify = ctx.config.litellm.ssl_verify
        where |= {"ca_file": verify} if isinstance(verify, str) else {"verify_tls": verify is not False}
    trusted = not stored or where.get("host") in ctx.config.routeiq.mcp.stored_private_hosts
    if not trusted and address is not None and not address.public:
        hint = "if it shall, name its host in routeiq.mcp.stored_private_hosts"
        ctx.error((*path, "url"), "leads into a private network, where servers of the database may not be", hint)
    cost = _cost(ctx, settings, path)
    return McpServer(
        id=settings.server_id or _digest(f"{name}|{settings.url}|{transport}|{settings.command}".encode())[:32],
        name=name,
        prefix=alias or name,
        transport=transport,
        trusted=trusted,
        version=settings.protocol_version,
        headers=headers_of(ctx, settings, path),
        operations=openapi.operations(document),
        oauth=_oauth(ctx, settings, path) if settings.auth_type == "oauth2" else None,
        forward=tuple(header.lower() for header in settings.extra_headers),
        description=settings.description or str(settings.mcp_info.get("description", "")),
        instructions=settings.instructions or "",
        info=msgspec.json.encode(settings.mcp_info),
        access_groups=tuple(settings.access_groups),
        open=settings.allow_all_keys,
        allowed=tuple(settings.allowed_tools) if settings.allowed_tools is not None else None,
        denied=tuple(settings.disallowed_tools),
        params={tool: tuple(names) for tool, names in settings.allowed_params.items()},
        titles=settings.tool_name_to_display_name,
        descriptions=settings.tool_name_to_description,
        timeout=settings.timeout or McpServer(id="", name="", prefix="").timeout,
        parallel=settings.max_concurrent_requests,
        rpm=settings.rpm,
        cost=nano(cost.default_cost_per_query),
        costs={tool: nano(each) for tool, each in cost.tool_name_to_cost_per_query.items()},
        sampling=settings.allow_sampling,
        elicitation=settings.allow_elicitation,
        **where,
    )


def _command(ctx: Context, settings: McpServerSettings, path: Path) -> bool:
    """A process is started only where the operator has listed its command."""
    if settings.command is None:
        ctx.error((*path, "command"), "is required for stdio")
        return False
    own = ctx.config.routeiq.mcp
    if path[1] in ctx.stored_servers and not own.stored_stdio:
        ctx.error(
            (*path, "transport"), "stdio is for servers of the configuration file", "or set routeiq.mcp.stored_stdio"
        )
        return False
    if settings.command not in own.stdio_commands:
        hint = "add it to routeiq.mcp.stdio_commands"
        _leave_out(ctx, (*path, "command"), "is not a program that may be run", hint)
        return False
    return True


def _leave_out(ctx: Context, path: Path, message: str, hint: str = "") -> None:
    """Of a file the rest is served; what an admin has just written is refused."""
    if path[1] in ctx.stored_servers:
        ctx.error(path, message, hint)
    else:
        ctx.warning(path, f"{message}; the server is left out", hint)


def _address(ctx: Context, settings: McpServerSettings, told: str | None, path: Path) -> Address | None:
    if told is None:
        if not ctx.broken((*path, "url")):
            ctx.error((*path, "url"), "is required")
        return None
    url = told.partition("?")[0]
    scheme, _, rest = url.partition("://")
    if settings.transport == "websocket":
        url = f"{_WEBSOCKET.get(scheme, '-')}://{rest}"
    try:
        address = parse_base(url)
    except ValueError as error:
        told = str(error)
        if settings.transport == "websocket":
            told = told.replace("http:// or https://", "ws:// or wss://")
        ctx.error((*path, "url"), told)
        return None
    if address.scheme == "http" and address.public and settings.auth_type != "none":
        ctx.warning((*path, "url"), "sends credentials without TLS")
    return address


def _oauth(ctx: Context, settings: McpServerSettings, path: Path) -> OAuth:
    """What is known of the authorization server; the rest is found out when the server asks for a token."""
    flow = settings.oauth2_flow or "authorization_code"
    if flow == "client_credentials" and not (settings.client_id and settings.client_secret):
        ctx.error((*path, "client_id"), "and client_secret are required for client_credentials")
    if settings.transport not in ("http", "streamable_http"):
        ctx.error((*path, "auth_type"), "oauth2 is for servers over streamable HTTP")
    hosts: set[str] = set()
    for name in ("url", "issuer", "authorization_url", "token_url", "registration_url"):
        url = getattr(settings, name)
        try:
            if url is not None:
                hosts.add(parse_base(url.partition("?")[0]).host)
        except ValueError as error:
            if name != "url":  # of which others tell
                ctx.error((*path, name), str(error))
    if path[1] in ctx.stored_servers:
        hosts.intersection_update(ctx.config.routeiq.mcp.stored_private_hosts)
    resource = settings.upstream_resource
    return OAuth(
        flow=flow,
        client_id=settings.client_id or "",
        client_secret=settings.client_secret or "",
        auth_method=settings.token_endpoint_auth_method or "",
        scopes=tuple(settings.scopes),
        issuer=settings.issuer or "",
        authorization_url=settings.authorization_url or "",
        token_url=settings.token_url or "",
        registration_url=settings.registration_url or "",
        resource="auto" if resource is None else resource,
        trusted_hosts=tuple(sorted(hosts)),
        metadata_url=ctx.config.routeiq.mcp.client_metadata_url or "",
    )


def _cost(ctx: Context, settings: McpServerSettings, path: Path) -> McpCost:
    """What LiteLLM keeps under `mcp_info.mcp_server_cost_info`."""
    found = settings.mcp_info.get("mcp_server_cost_info") or {}
    try:
        return McpCost.model_validate(found)
    except ValidationError:
        ctx.error((*path, "mcp_info", "mcp_server_cost_info"), "must have default_cost_per_query and "
                  "tool_name_to_cost_per_query, in US dollars")  # fmt: skip
        return McpCost()
