"""What a user is where: its role, and its teams and organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, literal, select, union_all

from routeiq.store.tables_accounts import organization_memberships, team_memberships, users

if TYPE_CHECKING:
    from sqlalchemy import Engine

_USER, _TEAM, _ORGANIZATION = "user", "team", "organization"
_QUERY = union_all(
    select(literal(_USER).label("kind"), users.c.user_id.label("id"), users.c.role.label("role")).where(
        users.c.user_id == bindparam("user_id")
    ),
    select(literal(_TEAM), team_memberships.c.team_id, team_memberships.c.role).where(
        team_memberships.c.user_id == bindparam("user_id")
    ),
    select(literal(_ORGANIZATION), organization_memberships.c.organization_id, organization_memberships.c.role).where(
        organization_memberships.c.user_id == bindparam("user_id")
    ),
)


class Memberships(NamedTuple):
    """Roles by id."""

    role: str
    teams: dict[str, str]
    organizations: dict[str, str]


def memberships(engine: Engine, user_id: str) -> Memberships:
    """All of one user. Blocks."""
    role = ""
    teams: dict[str, str] = {}
    organizations: dict[str, str] = {}
    with engine.connect() as connection:
        for row in connection.execute(_QUERY, {"user_id": user_id}):
            if row.kind == _USER:
                role = row.role or ""
            else:
                (teams if row.kind == _TEAM else organizations)[row.id] = row.role
    return Memberships(role, teams, organizations)
