"""`/key/*`: virtual keys. https://docs.litellm.ai/docs/proxy/virtual_keys"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from sqlalchemy import and_, true

from routeiq.control.access import Access
from routeiq.control.management import key_answers, key_changes
from routeiq.control.management.bodies import nano
from routeiq.control.management.described.keys import (
    DeletedKeys,
    GeneratedKey,
    KeyAliases,
    KeyHealth,
    KeyInfoAnswer,
    KeyList,
    ListedKey,
)
from routeiq.control.management.desk import Desk, answer, by, denied, missing, taken, unique
from routeiq.control.management.grants import Grant
from routeiq.control.management.key_answers import generated, info, new_secret, short
from routeiq.control.management.key_bodies import (
    DeleteKeys,
    GenerateKey,
    KeyReference,
    applied,
    digest_of,
)
from routeiq.control.management.key_defaults import with_defaults
from routeiq.control.management.rights import administers, may_key, seen_key, visible_keys
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.records import User, VirtualKey
from routeiq.store.rows import contains
from routeiq.store.tables import virtual_keys

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session

_SORTED = {
    "created_at": virtual_keys.c.created_at,
    "updated_at": virtual_keys.c.updated_at,
    "key_alias": virtual_keys.c.alias,
    "key_name": virtual_keys.c.name,
    "user_id": virtual_keys.c.user_id,
    "team_id": virtual_keys.c.team_id,
    "expires": virtual_keys.c.expires,
}


def make(desk: Desk, db: Session, caller: Caller, body: GenerateKey, permission: str) -> tuple[VirtualKey, str]:
    """A new key that is in the database, and itself."""
    body = with_defaults(body, desk.settings, new=True)
    secret = body.key or new_secret()
    digest = digest_of(secret)
    now = desk.now()
    record = applied(
        VirtualKey(digest=digest, name=short(secret), created_at=now, updated_at=now, created_by=by(caller)), body, now
    )
    if permission != "/key/service-account/generate" and not record.user_id and not caller.admin:
        record = msgspec.structs.replace(record, user_id=caller.user_id)
    if not body.has("workspace_id") and not caller.admin:
        # Who is held by a workspace makes keys that are.
        own = db.keys.get(caller.digest)
        if own is not None and own.workspace_id:
            record = msgspec.structs.replace(record, workspace_id=own.workspace_id)
    if record.team_id and not record.organization_id:
        team = db.teams.get(record.team_id)
        if team is not None and team.organization_id:
            record = msgspec.structs.replace(record, organization_id=team.organization_id)
    if body.spend and not caller.admin:
        raise denied("Only an admin may set what was spent.", "spend")
    Grant(db, caller, permission).check(record)
    if body.key is not None and (desk.configured(digest) or db.keys.get(digest) is not None):
        raise BadRequest("key: this key can't be used; take another", param="key", code="already_exists")
    if record.alias and db.keys.of_alias(record.alias) is not None:
        raise taken("key", record.alias, "key_alias")
    if not db.keys.add(record):
        raise BadRequest("key: this key can't be used; take another", param="key", code="already_exists")
    return record, secret


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of keys."""
    desk = Desk(plane)

    @unique("key")
    def generate(request: Request, body: GenerateKey | None = None) -> Response:
        """Make a key; the answer is the only place where it is shown."""
        return _generated(request.state.caller, body or GenerateKey(), "/key/generate")

    @unique("key")
    def generate_service(request: Request, body: GenerateKey) -> Response:
        """Make a key that belongs to a team and to no user."""
        if body.user_id is not None:
            raise BadRequest("user_id: a service account has none", param="user_id")
        if body.team_id is None:
            raise BadRequest("team_id: is needed", param="team_id")
        return _generated(request.state.caller, body, "/key/service-account/generate")

    def _generated(caller: Caller, body: GenerateKey, permission: str) -> Response:
        with desk.accounts.write() as db:
            record, secret = make(desk, db, caller, body, permission)
        if body.spend:
            desk.set_spent("key", record.digest, by(caller), nano(body.spend))
        desk.published(keys=[record.digest])
        with desk.accounts.read() as db:
            return answer(generated(desk, db, record, secret))

    def get_info(request: Request, key: Annotated[str | None, Query(max_length=512)] = None) -> Response:
        """One key: the one named, or the one that asks."""
        caller = request.state.caller
        digest = digest_of(key) if key else caller.digest
        with desk.accounts.read() as db:
            record = seen_key(db, caller, db.keys.current(digest, desk.now()))
            return answer({"key": record.digest, "info": info(desk, db, record)})

    def delete(request: Request, body: DeleteKeys) -> Response:
        """Delete keys. What is not there is not an error."""
        caller = request.state.caller
        if not body.keys and not body.key_aliases:
            raise BadRequest("keys: name some, or key_aliases", param="keys")
        done: list[str] = []
        gone: list[str] = []
        with desk.accounts.write() as db:
            for name in body.keys or ():
                gone += _delete(db, caller, db.keys.lock(digest_of(name)), name, done, named=True)
            for alias in body.key_aliases or ():
                gone += _delete(db, caller, db.keys.of_alias(alias), alias, done, named=False)
        desk.published(keys=gone)
        return answer({"deleted_keys": done})

    def _delete(
        db: Session, caller: Caller, record: VirtualKey | None, name: str, done: list[str], *, named: bool
    ) -> list[str]:
        if record is None:
            return []
        if not may_key(db, caller, record, "/key/delete"):
            if named and may_key(db, caller, record, "/key/info"):
                raise denied("This key's role may not delete a key of that owner.", "keys")
            return []
        done.append(name)
        return db.keys.delete([record], by(caller), desk.now())

    def list_keys(
        request: Request,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 10,
        user_id: str | None = None,
        team_id: str | None = None,
        organization_id: str | None = None,
        workspace_id: str | None = None,
        project_id: str | None = None,
        key_hash: str | None = None,
        key_alias: str | None = None,
        substring_matching: bool = False,
        return_full_object: bool = False,
        include_team_keys: bool = False,
        sort_by: str | None = None,
        sort_order: Literal["asc", "desc"] = "desc",
        expand: Annotated[list[Literal["user"]] | None, Query()] = None,
    ) -> Response:
        """Keys the caller may see, newest first."""
        if project_id is not None:
            raise BadRequest("project_id is not supported by this gateway", param="project_id")
        if sort_by is not None and sort_by not in _SORTED:
            raise BadRequest(f"sort_by: must be one of {', '.join(_SORTED)}", param="sort_by")
        column = virtual_keys.c
        parts = [
            visible_keys(request.state.caller, teams=include_team_keys or bool(team_id)),
            *_filters(user_id, team_id, organization_id, workspace_id),
        ]
        if key_hash:
            parts.append(column.digest == digest_of(key_hash))
        if key_alias:
            parts.append(contains(column.alias, key_alias) if substring_matching else column.alias == key_alias)
        with desk.accounts.read() as db:
            found = db.keys.page(
                and_(*parts),
                page=page,
                size=size,
                by=_SORTED[sort_by or "created_at"],
                descending=sort_order == "desc",
            )
            listed: list[Any] = [record.digest for record in found.records]
            if return_full_object or expand:
                listed = key_answers.listed(desk, db, found.records)
            if expand:
                people = db.users.many(record.user_id for record in found.records)
                for entry in listed:
                    user = people.get(entry["user_id"] or "")
                    entry["user"] = _owner(request.state.caller, user) if user is not None else None
        return answer({"keys": listed, "total_count": found.total, "current_page": page, "total_pages": found.pages})

    def _filters(
        user_id: str | None, team_id: str | None, organization_id: str | None, workspace_id: str | None
    ) -> list[Any]:
        asked = {
            "user_id": user_id, "team_id": team_id, "organization_id": organization_id, "workspace_id": workspace_id,
        }  # fmt: skip
        return [virtual_keys.c[name] == value for name, value in asked.items() if value]

    def list_aliases(
        request: Request,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 50,
        search: Annotated[str | None, Query(max_length=1024)] = None,
    ) -> Response:
        """Aliases of the keys the caller may see."""
        alias = virtual_keys.c.alias
        where = and_(
            visible_keys(request.state.caller), alias.is_not(None), contains(alias, search) if search else true()
        )
        with desk.accounts.read() as db:
            found = db.keys.page(where, page=page, size=size, by=alias)
        names = [record.alias for record in found.records]
        return answer(
            {
                "aliases": names,
                "total_count": found.total,
                "current_page": page,
                "total_pages": found.pages,
                "size": size,
            }
        )

    def _block(request: Request, body: KeyReference, blocked: bool) -> Response:
        caller = request.state.caller
        permission = "/key/block" if blocked else "/key/unblock"
        with desk.accounts.write() as db:
            record = db.keys.lock(digest_of(body.key))
            if record is None or not may_key(db, caller, record, "/key/info"):
                raise missing("key", f"...{digest_of(body.key)[-6:]}")
            team = db.teams.get(record.team_id) if record.team_id else None
            leads = caller.admin or (team is not None and administers(caller, team))
            if not (leads or (blocked and may_key(db, caller, record, permission))):
                raise denied("Only an admin of the key's team or of the gateway may do this.", "key")
            record = msgspec.structs.replace(record, blocked=blocked, updated_at=desk.now(), updated_by=by(caller))
            db.keys.put(record)
            found = [record.digest, *db.keys.retired(record.digest)]
        desk.published(keys=found)
        with desk.accounts.read() as db:
            return answer(key_answers.listed(desk, db, [record])[0])

    def block(request: Request, body: KeyReference) -> Response:
        """Let a key do nothing any more."""
        return _block(request, body, True)

    def unblock(request: Request, body: KeyReference) -> Response:
        """Let a blocked key work again."""
        return _block(request, body, False)

    def health() -> Response:
        """Whether the key that asks works: who gets an answer has one that does."""
        return answer({"key": "healthy", "logging_callbacks": None})

    write, read = "key:write", "key:read"
    return (
        Route("POST", "/key/generate", Access.MANAGE, generate, write, GeneratedKey),
        Route("POST", "/key/service-account/generate", Access.MANAGE, generate_service, write, GeneratedKey),
        Route("GET", "/key/info", Access.MANAGE, get_info, read, KeyInfoAnswer),
        Route("POST", "/key/delete", Access.MANAGE, delete, write, DeletedKeys),
        Route("GET", "/key/list", Access.MANAGE, list_keys, read, KeyList),
        Route("GET", "/key/aliases", Access.MANAGE, list_aliases, read, KeyAliases),
        Route("POST", "/key/block", Access.MANAGE, block, write, ListedKey),
        Route("POST", "/key/unblock", Access.MANAGE, unblock, write, ListedKey),
        Route("POST", "/key/health", Access.MANAGE, health, read, KeyHealth),
        *key_changes.routes(desk),
    )


def _owner(caller: Caller, user: User) -> dict[str, Any]:
    """Whose a key is; the address for who may see all, and for oneself."""
    known = caller.sees_all or user.user_id == caller.user_id
    return {"user_id": user.user_id, "user_email": user.email or None if known else None}
