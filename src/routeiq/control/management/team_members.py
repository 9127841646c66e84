"""`/team/member_*`: users in teams, and what they may use of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request, Response

from routeiq.control.access import Access
from routeiq.control.management import budgets, shown
from routeiq.control.management import limits as limiting
from routeiq.control.management.bodies import Id, nano
from routeiq.control.management.described.teams import (
    MemberBudgetReset,
    MemberChanged,
    MembersAdded,
    MembersBulkAdded,
    MemberSpendReset,
    OwnMembership,
    TeamInfo,
)
from routeiq.control.management.desk import answer, by, denied, missing
from routeiq.control.management.key_bodies import ResetSpend
from routeiq.control.management.people import found_or_made, known, member_id
from routeiq.control.management.rights import heads, led_team, seen_team
from routeiq.control.management.team_answers import info, memberships
from routeiq.control.management.team_bodies import (
    AddMember,
    BulkAddMembers,
    DeleteMember,
    Member,
    MemberBudget,
    UpdateMember,
)
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest, GatewayError
from routeiq.store.records import Limits, OrganizationMember, TeamMember
from routeiq.store.tables import virtual_keys

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.management.desk import Desk
    from routeiq.store.accounts import Session
    from routeiq.store.records import Team, User


def join(
    desk: Desk, db: Session, caller: Caller, team: Team, member: Member, budget: MemberBudget | None = None
) -> tuple[User, TeamMember]:
    """Take somebody into a team. Raises `BadRequest` for who is in it, `Forbidden` for who may not be."""
    now = desk.now()
    user, made = found_or_made(db, caller, member.user_id, member.user_email, now)
    if db.team_members.get((team.team_id, user.user_id)) is not None:
        raise BadRequest(
            f"{user.user_id!r} is in this team already.",
            param="member",
            type="team_member_already_in_team",
            code="already_exists",
        )
    if team.organization_id:
        inside = db.organization_members.get((team.organization_id, user.user_id)) is not None
        if not inside and not made and not caller.admin:
            raise denied("Only an admin may take in a user that is not in the team's organization.", "member")
        if not inside:
            db.organization_members.put(
                OrganizationMember(
                    organization_id=team.organization_id, user_id=user.user_id, created_at=now, created_by=by(caller)
                )
            )
    record = TeamMember(
        team_id=team.team_id,
        user_id=user.user_id,
        user_email=user.email if made or caller.admin or member.user_email or team.organization_id else "",
        role=member.role,
        created_at=now,
        created_by=by(caller),
    )
    if budget is not None and budget.says_something():
        record = _budgeted(desk, db, caller, team, record, budget)
    db.team_members.put(record)
    return user, record


def ensure_admin(db: Session, caller: Caller, team: Team, now: float) -> None:
    """Who makes a team leads it."""
    record = db.team_members.get((team.team_id, caller.user_id))
    if record is None and not caller.admin:
        db.team_members.put(
            TeamMember(
                team_id=team.team_id, user_id=caller.user_id, role="admin", created_at=now, created_by=by(caller)
            )
        )


def _budgeted(
    desk: Desk, db: Session, caller: Caller, team: Team, record: TeamMember, body: MemberBudget
) -> TeamMember:
    """The membership with a budget of its own."""
    held = db.budgets.lock(record.budget_id) if record.own else None
    if held is None:
        held = budgets.make(db, caller, Limits(), desk.now())
    limits = limiting.changed(held.limits, body.limits())
    if body.has("temp_budget_increase") or body.has("temp_budget_expiry"):
        increase = nano(body.temp_budget_increase) if body.temp_budget_increase is not None else None
        limits = limiting.for_a_while(limits, increase, body.temp_budget_expiry)
    if not caller.admin and not heads(caller, team.organization_id):
        name = limiting.over(limits, team.limits)
        if name is not None:
            raise denied(f"{name}: is over the limit of the team", name)
    new: dict[str, Any] = {"limits": limits, "updated_at": desk.now(), "updated_by": by(caller)}
    if body.has("allowed_models"):
        new["allowed_models"] = tuple(body.allowed_models or ())
    db.budgets.put(msgspec.structs.replace(held, **new))
    return msgspec.structs.replace(record, budget_id=held.budget_id, own=True)


def _subjects(team_id: str, *user_ids: str) -> list[str]:
    """Whose keys have to be looked up again. A key of a user knows of a membership only since it is there."""
    return [name for id in user_ids for name in (f"user:{id}", f"member:{team_id}/{id}")]


def _person(record: TeamMember) -> dict[str, Any]:
    """What who takes somebody into a team is told of them."""
    return {"user_id": record.user_id, "user_email": record.user_email or None}


def routes(desk: Desk) -> tuple[Route, ...]:
    """Every endpoint of members."""

    def add(request: Request, body: AddMember) -> Response:
        """Take users into a team; those nobody knows yet are made."""
        caller = request.state.caller
        listed = body.member if isinstance(body.member, list) else [body.member]
        with desk.accounts.write() as db:
            team = led_team(db, caller, body.team_id)
            joined = [join(desk, db, caller, team, member, body) for member in listed]
        desk.published(subjects=_subjects(body.team_id, *(user.user_id for user, _ in joined)))
        with desk.accounts.read() as db:
            entry = info(desk, db, team)
            added = memberships(desk, db, team, (record for _, record in joined))
        people = [_person(record) for _, record in joined]
        return answer({**entry, "updated_users": people, "updated_team_memberships": added})

    def bulk_add(request: Request, body: BulkAddMembers) -> Response:
        """The same for many, each on its own."""
        caller = request.state.caller
        results: list[dict[str, Any]] = []
        for member in body.members:
            named = {"user_id": member.user_id, "user_email": member.user_email}
            try:
                with desk.accounts.write() as db:
                    team = led_team(db, caller, body.team_id)
                    user, record = join(desk, db, caller, team, member, body)
                desk.published(subjects=_subjects(body.team_id, user.user_id))
                with desk.accounts.read() as db:
                    membership = memberships(desk, db, team, [record])[0]
                results.append(
                    {**named, "success": True, "updated_user": _person(record), "updated_team_membership": membership}
                )
            except GatewayError as error:
                results.append({**named, "success": False, "error": error.message})
        with desk.accounts.read() as db:
            entry = info(desk, db, seen_team(db, caller, body.team_id))
        done = sum(1 for result in results if result["success"])
        return answer(
            {
                "team_id": body.team_id,
                "results": results,
                "total_requested": len(results),
                "successful_additions": done,
                "failed_additions": len(results) - done,
                "updated_team": entry,
            }
        )

    def _member(db: Session, team_id: str, user_id: str) -> TeamMember:
        record = db.team_members.lock((team_id, user_id))
        if record is None:
            raise missing("member", user_id)
        return record

    def remove(request: Request, body: DeleteMember) -> Response:
        """Take a user out of a team, and delete the keys it has there."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            team = led_team(db, caller, body.team_id)
            user_id = member_id(db, body.user_id, body.user_email)
            record = _member(db, body.team_id, user_id)
            where = (virtual_keys.c.team_id == body.team_id) & (virtual_keys.c.user_id == user_id)
            gone = db.keys.delete(db.keys.all(where), by(caller), desk.now())
            db.team_members.remove_one((body.team_id, user_id))
            if record.own:
                db.budgets.remove_one(record.budget_id)
        desk.published(keys=gone, subjects=_subjects(body.team_id, user_id))
        with desk.accounts.read() as db:
            return answer(info(desk, db, team))

    def update(request: Request, body: UpdateMember) -> Response:
        """Change a member's role or what it may use of the team."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            team = led_team(db, caller, body.team_id)
            user_id = member_id(db, body.user_id, body.user_email)
            record = _member(db, body.team_id, user_id)
            if body.role is not None:
                record = msgspec.structs.replace(record, role=body.role)
            if body.says_something():
                record = _budgeted(desk, db, caller, team, record, body)
            db.team_members.put(msgspec.structs.replace(record, updated_at=desk.now(), updated_by=by(caller)))
            budget = shown.budget(db.budgets.get(record.budget_id)) if record.budget_id else None
        desk.published(subjects=_subjects(body.team_id, user_id))
        held = budget or {}
        return answer(
            {
                "team_id": body.team_id,
                "user_id": user_id,
                "user_email": record.user_email or None,
                "role": record.role,
                "max_budget_in_team": held.get("max_budget"),
                **{
                    name: held.get(name)
                    for name in (
                        "tpm_limit", "rpm_limit", "budget_duration", "allowed_models", "temp_budget_increase",
                        "temp_budget_expiry",
                    )
                },
            }
        )  # fmt: skip

    def me(request: Request, team_id: Id) -> Response:
        """The membership of who asks."""
        caller = request.state.caller
        with desk.accounts.read() as db:
            team = seen_team(db, caller, team_id)
            record = db.team_members.get((team_id, caller.user_id)) if caller.user_id else None
            if record is None:
                raise missing("member", caller.user_id)
            user = known(db, caller.user_id, None)
            entry = memberships(desk, db, team, [record])[0]
        return answer({**entry, "role": record.role, "user_email": user.email or None if user is not None else None})

    def reset_budget(request: Request, team_id: Id, user_id: Id) -> Response:
        """Give a member the budget all members of the team have."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            team = led_team(db, caller, team_id)
            record = _member(db, team_id, user_id)
            if record.own:
                db.budgets.remove_one(record.budget_id)
            db.team_members.put(
                msgspec.structs.replace(record, budget_id="", own=False, updated_at=desk.now(), updated_by=by(caller))
            )
        desk.published(subjects=_subjects(team_id, user_id))
        return answer(
            {
                "team_id": team_id,
                "user_id": user_id,
                "budget_id": team.member_budget_id or None,
                "previous_budget_id": record.budget_id or None,
                "budget_source": "team_default" if team.member_budget_id else None,
            }
        )

    def reset_spend(request: Request, team_id: Id, user_id: Id, body: ResetSpend) -> Response:
        """Let what a member has spent be this much from now on."""
        caller = request.state.caller
        with desk.accounts.read() as db:
            team = led_team(db, caller, team_id)
            before = memberships(desk, db, team, [_member(db, team_id, user_id)])[0]["spend"]
        if nano(body.reset_to) > nano(before):
            raise BadRequest(f"reset_to: is over what was spent, {before}", param="reset_to")
        desk.set_spent("member", f"{team_id}/{user_id}", by(caller), nano(body.reset_to))
        desk.published(subjects=_subjects(team_id, user_id))
        return answer({"team_id": team_id, "user_id": user_id, "spend": body.reset_to, "previous_spend": before})

    operation, one = "team:members", "/team/{team_id}/member/{user_id}"
    return (
        Route("POST", "/team/member_add", Access.MANAGE, add, operation, MembersAdded),
        Route("POST", "/team/bulk_member_add", Access.MANAGE, bulk_add, operation, MembersBulkAdded),
        Route("POST", "/team/member_delete", Access.MANAGE, remove, operation, TeamInfo),
        Route("POST", "/team/member_update", Access.MANAGE, update, operation, MemberChanged),
        Route("GET", "/team/{team_id}/members/me", Access.MANAGE, me, "team:read", OwnMembership),
        Route("POST", f"{one}/reset_budget", Access.MANAGE, reset_budget, operation, MemberBudgetReset),
        Route("POST", f"{one}/reset_spend", Access.MANAGE, reset_spend, operation, MemberSpendReset),
    )
