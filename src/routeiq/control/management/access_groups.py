"""Access groups of the management API: one name for several models, to give to keys, users and teams.

https://docs.litellm.ai/docs/proxy/model_access_groups
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request, Response

from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.auth import may_see
from routeiq.control.management.bodies import Body, Id, Names
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

    write = functools.partial(Route, access=Access.MANAGE, operation="access_group:write")
    read = functools.partial(Route, access=Access.MANAGE, operation="access_group:read")
    return (
        write(method="POST", path="/access_group/new", endpoint=new),
        read(method="GET", path="/access_group/list", endpoint=listed),
        read(method="GET", path="/access_group/{access_group}/info", endpoint=info),
        write(method="PUT", path="/access_group/{access_group}/update", endpoint=update),
        write(method="DELETE", path="/access_group/{access_group}/delete", endpoint=delete),
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


def _shown(snapshot: Snapshot, name: str, caller: Caller) -> dict[str, Any]:
    """A group with the models of it the caller may see."""
    models = [model for model in snapshot.access_groups[name] if may_see(caller, model)]
    count = sum(len(snapshot.groups[model].deployments) for model in models if model in snapshot.groups)
    return {"access_group": name, "model_names": models, "deployment_count": count}
