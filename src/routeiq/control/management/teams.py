"""`/team/*`: who shares keys, models and limits. https://docs.litellm.ai/docs/proxy/team_budgets"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from sqlalchemy import and_, select

from routeiq.control.access import Access
from routeiq.control.management import budgets, key_answers, object_permissions, team_members
from routeiq.control.management import limits as limiting
from routeiq.control.management.bodies import Id
from routeiq.control.management.described.teams import (
    ListedTeam,
    TeamAnswer,
    TeamChanged,
    TeamInfo,
    TeamList,
    TeamPermissionsInfo,
    TeamsDeleted,
)
from routeiq.control.management.desk import Desk, answer, by, denied, missing, taken
from routeiq.control.management.rights import (
    DEFAULT_PERMISSIONS,
    PERMISSIONS,
    administers,
    heads,
    led_team,
    seen_team,
    subset,
    visible_teams,
)
from routeiq.control.management.team_answers import info, infos, members_of, memberships
from routeiq.control.management.team_bodies import (
    NewTeam,
    PatchTeam,
    TeamFields,
    TeamId,
    TeamIds,
    TeamModels,
    TeamPermissions,
    UpdateTeam,
    applied,
    permissions,
)
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.compiled import effective
from routeiq.store.records import Limits, Team
from routeiq.store.rows import contains
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import team_memberships, teams

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session
    from routeiq.store.records import Organization

_SORTED = {"team_id": teams.c.team_id, "team_alias": teams.c.alias, "created_at": teams.c.created_at}


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of teams."""
    desk = Desk(plane)

    def _checked(db: Session, caller: Caller, record: Team, before: Team | None) -> None:
        """Raises unless the caller may leave this team behind."""
        moved = before is None or record.organization_id != before.organization_id
        if moved and not (caller.admin or heads(caller, record.organization_id)):
            if before is None and not record.organization_id:
                raise denied("organization_id: is needed; only an admin may do without.", "organization_id")
            raise (
                missing("organization", record.organization_id)
                if record.organization_id
                else denied("Only an admin may take a team out of its organization.", "organization_id")
            )
        organization = db.organizations.get(record.organization_id) if record.organization_id else None
        if record.organization_id and organization is None:
            raise missing("organization", record.organization_id)
        if organization is not None:
            shared = db.budgets.get(organization.budget_id) if organization.budget_id else None
            name = limiting.over(record.limits, effective(organization.limits, shared))
            if name is not None:
                raise BadRequest(f"{name}: is over the limit of the team's organization", param=name)
            kinds = limiting.guaranteed(record)
            if kinds:
                db.organizations.lock(organization.organization_id)
                inside = teams.c.organization_id == organization.organization_id
                others = db.teams.all(inside & (teams.c.team_id != record.team_id))
                most = effective(organization.limits, shared)
                name = limiting.overallocated(record.limits, (other.limits for other in others), most, kinds)
                if name is not None:
                    raise BadRequest(
                        f"{name}: the organization's teams together would be guaranteed more than it has", param=name
                    )
            if record.models and not subset(record.models, organization.models):
                raise BadRequest(
                    f"models: the team's organization may use {', '.join(organization.models)} only", param="models"
                )
        _check_objects(caller, record, before, organization)
        if before is not None and not caller.admin and not heads(caller, before.organization_id):
            name = limiting.wider(record.limits, before.limits)
            if name is not None:
                raise denied(f"{name}: an admin of the team may not raise it", name)
            if record.models != before.models and before.models and not subset(record.models, before.models):
                raise denied("models: an admin of the team may not add to them", "models")
            if before.access_group_ids != record.access_group_ids:
                raise denied("access_group_ids: an admin of the team may not change them", "access_group_ids")
            if not set(before.tags) <= set(record.tags):
                raise denied("tags: an admin of the team may not take one away, which may have a budget", "tags")
            if before.blocked and not record.blocked:
                raise denied("blocked: an admin of the team may not unblock it", "blocked")

    def _with_member_budget(db: Session, caller: Caller, record: Team, body: TeamFields) -> Team:
        limits = body.member_limits()
        if limits is None:
            return record
        if record.member_budget_id:
            budgets.revised(db, caller, record.member_budget_id, limits, desk.now())
            return record
        made = budgets.make(db, caller, limiting.changed(Limits(), limits), desk.now())
        return msgspec.structs.replace(record, member_budget_id=made.budget_id)

    def _told(record: Team) -> dict[str, Any]:
        """The team, once the workers know that it has changed."""
        desk.published(subjects=[f"team:{record.team_id}"])
        with desk.accounts.read() as db:
            return info(desk, db, record)

    def new(request: Request, body: NewTeam) -> Response:
        """Make a team; who makes it, if it is a user, is its first admin."""
        caller, now = request.state.caller, desk.now()
        made = Team(team_id=body.team_id or str(uuid.uuid4()), created_at=now, updated_at=now, created_by=by(caller))
        with desk.accounts.write() as db:
            if db.teams.get(made.team_id) is not None:
                raise taken("team", made.team_id, "team_id")
            record = _with_member_budget(db, caller, applied(made, body), body)
            _checked(db, caller, record, None)
            if not db.teams.add(record):
                raise taken("team", made.team_id, "team_id")
            for member in body.members_with_roles or ():
                team_members.join(desk, db, caller, record, member)
            if caller.user_id and db.users.get(caller.user_id) is not None:
                team_members.ensure_admin(db, caller, record, now)
        return answer(_told(record))

    def _update(request: Request, team_id: str, body: TeamFields) -> dict[str, Any]:
        caller = request.state.caller
        with desk.accounts.write() as db:
            before = led_team(db, caller, team_id)
            record = applied(before, body)
            record = msgspec.structs.replace(record, updated_at=desk.now(), updated_by=by(caller))
            _checked(db, caller, record, before)
            record = _with_member_budget(db, caller, record, body)
            db.teams.put(record)
        return _told(record)

    def update(request: Request, body: UpdateTeam) -> Response:
        """Change what a request names; null takes it away."""
        return answer({"team_id": body.team_id, "data": _update(request, body.team_id, body)})

    def patch(request: Request, team_id: Id, body: PatchTeam) -> Response:
        """The same, with the team in the path."""
        return answer(_update(request, team_id, body))

    def delete(request: Request, body: TeamIds) -> Response:
        """Delete teams with their keys and memberships."""
        caller = request.state.caller
        gone: list[str] = []
        with desk.accounts.write() as db:
            for id in dict.fromkeys(body.team_ids):
                team = seen_team(db, caller, id, lock=True)
                if not (caller.admin or heads(caller, team.organization_id)):
                    raise denied("Only an admin of its organization or of the gateway may delete a team.", "team_ids")
                gone += remove(db, team, by(caller), desk.now())
        desk.published(keys=gone)
        return answer({"deleted_teams": list(dict.fromkeys(body.team_ids)), "deleted_keys": len(gone)})

    def get_info(request: Request, team_id: Annotated[str | None, Query(max_length=255)] = None) -> Response:
        """One team with its keys and members; without a name that of the key that asks."""
        caller = request.state.caller
        id = team_id or caller.team_id
        if not id:
            raise BadRequest("team_id: is needed", param="team_id")
        with desk.accounts.read() as db:
            team = seen_team(db, caller, id)
            members = members_of(db, [id])[id]
            if not (caller.sees_all or administers(caller, team)):
                members = [member for member in members if member.user_id == caller.user_id]
            return answer(
                {
                    "team_id": id,
                    "team_info": info(desk, db, team),
                    "keys": key_answers.listed_of(desk, db, caller, virtual_keys.c.team_id == id),
                    "team_memberships": memberships(desk, db, team, members),
                }
            )

    def _where(
        caller: Caller, user_id: str | None, organization_id: str | None, alias: str | None, team_id: str | None
    ) -> Any:
        parts = [visible_teams(caller)]
        if user_id:
            joined = select(team_memberships.c.team_id).where(team_memberships.c.user_id == user_id)
            parts.append(teams.c.team_id.in_(joined))
        if organization_id:
            parts.append(teams.c.organization_id == organization_id)
        if alias:
            parts.append(contains(teams.c.alias, alias))
        if team_id:
            parts.append(teams.c.team_id == team_id)
        return and_(*parts)

    def list_teams(request: Request, user_id: str | None = None, organization_id: str | None = None) -> Response:
        """Teams the caller may see."""
        with desk.accounts.read() as db:
            found = db.teams.all(_where(request.state.caller, user_id, organization_id, None, None), 10_000)
            members = members_of(db, (team.team_id for team in found))
            entries = []
            for team, entry in zip(found, infos(desk, db, found), strict=True):
                listed = memberships(desk, db, team, members[team.team_id])
                entries.append({**entry, "team_memberships": listed, "keys": []})
            return answer(entries)

    def list_page(
        request: Request,
        user_id: str | None = None,
        organization_id: str | None = None,
        team_id: str | None = None,
        team_alias: str | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=100)] = 10,
        sort_by: Literal["team_id", "team_alias", "created_at"] | None = None,
        sort_order: Literal["asc", "desc"] = "asc",
    ) -> Response:
        """The same, page by page."""
        with desk.accounts.read() as db:
            found = db.teams.page(
                _where(request.state.caller, user_id, organization_id, team_alias, team_id),
                page=page,
                size=page_size,
                by=_SORTED[sort_by or "created_at"],
                descending=sort_order == "desc",
            )
            entries = infos(desk, db, found.records)
        return answer(
            {"teams": entries, "total": found.total, "page": page, "page_size": page_size, "total_pages": found.pages}
        )

    def available() -> Response:
        """Teams anybody may join: there are none."""
        return answer([])

    def _block(request: Request, body: TeamId, *, blocked: bool) -> Response:
        caller = request.state.caller
        with desk.accounts.write() as db:
            team = led_team(db, caller, body.team_id)
            if not (caller.admin or heads(caller, team.organization_id)):
                raise denied("Only an admin of the team's organization or of the gateway may do this.", "team_id")
            team = msgspec.structs.replace(team, blocked=blocked, updated_at=desk.now(), updated_by=by(caller))
            db.teams.put(team)
        return answer(_told(team))

    def block(request: Request, body: TeamId) -> Response:
        """Let no key of a team work any more."""
        return _block(request, body, blocked=True)

    def unblock(request: Request, body: TeamId) -> Response:
        """Let them work again."""
        return _block(request, body, blocked=False)

    def add_models(request: Request, body: TeamModels) -> Response:
        """Let a team use more models."""
        return _models(request, body, lambda held: tuple(dict.fromkeys((*held, *body.models))))

    def remove_models(request: Request, body: TeamModels) -> Response:
        """Let a team use fewer models; the last one can't go, since no list means all."""
        return _models(request, body, lambda held: tuple(name for name in held if name not in body.models))

    def _models(request: Request, body: TeamModels, change: Any) -> Response:
        caller = request.state.caller
        with desk.accounts.write() as db:
            before = led_team(db, caller, body.team_id)
            models = change(before.models)
            if before.models and not models:
                raise BadRequest(
                    "models: a team without any may use all of them; write no-default-models for none", param="models"
                )
            team = msgspec.structs.replace(before, models=models, updated_at=desk.now(), updated_by=by(caller))
            _checked(db, caller, team, before)
            db.teams.put(team)
        return answer(_told(team))

    def list_permissions(request: Request, team_id: Id) -> Response:
        """What members may do with the team's keys."""
        with desk.accounts.read() as db:
            team = seen_team(db, request.state.caller, team_id)
        held = team.member_permissions if team.member_permissions is not None else DEFAULT_PERMISSIONS
        return answer(
            {
                "team_id": team_id,
                "team_member_permissions": list(held),
                "all_available_permissions": list(PERMISSIONS),
            }
        )

    def update_permissions(request: Request, body: TeamPermissions) -> Response:
        """Say what members may do with the team's keys."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            team = led_team(db, caller, body.team_id)
            team = msgspec.structs.replace(
                team,
                member_permissions=permissions(body.team_member_permissions),
                updated_at=desk.now(),
                updated_by=by(caller),
            )
            db.teams.put(team)
        return answer(_told(team))

    write, read = "team:write", "team:read"
    return (
        Route("POST", "/team/new", Access.MANAGE, new, "team:create", TeamInfo),
        Route("POST", "/team/update", Access.MANAGE, update, write, TeamChanged),
        Route("POST", "/team/delete", Access.MANAGE, delete, write, TeamsDeleted),
        Route("GET", "/team/info", Access.MANAGE, get_info, read, TeamAnswer),
        Route("GET", "/team/list", Access.MANAGE, list_teams, read, list[ListedTeam]),
        Route("GET", "/v2/team/list", Access.MANAGE, list_page, read, TeamList),
        Route("GET", "/team/available", Access.MANAGE, available, read, list[TeamInfo]),
        Route("POST", "/team/block", Access.MANAGE, block, write, TeamInfo),
        Route("POST", "/team/unblock", Access.MANAGE, unblock, write, TeamInfo),
        Route("POST", "/team/model/add", Access.MANAGE, add_models, write, TeamInfo),
        Route("POST", "/team/model/delete", Access.MANAGE, remove_models, write, TeamInfo),
        Route("GET", "/team/permissions_list", Access.MANAGE, list_permissions, read, TeamPermissionsInfo),
        Route("POST", "/team/permissions_update", Access.MANAGE, update_permissions, write, TeamInfo),
        *team_members.routes(desk),
        Route("PATCH", "/team/{team_id}", Access.MANAGE, patch, write, TeamInfo),
    )


def _check_objects(caller: Caller, record: Team, before: Team | None, organization: Organization | None) -> None:
    """MCP servers and agents: who leads the team may give away what it had, who heads its organization that one's."""
    asked = record.object_permission
    held = before.object_permission if before is not None else None
    if caller.admin or asked == held:
        return
    leads = heads(caller, record.organization_id)
    holders = (held, organization.object_permission if leads and organization is not None else None)
    if (asked is None and not leads) or not any(object_permissions.within(asked, one) for one in holders):
        raise denied("object_permission: who gives it to a team has to have it", "object_permission")


def remove(db: Session, team: Team, who: str, now: float) -> list[str]:
    """Delete a team with its keys and memberships; the digests that work no more."""
    gone = db.keys.delete(db.keys.all(virtual_keys.c.team_id == team.team_id), who, now)
    db.team_members.remove(team_memberships.c.team_id == team.team_id)
    db.teams.remove_one(team.team_id)
    return gone
