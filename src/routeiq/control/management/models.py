"""Models of the management API: deployments in the database, and what is served altogether.

https://docs.litellm.ai/docs/proxy/model_management
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from routeiq.config.stored import moment
from routeiq.control.access import Access, Caller
from routeiq.control.answers import json_answer
from routeiq.control.auth import may_see, shows
from routeiq.control.management.bodies import Body, Id, Metadata
from routeiq.control.management.desk import missing
from routeiq.control.management.masks import masked_params
from routeiq.control.model_groups import model_group
from routeiq.control.routes import Route
from routeiq.control.shelf import Shelf, by, merged, serve
from routeiq.core.deployments import shown_params
from routeiq.core.errors import BadRequest
from routeiq.core.stored import Stored, StoredDeployment
from routeiq.store.vault import SecretsError

if TYPE_CHECKING:
    from routeiq.control.plane import Plane

MOST_ON_A_PAGE = 500


class NewModel(Body):
    """`/model/new`."""

    model_name: Id
    litellm_params: Metadata
    model_info: Metadata | None = None


class ModelUpdate(Body):
    """`/model/update`, which has the id in `model_info`, and `/model/{model_id}/update`, which has it in the path.

    Parameters are put over those there are; null takes one away.
    """

    model_name: Id | None = None
    litellm_params: Metadata | None = None
    model_info: Metadata | None = None
    blocked: bool | None = None


class ModelId(Body):
    """`/model/delete`."""

    id: Id


class ModelBlock(Body):
    """`/model/block` and `/model/unblock`."""

    model_id: Id


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: NewModel) -> Response:
        """Add a deployment. The answer comes when every worker serves it."""
        shelf = _open(plane)
        info = dict(body.model_info or {})
        id = _id_of(info) or str(uuid.uuid4())
        if _known(plane, shelf, id):
            raise BadRequest(f"There is a deployment with the id {id} already.", param="model_info.id")
        who = by(request.state.caller)
        info = _checked_info(info)
        _check_team(plane, info)
        made = StoredDeployment(
            id=id, name=body.model_name, params=body.litellm_params, info=info, created_by=who,
            updated_by=who,
        )  # fmt: skip
        told = _put(plane, shelf, made)
        _give_to_team(plane, made)
        return told

    def update(request: Request, body: ModelUpdate) -> Response:
        """Change a deployment by its `model_info.id`."""
        id = _id_of(dict(body.model_info or {}))
        if not id:
            raise BadRequest("model_info.id: names the deployment to change.", param="model_info.id")
        return _change(plane, id, body, by(request.state.caller))

    def patch(request: Request, model_id: str, body: ModelUpdate) -> Response:
        """Change a deployment."""
        id = _id_of(dict(body.model_info or {}))
        if id and id != model_id:
            raise BadRequest("model_info.id: can't be changed.", param="model_info.id")
        return _change(plane, model_id, body, by(request.state.caller))

    def delete(body: ModelId) -> Response:
        """Take a deployment out of the database."""
        shelf = _open(plane)
        if not shelf.repository.remove_deployment(body.id):
            raise _missing(plane, body.id)
        serve(plane)
        return json_answer({"message": f"Model: {body.id} deleted successfully"})

    def block(request: Request, body: ModelBlock) -> Response:
        """Call a deployment no more."""
        return _change(plane, body.model_id, ModelUpdate(blocked=True), by(request.state.caller))

    def unblock(request: Request, body: ModelBlock) -> Response:
        """Call a deployment again."""
        return _change(plane, body.model_id, ModelUpdate(blocked=False), by(request.state.caller))

    def page(
        request: Request,
        model: str | None = None,
        search: str | None = None,
        model_id: Annotated[str | None, Query(alias="modelId")] = None,
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
        size: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 50,
    ) -> Response:
        """What is served, page by page: of the files and of the database."""
        found = [
            item
            for item in _served(plane, request.state.caller)
            if (model is None or item["model_name"] == model)
            and (model_id is None or item["id"] == model_id)
            and (search is None or search.lower() in str(item["model_name"]).lower())
        ]
        for item in found:
            del item["id"]
        pages = -(-len(found) // size)
        shown = found[(page - 1) * size : page * size]
        return json_answer(
            {"data": shown, "total_count": len(found), "current_page": page, "total_pages": pages, "size": size}
        )

    def groups(request: Request, model_group: str | None = None) -> Response:
        """What each public name stands for: providers, prices, limits."""
        return json_answer({"data": _groups(plane, request.state.caller, model_group)})

    write, read = "model:write", "model:read"
    return (
        Route("POST", "/model/new", Access.MANAGE, new, write),
        Route("POST", "/model/update", Access.MANAGE, update, write),
        Route("PATCH", "/model/{model_id}/update", Access.MANAGE, patch, write),
        Route("POST", "/model/delete", Access.MANAGE, delete, write),
        Route("POST", "/model/block", Access.MANAGE, block, write),
        Route("POST", "/model/unblock", Access.MANAGE, unblock, write),
        Route("GET", "/v2/model/info", Access.MANAGE, page, read, open=True),
        Route("GET", "/model_group/info", Access.MANAGE, groups, read, open=True),
    )


def _open(plane: Plane) -> Shelf:
    plane.shelf.check_open(plane.current())
    return plane.shelf


def _id_of(info: dict[str, Any]) -> str:
    id = info.get("id")
    if id is not None and (not isinstance(id, str) or not 1 <= len(id) <= 255 or not id.isprintable()):
        raise BadRequest("model_info.id: must be text of 1 to 255 printable characters.", param="model_info.id")
    return id or ""


_OURS = ("id", "db_model", "created_at", "created_by", "updated_at", "updated_by", "blocked")
"""Of `model_info`: clients send back what they were given."""


def _checked_info(info: dict[str, Any]) -> dict[str, Any]:
    for name in ("team_id", "team_public_model_name"):
        if info.get(name) is not None and not isinstance(info[name], str):
            raise BadRequest(f"model_info.{name}: must be text.", param=f"model_info.{name}")
    return {name: value for name, value in info.items() if name not in _OURS}


def _check_team(plane: Plane, info: dict[str, Any]) -> None:
    """Raises `UnknownPath` for a model of a team that is not there."""
    team_id = info.get("team_id")
    if team_id:
        with plane.accounts.read() as db:
            if db.teams.get(team_id) is None:
                raise missing("team", team_id)


def _give_to_team(plane: Plane, made: StoredDeployment) -> None:
    """A team that may use some models only may use a new one of its own, too."""
    team_id = made.info.get("team_id")
    if not team_id:
        return
    public = made.info.get("team_public_model_name") or made.name
    with plane.accounts.write() as db:
        team = db.teams.lock(team_id)
        if team is not None and team.models and public not in team.models:
            db.teams.put(msgspec.structs.replace(team, models=(*team.models, public)))
    plane.changes.publish(subjects=(f"team:{team_id}",))


def _known(plane: Plane, shelf: Shelf, id: str) -> bool:
    return _find(shelf, id) is not None or any(item.id == id for item in plane.current().deployments)


def _find(shelf: Shelf, id: str) -> StoredDeployment | None:
    try:
        return shelf.repository.deployment(id)
    except SecretsError as error:
        raise BadRequest(f"{error}.", code="secrets_unreadable") from None


def _missing(plane: Plane, id: str) -> BadRequest:
    if any(item.id == id for item in plane.current().deployments):
        return BadRequest(f"The deployment {id} is in a configuration file; change it there.", param="id")
    return BadRequest(f"There is no deployment with the id {id} in the database.", param="id", code="model_not_found")


def _change(plane: Plane, id: str, body: ModelUpdate, who: str) -> Response:
    shelf = _open(plane)
    found = _find(shelf, id)
    if found is None:
        raise _missing(plane, id)
    return _put(
        plane,
        shelf,
        msgspec.structs.replace(
            found,
            name=body.model_name or found.name,
            params=merged(found.params, body.litellm_params or {}),
            info=merged(found.info, _checked_info(dict(body.model_info or {}))),
            blocked=found.blocked if body.blocked is None else body.blocked,
            updated_by=who,
        ),
    )


def _put(plane: Plane, shelf: Shelf, made: StoredDeployment) -> Response:
    kept = [made]

    def edit(rows: Stored) -> Stored:
        others = tuple(item for item in rows.deployments if item.id != made.id)
        return msgspec.structs.replace(rows, deployments=(*others, made))

    def store() -> None:
        kept[0] = shelf.repository.put_deployment(made)

    shelf.change(edit, lambda _: (made.id,), store)
    serve(plane)
    return json_answer(_shown(kept[0]))


def _shown(item: StoredDeployment) -> dict[str, Any]:
    """A row as LiteLLM answers with it, less secrets."""
    return {
        "model_id": item.id,
        "model_name": item.name,
        "litellm_params": masked_params(item.params),
        "model_info": {**item.info, "id": item.id, "db_model": True, "blocked": item.blocked},
        "blocked": item.blocked,
        "created_at": moment(item.created_at),
        "created_by": item.created_by,
        "updated_at": moment(item.updated_at),
        "updated_by": item.updated_by,
    }


def _served(plane: Plane, caller: Caller) -> Iterable[dict[str, Any]]:
    for deployment in plane.current().deployments:
        if shows(caller, deployment):
            yield {
                "id": deployment.id,
                "model_name": deployment.group,
                "litellm_params": shown_params(deployment),
                "model_info": msgspec.Raw(deployment.info),
            }


def _groups(plane: Plane, caller: Caller, only: str | None) -> list[dict[str, Any]]:
    snapshot = plane.current()
    return [
        model_group(group, [snapshot.deployments[position] for position in group.deployments])
        for group in snapshot.groups.values()
        if (only is None or group.name == only) and not group.hidden and may_see(caller, group.name)
    ]
