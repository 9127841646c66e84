"""Agents of the management API: those in the database, beside those in the configuration files.

https://docs.litellm.ai/docs/a2a. Lists and single agents are told by the process with A2A, which knows their cards.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from fastapi import Request, Response

from routeiq.config.stored import agent_key, moment
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.management.bodies import Body, Id, Metadata, Words
from routeiq.control.management.masks import masked_params
from routeiq.control.routes import Route
from routeiq.control.shelf import Shelf, by, merged, serve
from routeiq.core.a2a import A2a
from routeiq.core.errors import BadRequest
from routeiq.core.stored import Stored, StoredAgent
from routeiq.store.vault import SecretsError

if TYPE_CHECKING:
    from routeiq.control.plane import Plane


class AgentFields(Body):
    """What may be said of an agent: what `agents` of a file has, in the words of LiteLLM's API."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("identity", "execution_mode", "kill_switch", "object_permission", "session_rpm_limit", "session_tpm_limit",
         "tpm_limit")
    )  # fmt: skip

    url: Words | None = None
    agent_card_params: Metadata | None = None
    litellm_params: Metadata | None = None
    auth_type: Id | None = None
    authentication_token: str | None = None
    static_headers: dict[str, str] | None = None
    extra_headers: list[Id] | None = None
    card_path: Words | None = None
    protocol_version: Id | None = None
    protocol_binding: Id | None = None
    card_signatures: Id | None = None
    access_groups: list[Id] | None = None
    allow_all_keys: bool | None = None
    enabled: bool | None = None
    timeout: float | None = None
    max_concurrent_requests: int | None = None
    rpm_limit: int | None = None

    def settings(self) -> dict[str, Any]:
        """What it says, as a file would; null for what it takes away."""
        return self.model_dump(include=self.model_fields_set - {"agent_id", "agent_name"})


class NewAgent(AgentFields):
    """`POST /v1/agents`."""

    agent_id: Id | None = None
    agent_name: Id


class AgentUpdate(AgentFields):
    """`PUT` and `PATCH /v1/agents/{agent_id}`: fields are put over those there are; null takes one away."""

    agent_name: Id | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: NewAgent) -> Response:
        """Add an agent. The answer comes when it is served."""
        plane.shelf.check_open(plane.current())
        id = body.agent_id or str(uuid.uuid4())
        for agent in _a2a(plane).agents:
            if id in (agent.id, agent.name) or body.agent_name in (agent.id, agent.name):
                raise BadRequest(f"There is an agent {agent.name} already.", param="agent_name")
        who = by(request.state.caller)
        settings = merged({}, body.settings())
        return _put(plane, StoredAgent(id=id, name=body.agent_name, settings=settings, created_by=who, updated_by=who))

    def update(request: Request, agent_id: str, body: AgentUpdate) -> Response:
        """Change an agent."""
        found = _existing(plane, agent_id)
        return _put(
            plane,
            msgspec.structs.replace(
                found,
                name=body.agent_name or found.name,
                settings=merged(found.settings, body.settings()),
                updated_by=by(request.state.caller),
            ),
        )

    def delete(agent_id: str) -> Response:
        """Forget an agent; what is under way with it is ended."""
        found = _existing(plane, agent_id)
        plane.shelf.repository.remove_agent(found.id)
        serve(plane)
        return json_answer({"message": f"Agent {agent_id} deleted successfully"})

    write = "agent:write"
    return (
        Route("POST", "/v1/agents", Access.MANAGE, new, write),
        Route("POST", "/a2a/agents", Access.MANAGE, new, write),
        Route("PUT", "/v1/agents/{agent_id}", Access.MANAGE, update, write),
        Route("PATCH", "/v1/agents/{agent_id}", Access.MANAGE, update, write),
        Route("DELETE", "/v1/agents/{agent_id}", Access.MANAGE, delete, write),
        Route("DELETE", "/a2a/agents/{agent_id}", Access.MANAGE, delete, write),
    )


def _a2a(plane: Plane) -> A2a:
    found = plane.current().a2a
    if found is None:
        raise BadRequest(
            "The A2A gateway is not running: set routeiq.a2a.enabled, or A2A_GATEWAY_ENABLED=true, and restart.",
            code="agents_off",
        )
    return found


def _existing(plane: Plane, id: str) -> StoredAgent:
    shelf: Shelf = plane.shelf
    shelf.check_open(plane.current())
    try:
        found = shelf.repository.agent(id)
    except SecretsError as error:
        raise BadRequest(f"{error}.", code="secrets_unreadable") from None
    if found is not None:
        return found
    if any(id in (agent.id, agent.name) for agent in _a2a(plane).agents):
        raise BadRequest(f"The agent {id[:255]} is in a configuration file; change it there.", param="agent_id")
    raise BadRequest(f"There is no agent {id[:255]} in the database.", status=404, code="agent_not_found")


def _put(plane: Plane, made: StoredAgent) -> Response:
    shelf, kept = plane.shelf, [made]

    def edit(rows: Stored) -> Stored:
        others = tuple(item for item in rows.agents if item.id != made.id)
        if any(item.name == made.name for item in others):
            raise BadRequest(f"There is an agent {made.name} already.", param="agent_name")
        return msgspec.structs.replace(rows, agents=(*others, made))

    def store() -> None:
        kept[0] = shelf.repository.put_agent(made)

    shelf.change(edit, lambda _: (agent_key(made.id),), store)
    serve(plane)
    return json_answer(_shown(kept[0]))


def _shown(item: StoredAgent) -> dict[str, Any]:
    """A row as LiteLLM answers with it, less secrets."""
    return {
        **masked_params(item.settings),
        "agent_id": item.id,
        "agent_name": item.name,
        "created_at": moment(item.created_at),
        "created_by": item.created_by,
        "updated_at": moment(item.updated_at),
        "updated_by": item.updated_by,
    }
