"""`/user/*`: who owns keys. https://docs.litellm.ai/docs/proxy/users"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from sqlalchemy import and_, func, select

from routeiq.control.access import Access
from routeiq.control.management import key_answers, keys, shown, team_answers, team_members
from routeiq.control.management.bodies import nano
from routeiq.control.management.described.users import (
    NewUserAnswer,
    RoleInfo,
    UserAnswer,
    UserChanged,
    UserInfo,
    UserList,
    UsersDeleted,
    UsersUpdated,
)
from routeiq.control.management.desk import Desk, answer, by, denied, missing, taken
from routeiq.control.management.key_bodies import GenerateKey
from routeiq.control.management.people import known
from routeiq.control.management.rights import heads, led_team, manages_user, seen_user, visible_users
from routeiq.control.management.team_bodies import Member, MemberBudget
from routeiq.control.management.user_bodies import (
    ROLES,
    BulkUpdateUsers,
    NewUser,
    UpdateUser,
    UserIds,
    UserTeam,
    applied,
)
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest, GatewayError
from routeiq.store.records import Limits, OrganizationMember, User
from routeiq.store.rows import contains
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import organization_memberships, team_memberships, users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session
    from routeiq.store.records import VirtualKey

_SORTED = {
    "user_id": users.c.user_id,
    "user_email": users.c.email,
    "user_alias": users.c.alias,
    "user_role": users.c.role,
    "created_at": users.c.created_at,
}
_OWN = frozenset(("user_id", "user_email", "user_alias", "metadata"))
"""What users may change about themselves."""


def infos(desk: Desk, db: Session, records: Iterable[User]) -> list[dict[str, Any]]:
    """Users as answers show them."""
    listed = list(records)
    joined: dict[str, list[str]] = {record.user_id: [] for record in listed}
    for member in db.team_members.all(team_memberships.c.user_id.in_(sorted(joined))):
        joined[member.user_id].append(member.team_id)
    spent = desk.spent_many("user", ((it.user_id, it.limits, it.spending) for it in listed))
    return [shown.user(it, spent[it.user_id], desk.reset_at(it.limits), joined[it.user_id]) for it in listed]


def remove(db: Session, user_id: str, who: str, now: float) -> list[str]:
    """Delete a user with its keys and memberships; the digests that work no more."""
    gone = db.keys.delete(db.keys.all(virtual_keys.c.user_id == user_id), who, now)
    for member in db.team_members.all(team_memberships.c.user_id == user_id):
        if member.own:
            db.budgets.remove_one(member.budget_id)
    db.team_members.remove(team_memberships.c.user_id == user_id)
    db.organization_members.remove(organization_memberships.c.user_id == user_id)
    db.users.remove_one(user_id)
    return gone


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of users."""
    desk = Desk(plane)

    def _checked(caller: Caller, record: User, before: User | None) -> None:
        """Raises unless the caller may leave this user behind."""
        if caller.admin:
            return
        held = before if before is not None else User(user_id="", role="internal_user")
        if record.role != held.role and record.role not in ("internal_user", "internal_user_viewer"):
            raise denied("user_role: only an admin may make an admin", "user_role")
        if held.role not in ("internal_user", "internal_user_viewer"):
            raise denied("Only an admin may change an admin.", "user_id")
        if record.sso_user_id != held.sso_user_id:
            raise denied("sso_user_id: only an admin may set it", "sso_user_id")

    def _defaults() -> Limits:
        usual = desk.settings.default_internal_user_params
        return Limits(
            max_budget=usual.max_budget,
            budget_duration=usual.budget_duration or "",
            tpm_limit=usual.tpm_limit,
            rpm_limit=usual.rpm_limit,
        )

    def _organizations(db: Session, caller: Caller, body: NewUser) -> list[str]:
        asked = list(dict.fromkeys([*(body.organizations or ()), body.organization_id or ""]))
        asked = [id for id in asked if id]
        for id in asked:
            if db.organizations.get(id) is None or not heads(caller, id):
                raise missing("organization", id)
        if not asked and not caller.admin:
            raise denied("organizations: name those you administer; only an admin may do without.", "organizations")
        return asked

    def new(request: Request, body: NewUser | None = None) -> Response:
        """Make a user, and a key of it unless `auto_create_key` is false."""
        caller, now = request.state.caller, desk.now()
        asked = body or NewUser()
        usual = desk.settings.default_internal_user_params
        made = User(
            user_id=asked.user_id or str(uuid.uuid4()),
            role=usual.user_role if usual.user_role is not None and caller.admin else "internal_user",
            limits=_defaults(),
            models=usual.models or (),
            created_at=now,
            updated_at=now,
            created_by=by(caller),
        )
        record = applied(made, asked)
        if asked.spend and not caller.admin:
            raise denied("Only an admin may set what was spent.", "spend")
        with desk.accounts.write() as db:
            where = _organizations(db, caller, asked)
            _checked(caller, record, None)
            if record.email and known(db, None, record.email) is not None:
                raise taken("user", record.email, "user_email", 409)
            if not db.users.add(record):
                raise taken("user", record.user_id, "user_id", 409)
            for id in where:
                db.organization_members.put(
                    OrganizationMember(
                        organization_id=id, user_id=record.user_id, created_at=now, created_by=by(caller)
                    )
                )
            _join(db, caller, record, asked)
            made_key = _first_key(db, caller, record, asked) if asked.auto_create_key else None
        if asked.spend:
            desk.set_spent("user", record.user_id, by(caller), nano(asked.spend))
        desk.published(subjects=[f"user:{record.user_id}"])
        with desk.accounts.read() as db:
            entry = infos(desk, db, [record])[0]
            entry["key"] = entry["token"] = None
            if made_key is not None:
                shown_key = key_answers.generated(desk, db, *made_key)
                names = ("key", "token", "token_id", "key_name", "key_alias", "expires")
                entry |= {name: shown_key[name] for name in names}
        return answer(entry)

    def _join(db: Session, caller: Caller, record: User, body: NewUser) -> None:
        named: list[str | UserTeam] = [*(body.teams or ())]
        if body.team_id:
            named.append(body.team_id)
        if body.teams is None and body.team_id is None:
            named += desk.settings.default_internal_user_params.teams
        for item in named:
            wanted = item if isinstance(item, UserTeam) else UserTeam(team_id=item)
            team = led_team(db, caller, wanted.team_id)
            budget = None
            if wanted.max_budget_in_team is not None:
                budget = MemberBudget(max_budget_in_team=wanted.max_budget_in_team)
            member = Member(user_id=record.user_id, role=wanted.user_role)
            team_members.join(desk, db, caller, team, member, budget)

    def _first_key(db: Session, caller: Caller, record: User, body: NewUser) -> tuple[VirtualKey, str]:
        given = {
            name: getattr(body, name) for name in ("key_alias", "duration", "key_type", "budget_id") if body.has(name)
        }
        asked = GenerateKey.model_validate({**given, "user_id": record.user_id, "team_id": body.team_id})
        return keys.make(desk, db, caller, asked, "/key/generate")

    def _update(caller: Caller, body: UpdateUser) -> dict[str, Any]:
        if body.user_id is None and body.user_email is None:
            raise BadRequest("user_id: is needed, or the user_email", param="user_id")
        with desk.accounts.write() as db:
            named = known(db, body.user_id, body.user_email)
            found = db.users.lock(named.user_id) if named is not None else None
            itself = found is not None and found.user_id == caller.user_id
            if found is None or not (itself or manages_user(db, caller, found.user_id)):
                raise missing("user", body.user_id or body.user_email or "")
            if not manages_user(db, caller, found.user_id):
                for name in sorted(body.model_fields_set - _OWN):
                    raise denied(f"{name}: users may not change it themselves", name)
            if body.spend is not None and not caller.admin:
                raise denied("Only an admin may set what was spent.", "spend")
            record = applied(found, body)
            _checked(caller, record, found)
            if record.email.lower() != found.email.lower() and record.email:
                other = known(db, None, record.email)
                if other is not None and other.user_id != found.user_id:
                    raise taken("user", record.email, "user_email", 409)
            record = msgspec.structs.replace(record, updated_at=desk.now(), updated_by=by(caller))
            db.users.put(record)
        if body.spend is not None:
            desk.set_spent("user", record.user_id, by(caller), nano(body.spend))
        desk.published(subjects=[f"user:{record.user_id}"])
        with desk.accounts.read() as db:
            return infos(desk, db, [record])[0]

    def update(request: Request, body: UpdateUser) -> Response:
        """Change what a request names; null takes it away."""
        entry = _update(request.state.caller, body)
        return answer({"user_id": entry["user_id"], "data": entry})

    def bulk_update(request: Request, body: BulkUpdateUsers) -> Response:
        """Change many users, each on its own."""
        results: list[dict[str, Any]] = []
        for item in body.users:
            named = {"user_id": item.user_id, "user_email": item.user_email}
            try:
                results.append({**named, "success": True, "updated_user": _update(request.state.caller, item)})
            except GatewayError as error:
                results.append({**named, "success": False, "error": error.message})
        done = sum(1 for result in results if result["success"])
        return answer(
            {
                "results": results,
                "total_requested": len(results),
                "successful_updates": done,
                "failed_updates": len(results) - done,
            }
        )

    def delete(request: Request, body: UserIds) -> Response:
        """Delete users with their keys and memberships."""
        caller = request.state.caller
        gone: list[str] = []
        wanted = list(dict.fromkeys(body.user_ids))
        with desk.accounts.write() as db:
            for id in wanted:
                record = db.users.lock(id)
                if record is None or not manages_user(db, caller, id):
                    raise missing("user", id)
                _checked(caller, record, record)
                gone += remove(db, id, by(caller), desk.now())
        desk.published(keys=gone, subjects=[f"user:{id}" for id in wanted])
        return answer({"deleted_users": wanted, "deleted_keys": len(gone)})

    def get_info(request: Request, user_id: Annotated[str | None, Query(max_length=255)] = None) -> Response:
        """A user with its keys and teams; without a name the one whose key asks."""
        caller = request.state.caller
        id = user_id or caller.user_id
        if not id:
            return answer({"user_id": None, "user_info": None, "keys": [], "teams": []})
        with desk.accounts.read() as db:
            record = seen_user(db, caller, id)
            entry = infos(desk, db, [record])[0]
            joined = db.teams.many(entry["teams"])
            return answer(
                {
                    "user_id": id,
                    "user_info": entry,
                    "keys": key_answers.listed_of(desk, db, caller, virtual_keys.c.user_id == id),
                    "teams": team_answers.infos(desk, db, joined.values()),
                }
            )

    def get_user(request: Request, user_id: Annotated[str | None, Query(max_length=255)] = None) -> Response:
        """A user alone."""
        caller = request.state.caller
        id = user_id or caller.user_id
        if not id:
            raise BadRequest("user_id: is needed", param="user_id")
        with desk.accounts.read() as db:
            return answer(infos(desk, db, [seen_user(db, caller, id)])[0])

    def list_users(
        request: Request,
        role: str | None = None,
        user_ids: Annotated[str | None, Query(max_length=30_000)] = None,
        sso_user_ids: Annotated[str | None, Query(max_length=30_000)] = None,
        user_email: str | None = None,
        team: str | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=100)] = 25,
        sort_by: Literal["user_id", "user_email", "user_alias", "user_role", "created_at"] | None = None,
        sort_order: Literal["asc", "desc"] = "asc",
    ) -> Response:
        """Users the caller may see."""
        parts = [visible_users(request.state.caller)]
        if role:
            parts.append(users.c.role == role)
        if user_ids:
            parts.append(users.c.user_id.in_([id.strip() for id in user_ids.split(",")]))
        if sso_user_ids:
            parts.append(users.c.sso_user_id.in_([id.strip() for id in sso_user_ids.split(",")]))
        if user_email:
            parts.append(contains(users.c.email, user_email.lower()))
        if team:
            inside = select(team_memberships.c.user_id).where(team_memberships.c.team_id == team)
            parts.append(users.c.user_id.in_(inside))
        with desk.accounts.read() as db:
            found = db.users.page(
                and_(*parts),
                page=page,
                size=page_size,
                by=_SORTED[sort_by or "created_at"],
                descending=sort_order == "desc",
            )
            entries = infos(desk, db, found.records)
            counted = (
                select(virtual_keys.c.user_id, func.count().label("number"))
                .where(virtual_keys.c.user_id.in_([record.user_id for record in found.records]))
                .group_by(virtual_keys.c.user_id)
            )
            counts = {row.user_id: row.number for row in db.connection.execute(counted)}
        listed = [{**entry, "key_count": counts.get(entry["user_id"], 0)} for entry in entries]
        return answer(
            {"users": listed, "total": found.total, "page": page, "page_size": page_size, "total_pages": found.pages}
        )

    def roles() -> Response:
        """The roles users can have."""
        return answer({name: {"ui_label": label, "description": text} for name, (label, text) in ROLES.items()})

    write, read = "user:write", "user:read"
    return (
        Route("POST", "/user/new", Access.MANAGE, new, "user:create", NewUserAnswer),
        Route("POST", "/user/update", Access.MANAGE, update, write, UserChanged),
        Route("POST", "/user/bulk_update", Access.MANAGE, bulk_update, write, UsersUpdated),
        Route("POST", "/user/delete", Access.MANAGE, delete, "user:create", UsersDeleted),
        Route("GET", "/user/info", Access.MANAGE, get_info, read, UserAnswer),
        Route("GET", "/v2/user/info", Access.MANAGE, get_user, read, UserInfo),
        Route("GET", "/user/list", Access.MANAGE, list_users, read, UserList),
        Route("GET", "/user/available_roles", Access.MANAGE, roles, read, dict[str, RoleInfo]),
    )
