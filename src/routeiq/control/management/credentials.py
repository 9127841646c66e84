"""Credentials of the management API: secrets that deployments name instead of holding them.

https://docs.litellm.ai/docs/proxy/ui_credentials
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from fastapi import Request, Response

from routeiq.config.named import NAMED
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.management.bodies import Body, Id, Metadata
from routeiq.control.management.masks import masked_params
from routeiq.control.routes import Route
from routeiq.control.shelf import Shelf, by, merged, serve
from routeiq.core.errors import BadRequest
from routeiq.core.stored import Stored, StoredCredential
from routeiq.store.vault import SecretsError

if TYPE_CHECKING:
    from routeiq.control.plane import Plane


class NewCredential(Body):
    """`POST /credentials`."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("model_id",))

    credential_name: Id
    credential_values: Metadata
    credential_info: Metadata | None = None


class CredentialUpdate(Body):
    """`PATCH /credentials/{name}`: values are put over those there are; null takes one away."""

    credential_name: Id | None = None
    credential_values: Metadata | None = None
    credential_info: Metadata | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: NewCredential) -> Response:
        """Keep a credential, encrypted."""
        shelf = plane.shelf
        shelf.check_open(plane.current())
        if _find(shelf, body.credential_name) is not None:
            raise BadRequest(f"There is a credential called {body.credential_name} already.", param="credential_name")
        who = by(request.state.caller)
        made = StoredCredential(
            name=body.credential_name, values=body.credential_values, info=body.credential_info or {}, created_by=who,
            updated_by=who,
        )  # fmt: skip
        _put(plane, made)
        return json_answer({"success": True, "message": "Credential created successfully"})

    def update(request: Request, credential_name: str, body: CredentialUpdate) -> Response:
        """Change a credential; deployments that name it are served with it at once."""
        plane.shelf.check_open(plane.current())
        found = _existing(plane, credential_name)
        if body.credential_name not in (None, credential_name):
            raise BadRequest("credential_name: can't be changed.", param="credential_name")
        _put(
            plane,
            msgspec.structs.replace(
                found,
                values=merged(found.values, body.credential_values or {}),
                info=merged(found.info, body.credential_info or {}),
                updated_by=by(request.state.caller),
            ),
        )
        return json_answer({"success": True, "message": "Credential updated successfully"})

    def delete(credential_name: str) -> Response:
        """Forget a credential that no deployment names."""
        shelf = plane.shelf
        shelf.check_open(plane.current())
        _existing(plane, credential_name)

        def store() -> None:
            shelf.repository.remove_credential(credential_name)

        shelf.change(lambda rows: _without(rows, credential_name), lambda rows: _users(rows, credential_name), store)
        serve(plane)
        return json_answer({"success": True, "message": "Credential deleted successfully"})

    def listed() -> Response:
        """Those in the database, secrets masked."""
        return json_answer({"success": True, "credentials": [_shown(item) for item in _all(plane).credentials]})

    def by_name(credential_name: str) -> Response:
        """One of those in the database."""
        return json_answer(_shown(_existing(plane, credential_name)))

    def by_model(model_id: str) -> Response:
        """What a deployment in the database is called with, secrets masked."""
        rows = _all(plane)
        found = next((item for item in rows.deployments if item.id == model_id), None)
        if found is None:
            raise BadRequest(f"There is no deployment {model_id[:255]} in the database.", status=404, param="model_id")
        name = found.params.get(NAMED)
        named = next((item for item in rows.credentials if item.name == name), None)
        values = {**(named.values if named is not None else {}), **found.params}
        shown = {key: value for key, value in masked_params(values).items() if key not in ("model", NAMED)}
        return json_answer(
            {"credential_name": name or f"{found.name}-credential-{found.id}", "credential_values": shown,
             "credential_info": named.info if named is not None else {}}
        )  # fmt: skip

    write, read = "credential:write", "credential:read"
    return (
        Route("POST", "/credentials", Access.MANAGE, new, write),
        Route("GET", "/credentials", Access.MANAGE, listed, read),
        Route("GET", "/credentials/by_name/{credential_name:path}", Access.MANAGE, by_name, read),
        Route("GET", "/credentials/by_model/{model_id:path}", Access.MANAGE, by_model, read),
        Route("PATCH", "/credentials/{credential_name:path}", Access.MANAGE, update, write),
        Route("DELETE", "/credentials/{credential_name:path}", Access.MANAGE, delete, write),
    )


def _all(plane: Plane) -> Stored:
    try:
        return plane.shelf.repository.load()[0]
    except SecretsError as error:
        raise BadRequest(f"{error}.", code="secrets_unreadable") from None


def _find(shelf: Shelf, name: str) -> StoredCredential | None:
    try:
        return shelf.repository.credential(name)
    except SecretsError as error:
        raise BadRequest(f"{error}.", code="secrets_unreadable") from None


def _existing(plane: Plane, name: str) -> StoredCredential:
    found = _find(plane.shelf, name)
    if found is None:
        raise BadRequest(
            f"There is no credential called {name[:255]} in the database.", status=404, param="credential_name"
        )
    return found


def _put(plane: Plane, made: StoredCredential) -> None:
    shelf = plane.shelf

    def edit(rows: Stored) -> Stored:
        return msgspec.structs.replace(rows, credentials=(*_without(rows, made.name).credentials, made))

    def store() -> None:
        shelf.repository.put_credential(made)

    shelf.change(edit, lambda rows: _users(rows, made.name), store)
    serve(plane)


def _without(rows: Stored, name: str) -> Stored:
    return msgspec.structs.replace(rows, credentials=tuple(item for item in rows.credentials if item.name != name))


def _users(rows: Stored, name: str) -> Iterable[str]:
    """The deployments that name a credential."""
    return [item.id for item in rows.deployments if item.params.get(NAMED) == name]


def _shown(item: StoredCredential) -> dict[str, Any]:
    return {
        "credential_name": item.name,
        "credential_values": masked_params(item.values),
        "credential_info": item.info,
    }
