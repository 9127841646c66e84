"""Access groups of the management API: one name for several models, to give to keys, users and teams.

https://docs.litellm.ai/docs/proxy/model_access_groups
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from fastapi import Request, Response

from routeiq.config.stored import moment
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.auth import may_see
from routeiq.control.management.bodies import Body, Id, Names, Words
from routeiq.control.routes import Route
from routeiq.control.shelf import by, serve
from routeiq.core.errors import BadRequest
from routeiq.core.stored import StoredAccessGroup

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.core.snapshot import Snapshot


class NewAccessGroup(Body):
    """`/access_group/new`."""

    access_group: Id
    model_names: Names


class AccessGroupUpdate(Body):
    """`/access_group/{access_group}/update`."""

    model_names: Names


class UnifiedAccessGroup(Body):
    """`POST /v1/access_group`, and `PUT /v1/access_group/{id}`, which changes what is said."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("access_mcp_server_ids", "access_agent_ids", "assigned_team_ids", "assigned_key_ids")
    )

    access_group_name: Id | None = None
    description: Words | None = None
    access_model_names: Names | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: NewAccessGroup) -> Response:
        """Make a group of models that are served."""
        if body.access_group in plane.current().access_groups or _find(plane, body.access_group) is not None:
            raise BadRequest(f"There is an access group called {body.access_group} already.", param="access_group")
        who = by(request.state.caller)
        group = StoredAccessGroup(name=body.access_group, created_by=who)
        return _put(plane, group, body.model_names, who)

    def update(request: Request, access_group: str, body: AccessGroupUpdate) -> Response:
        """Replace the models of a group in the database."""
        return _put(plane, _existing(plane, access_group), body.model_names, by(request.state.caller))

    def delete(access_group: str) -> Response:
        """Forget a group; keys that name it lose its models."""
        count = len(_existing(plane, access_group).models)
        plane.shelf.repository.remove_access_group(access_group)
        serve(plane)
        message = f"Access group '{access_group}' deleted successfully"
        return json_answer({"access_group": access_group, "models_updated": count, "message": message})

    def listed(request: Request) -> Response:
        """All groups, of the files and of the database."""
        snapshot, caller = plane.current(), request.state.caller
        shown = [_shown(snapshot, name, caller) for name in sorted(snapshot.access_groups)]
        return json_answer({"access_groups": [group for group in shown if group["model_names"] or caller.sees_all]})

    def info(request: Request, access_group: str) -> Response:
        """One group."""
        snapshot, caller = plane.current(), request.state.caller
        shown = _shown(snapshot, access_group, caller) if access_group in snapshot.access_groups else None
        if shown is None or not (shown["model_names"] or caller.sees_all):
            raise _missing(access_group)
        return json_answer(shown)

    def unified_new(request: Request, body: UnifiedAccessGroup) -> Response:
        """Make a group, whose id is its name."""
        name = body.access_group_name
        if name is None:
            raise BadRequest("access_group_name: is required", param="access_group_name")
        if name in plane.current().access_groups or _find(plane, name) is not None:
            raise BadRequest(f"There is an access group called {name} already.", param="access_group_name")
        who = by(request.state.caller)
        _put(plane, StoredAccessGroup(name=name, description=body.description or "", created_by=who),
             body.access_model_names or [], who)  # fmt: skip
        return json_answer(_unified(_existing(plane, name)))

    def unified_update(request: Request, access_group_id: str, body: UnifiedAccessGroup) -> Response:
        """Change a group of the database."""
        group = _existing(plane, access_group_id)
        if body.access_group_name not in (None, access_group_id):
            raise BadRequest("access_group_name: can't be changed.", param="access_group_name")
        if body.has("description"):
            group = msgspec.structs.replace(group, description=body.description or "")
        models = body.access_model_names if body.access_model_names is not None else list(group.models)
        _put(plane, group, models, by(request.state.caller))
        return json_answer(_unified(_existing(plane, access_group_id)))

    def unified_delete(access_group_id: str) -> Response:
        """Forget a group of the database."""
        delete(access_group_id)
        return Response(status_code=204)

    def unified_listed() -> Response:
        """The groups of the database."""
        return json_answer([_unified(group) for group in plane.shelf.repository.access_groups()])

    def unified_info(access_group_id: str) -> Response:
        """One of them."""
        return json_answer(_unified(_existing(plane, access_group_id)))

    write, read = "access_group:write", "access_group:read"
    return (
        Route("POST", "/access_group/new", Access.MANAGE, new, write),
        Route("GET", "/access_group/list", Access.MANAGE, listed, read),
        Route("GET", "/access_group/{access_group}/info", Access.MANAGE, info, read),
        Route("PUT", "/access_group/{access_group}/update", Access.MANAGE, update, write),
        Route("DELETE", "/access_group/{access_group}/delete", Access.MANAGE, delete, write),
        Route("GET", "/v1/access_group", Access.ADMIN_VIEW, unified_listed),
        Route("POST", "/v1/access_group", Access.MANAGE, unified_new, write),
        Route("GET", "/v1/access_group/{access_group_id}", Access.ADMIN_VIEW, unified_info),
        Route("PUT", "/v1/access_group/{access_group_id}", Access.MANAGE, unified_update, write),
        Route("DELETE", "/v1/access_group/{access_group_id}", Access.MANAGE, unified_delete, write),
    )


def _find(plane: Plane, name: str) -> StoredAccessGroup | None:
    return next((group for group in plane.shelf.repository.access_groups() if group.name == name), None)


def _existing(plane: Plane, name: str) -> StoredAccessGroup:
    found = _find(plane, name)
    if found is None:
        if name in plane.current().access_groups:
            raise BadRequest(
                f"The access group {name} is made by model_info.access_groups of deployments; change it there.",
                param="access_group",
            )
        raise _missing(name)
    return found


def _missing(name: str) -> BadRequest:
    return BadRequest(f"Access group '{name[:255]}' not found", status=404, param="access_group")


def _put(plane: Plane, group: StoredAccessGroup, models: list[str], who: str) -> Response:
    snapshot = plane.current()
    known = snapshot.groups.keys() | snapshot.aliases.keys()
    missing = [name for name in models if name not in known]
    if missing:
        raise BadRequest(f"No models are called {', '.join(missing[:10])}.", param="model_names")
    names = tuple(dict.fromkeys(models))
    plane.shelf.repository.put_access_group(msgspec.structs.replace(group, models=names, updated_by=who))
    serve(plane)
    return json_answer({"access_group": group.name, "model_names": names, "models_updated": len(names)})


def _unified(group: StoredAccessGroup) -> dict[str, Any]:
    return {
        "access_group_id": group.name,
        "access_group_name": group.name,
        "description": group.description or None,
        "access_model_names": group.models,
        "created_at": moment(group.created_at),
        "created_by": group.created_by,
        "updated_at": moment(group.updated_at),
        "updated_by": group.updated_by,
    }


def _shown(snapshot: Snapshot, name: str, caller: Caller) -> dict[str, Any]:
    """A group with the models of it the caller may see."""
    models = [model for model in snapshot.access_groups[name] if may_see(caller, model)]
    count = sum(len(snapshot.groups[model].deployments) for model in models if model in snapshot.groups)
    return {"access_group": name, "model_names": models, "deployment_count": count}
