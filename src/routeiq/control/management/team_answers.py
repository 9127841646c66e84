"""Teams as answers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routeiq.control.management import shown
from routeiq.store.records import Limits
from routeiq.store.tables_accounts import team_memberships

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routeiq.control.management.desk import Desk
    from routeiq.store.accounts import Session
    from routeiq.store.records import Team, TeamMember


def members_of(db: Session, team_ids: Iterable[str]) -> dict[str, list[TeamMember]]:
    """Members by team."""
    found: dict[str, list[TeamMember]] = {id: [] for id in team_ids}
    for member in db.team_members.all(team_memberships.c.team_id.in_(sorted(found))):
        found[member.team_id].append(member)
    return found


def infos(desk: Desk, db: Session, records: Iterable[Team]) -> list[dict[str, Any]]:
    """Teams with their members."""
    listed = list(records)
    members = members_of(db, (record.team_id for record in listed))
    people = db.users.many(member.user_id for group in members.values() for member in group)
    emails = {user.user_id: user.email for user in people.values()}
    spent = desk.spent_many("team", ((record.team_id, record.limits, record.spending) for record in listed))
    return [shown.team(it, spent[it.team_id], desk.reset_at(it.limits), members[it.team_id], emails) for it in listed]


def info(desk: Desk, db: Session, record: Team) -> dict[str, Any]:
    """One team with its members."""
    return infos(desk, db, [record])[0]


def memberships(desk: Desk, db: Session, team: Team, members: Iterable[TeamMember]) -> list[dict[str, Any]]:
    """What members may use of their team."""
    listed = list(members)
    shared = db.budgets.many(it.budget_id or team.member_budget_id for it in listed)
    budgets = {it.user_id: shared.get(it.budget_id or team.member_budget_id) for it in listed}
    limits = {id: budget.limits if budget is not None else Limits() for id, budget in budgets.items()}
    spent = desk.spent_many(
        "member", ((f"{it.team_id}/{it.user_id}", limits[it.user_id], it.spending) for it in listed)
    )
    return [shown.membership(it, spent[f"{it.team_id}/{it.user_id}"], budgets[it.user_id]) for it in listed]
