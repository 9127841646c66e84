"""MCP servers of the management API: those in the database, beside those in the configuration files.

https://docs.litellm.ai/docs/mcp. Lists and single servers are told by the process with MCP, which knows how they are.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from fastapi import Request, Response
from pydantic import AfterValidator

from routeiq.config.stored import moment, server_key
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.management.bodies import Body, Id, Metadata, Words
from routeiq.control.management.masks import masked_params
from routeiq.control.routes import Route
from routeiq.control.shelf import Shelf, by, merged, serve
from routeiq.core.errors import BadRequest
from routeiq.core.mcp import Mcp
from routeiq.core.stored import Stored, StoredMcpServer
from routeiq.store.vault import SecretsError

if TYPE_CHECKING:
    from routeiq.control.plane import Plane


def _plain(value: str) -> str:
    if not all(c.isascii() and (c.isalnum() or c in "_-") for c in value):
        raise ValueError("must be letters, digits, dashes and underscores")
    return value


Name = Annotated[Id, AfterValidator(_plain)]
_RENAMED = {"mcp_access_groups": "access_groups"}
"""LiteLLM's name in a request for what a file has."""
_CREDENTIALS = {"auth_value": "authentication_token"}


class ServerFields(Body):
    """What may be said of a server: what `mcp_servers` of a file has, in the words of LiteLLM's API."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("spec_path", "spec_version", "teams", "is_byok", "byok_description", "available_on_public_internet",
         "approval_status", "source_url")
    )  # fmt: skip

    alias: Name | None = None
    description: Words | None = None
    url: Words | None = None
    transport: Id | None = None
    protocol_version: Id | None = None
    auth_type: Id | None = None
    credentials: Metadata | None = None
    """`auth_value`, or `client_id`, `client_secret` and `scopes`."""
    authentication_token: str | None = None
    mcp_info: Metadata | None = None
    mcp_access_groups: list[Id] | None = None
    allow_all_keys: bool | None = None
    allowed_tools: list[Id] | None = None
    disallowed_tools: list[Id] | None = None
    allowed_params: dict[str, list[str]] | None = None
    tool_name_to_display_name: dict[str, str] | None = None
    tool_name_to_description: dict[str, str] | None = None
    extra_headers: list[Id] | None = None
    static_headers: dict[str, str] | None = None
    instructions: str | None = None
    command: Words | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    oauth2_flow: Id | None = None
    issuer: Words | None = None
    authorization_url: Words | None = None
    token_url: Words | None = None
    registration_url: Words | None = None
    timeout: float | None = None
    max_concurrent_requests: int | None = None
    rpm: int | None = None
    allow_sampling: bool | None = None
    allow_elicitation: bool | None = None

    def settings(self) -> dict[str, Any]:
        """What it says, as a file would; null for what it takes away."""
        said = self.model_dump(include=self.model_fields_set - {"server_id", "server_name", "credentials"})
        for name, value in (self.credentials or {}).items():
            said[_CREDENTIALS.get(name, name)] = value
        return {_RENAMED.get(name, name): value for name, value in said.items()}


class NewServer(ServerFields):
    """`POST /v1/mcp/server`."""

    server_id: Id | None = None
    server_name: Name


class ServerUpdate(ServerFields):
    """`PUT /v1/mcp/server`: fields are put over those there are; null takes one away."""

    server_id: Id
    server_name: Name | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: NewServer) -> Response:
        """Add a server. The answer comes when it is served."""
        _open(plane)
        id = body.server_id or str(uuid.uuid4())
        for server in _mcp(plane).servers:
            if id in (server.id, server.name) or body.server_name in (server.id, server.name):
                raise BadRequest(f"There is an MCP server {server.name} already.", param="server_name")
        who = by(request.state.caller)
        settings = merged({}, body.settings())
        return _put(
            plane,
            StoredMcpServer(id=id, name=body.server_name, settings=settings, created_by=who, updated_by=who),
            status=201,
        )

    def update(request: Request, body: ServerUpdate) -> Response:
        """Change a server."""
        found = _existing(plane, body.server_id)
        return _put(
            plane,
            msgspec.structs.replace(
                found,
                name=body.server_name or found.name,
                settings=merged(found.settings, body.settings()),
                updated_by=by(request.state.caller),
            ),
            status=202,
        )

    def delete(server_id: str) -> Response:
        """Forget a server; its sessions end."""
        found = _existing(plane, server_id)
        plane.shelf.repository.remove_mcp_server(found.id)
        serve(plane)
        return Response(status_code=202)

    write = "mcp_server:write"
    return (
        Route("POST", "/v1/mcp/server", Access.MANAGE, new, write),
        Route("PUT", "/v1/mcp/server", Access.MANAGE, update, write),
        Route("DELETE", "/v1/mcp/server/{server_id}", Access.MANAGE, delete, write),
    )


def _open(plane: Plane) -> Shelf:
    plane.shelf.check_open(plane.current())
    return plane.shelf


def _mcp(plane: Plane) -> Mcp:
    found = plane.current().mcp
    if found is None:
        raise BadRequest(
            "The MCP gateway is not running: set routeiq.mcp.enabled, or MCP_GATEWAY_ENABLED=true, and restart.",
            code="mcp_off",
        )
    return found


def _existing(plane: Plane, id: str) -> StoredMcpServer:
    shelf = _open(plane)
    try:
        found = shelf.repository.mcp_server(id)
    except SecretsError as error:
        raise BadRequest(f"{error}.", code="secrets_unreadable") from None
    if found is not None:
        return found
    if any(id in (server.id, server.name) for server in _mcp(plane).servers):
        raise BadRequest(f"The MCP server {id[:255]} is in a configuration file; change it there.", param="server_id")
    raise BadRequest(f"There is no MCP server {id[:255]} in the database.", status=404, code="mcp_server_not_found")


def _put(plane: Plane, made: StoredMcpServer, *, status: int) -> Response:
    shelf, kept = plane.shelf, [made]

    def edit(rows: Stored) -> Stored:
        others = tuple(item for item in rows.mcp_servers if item.id != made.id)
        if any(item.name == made.name for item in others):
            raise BadRequest(f"There is an MCP server {made.name} already.", param="server_name")
        return msgspec.structs.replace(rows, mcp_servers=(*others, made))

    def store() -> None:
        kept[0] = shelf.repository.put_mcp_server(made)

    shelf.change(edit, lambda _: (server_key(made.id),), store)
    serve(plane)
    answer = json_answer(_shown(kept[0]))
    answer.status_code = status
    return answer


def _shown(item: StoredMcpServer) -> dict[str, Any]:
    """A row as LiteLLM answers with it, less secrets."""
    shown = masked_params(item.settings)
    shown["mcp_access_groups"] = shown.pop("access_groups", [])
    return {
        **shown,
        "server_id": item.id,
        "server_name": item.name,
        "created_at": moment(item.created_at),
        "created_by": item.created_by,
        "updated_at": moment(item.updated_at),
        "updated_by": item.updated_by,
    }
