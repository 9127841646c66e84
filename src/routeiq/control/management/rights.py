"""On which objects a caller may do what: https://docs.litellm.ai/docs/proxy/access_control

Objects of others are not there for whom they are not meant: reading them is a 404.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sqlalchemy import and_, false, or_, select, true

from routeiq.control.access import VIEWERS, Caller
from routeiq.control.management.desk import denied, missing
from routeiq.store.compiled import ALL_PROXY_MODELS, ALL_TEAM_MODELS, NO_DEFAULT_MODELS
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import organization_memberships, team_memberships, teams, users

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from routeiq.store.accounts import Session
    from routeiq.store.records import Team, User, VirtualKey

DEFAULT_PERMISSIONS = ("/key/info", "/key/health")
"""What members may do with keys of their team, where the team says nothing."""
PERMISSIONS = (
    "/key/generate", "/key/service-account/generate", "/key/update", "/key/delete", "/key/info", "/key/regenerate",
    "/key/{key_id}/regenerate", "/key/list", "/key/block", "/key/unblock", "/key/bulk_update",
    "/key/{key_id}/reset_spend", "/key/aliases", "/key/health",
)  # fmt: skip
"""https://docs.litellm.ai/docs/proxy/access_control#team-member-permissions"""
SPECIAL = frozenset((ALL_TEAM_MODELS, ALL_PROXY_MODELS, NO_DEFAULT_MODELS))


def administers(caller: Caller, team: Team) -> bool:
    """Whether a caller leads a team, or the organization it is in."""
    if caller.admin:
        return True
    if caller.role in VIEWERS:
        return False
    standing = caller.standing
    return team.team_id in standing.admin_teams or heads(caller, team.organization_id)


def heads(caller: Caller, organization_id: str) -> bool:
    """Whether a caller administers an organization."""
    if caller.admin:
        return True
    return (
        caller.role not in VIEWERS and bool(organization_id) and organization_id in caller.standing.admin_organizations
    )


def sees_team(caller: Caller, team: Team) -> bool:
    """Whether a caller may read a team."""
    standing = caller.standing
    return (
        caller.sees_all
        or team.team_id in standing.teams
        or team.team_id == caller.team_id
        or (bool(team.organization_id) and team.organization_id in standing.admin_organizations)
    )


def seen_team(db: Session, caller: Caller, team_id: str, *, lock: bool = False) -> Team:
    """A team the caller may read. Raises `UnknownPath`."""
    team = (db.teams.lock if lock else db.teams.get)(team_id)
    if team is None or not sees_team(caller, team):
        raise missing("team", team_id)
    return team


def led_team(db: Session, caller: Caller, team_id: str) -> Team:
    """A team the caller may change, locked. Raises `UnknownPath`, `Forbidden`."""
    team = seen_team(db, caller, team_id, lock=True)
    if not administers(caller, team):
        raise denied("Only an admin of the team, of its organization or of the gateway may do this.")
    return team


def _owns(caller: Caller, key: VirtualKey) -> bool:
    return bool(caller.user_id) and key.user_id == caller.user_id


def may_key(db: Session, caller: Caller, key: VirtualKey, permission: str) -> bool:
    """Whether a caller may do with a key what needs this permission of a team's member."""
    reading = permission in ("/key/info", "/key/health", "/key/list", "/key/aliases")
    if caller.admin or (reading and (caller.sees_all or caller.digest == key.digest)):
        return True
    if caller.role in VIEWERS:
        return reading and _owns(caller, key)
    if key.organization_id and heads(caller, key.organization_id):
        return True
    if not key.team_id:
        return _owns(caller, key)
    team = db.teams.get(key.team_id)
    if team is not None and administers(caller, team):
        return True
    if reading and _owns(caller, key):
        return True
    if team is None or team.team_id not in caller.standing.teams:
        return False
    granted = team.member_permissions if team.member_permissions is not None else DEFAULT_PERMISSIONS
    return permission in granted and (reading or _owns(caller, key) or not key.user_id)


def seen_key(db: Session, caller: Caller, digest: str) -> VirtualKey:
    """A key the caller may read. Raises `UnknownPath`."""
    key = db.keys.get(digest)
    if key is None or not may_key(db, caller, key, "/key/info"):
        raise missing("key", f"...{digest[-6:]}")
    return key


def changed_key(db: Session, caller: Caller, digest: str, permission: str) -> VirtualKey:
    """A key the caller may do this with, locked. Raises `UnknownPath`, `Forbidden`."""
    key = db.keys.lock(digest)
    if key is None or not (may_key(db, caller, key, permission) or may_key(db, caller, key, "/key/info")):
        raise missing("key", f"...{digest[-6:]}")
    if not may_key(db, caller, key, permission):
        raise denied(f"This key's role may not do this with a key of that owner ({permission}).")
    return key


def visible_keys(caller: Caller, *, teams: bool = True) -> ColumnElement[bool]:
    """Keys a caller may list; with `teams` those of others in the teams and organizations it leads."""
    if caller.sees_all:
        return true()
    parts: list[ColumnElement[bool]] = [virtual_keys.c.digest == caller.digest]
    if caller.user_id:
        parts.append(virtual_keys.c.user_id == caller.user_id)
    standing = caller.standing
    if teams and caller.role not in VIEWERS:
        parts += _tenants(standing.admin_teams, standing.admin_organizations)
    return or_(*parts)


def _tenants(led: frozenset[str], headed: frozenset[str]) -> list[ColumnElement[bool]]:
    inside = select(teams.c.team_id).where(teams.c.organization_id.in_(sorted(headed)))
    return [
        virtual_keys.c.team_id.in_(sorted(led)),
        virtual_keys.c.organization_id.in_(sorted(headed)),
        virtual_keys.c.team_id.in_(inside),
    ]


def visible_teams(caller: Caller) -> ColumnElement[bool]:
    """Teams a caller may list."""
    if caller.sees_all:
        return true()
    standing = caller.standing
    own = standing.teams | ({caller.team_id} if caller.team_id else frozenset())
    return or_(teams.c.team_id.in_(sorted(own)), teams.c.organization_id.in_(sorted(standing.admin_organizations)))


def visible_users(caller: Caller) -> ColumnElement[bool]:
    """Users a caller may list."""
    if caller.sees_all:
        return true()
    itself = users.c.user_id == caller.user_id if caller.user_id else false()
    headed = sorted(caller.standing.admin_organizations) if caller.role not in VIEWERS else []
    if not headed:
        return itself
    of, joined = organization_memberships.c, team_memberships.c
    inside = select(of.user_id).where(of.organization_id.in_(headed))
    # Whom others have, too, is not theirs to see: that would tell of the others.
    outside = select(of.user_id).where(of.organization_id.not_in(headed))
    elsewhere = (
        select(joined.user_id)
        .join(teams, teams.c.team_id == joined.team_id)
        .where(or_(teams.c.organization_id.is_(None), teams.c.organization_id.not_in(headed)))
    )
    id = users.c.user_id
    return or_(itself, and_(id.in_(inside), id.not_in(outside), id.not_in(elsewhere)))


def manages_user(db: Session, caller: Caller, user_id: str) -> bool:
    """Whether a caller may change a user: an admin, or who heads every organization and team the user is in."""
    if caller.admin:
        return True
    headed = caller.standing.admin_organizations
    if not headed or caller.role in VIEWERS:
        return False
    memberships = db.organization_members.all(organization_memberships.c.user_id == user_id)
    if not memberships or any(it.organization_id not in headed for it in memberships):
        return False
    joined = [it.team_id for it in db.team_members.all(team_memberships.c.user_id == user_id)]
    return all(team.organization_id in headed for team in db.teams.many(joined).values())


def seen_user(db: Session, caller: Caller, user_id: str) -> User:
    """A user the caller may read. Raises `UnknownPath`."""
    user = db.users.get(user_id)
    allowed = caller.sees_all or (bool(caller.user_id) and caller.user_id == user_id)
    if user is None or not (allowed or manages_user(db, caller, user_id)):
        raise missing("user", user_id)
    return user


def subset(asked: tuple[str, ...], held: tuple[str, ...]) -> bool:
    """Whether every model asked for is among those held; nothing asked for is all, and so is nothing held."""
    if not held or ALL_PROXY_MODELS in held:
        return True
    if not asked or ALL_PROXY_MODELS in asked:
        return False
    return all(name in held or name in (ALL_TEAM_MODELS, NO_DEFAULT_MODELS) or _fits(name, held) for name in asked)


def _fits(name: str, held: tuple[str, ...]) -> bool:
    return "*" not in name and any("*" in pattern and fnmatchcase(name, pattern) for pattern in held)
