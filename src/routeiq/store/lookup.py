"""Finds what a worker asks about: a key, an end user, and what a user is where."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, bindparam, func, select

from routeiq.core.keys import EndUser, Key
from routeiq.store.accounts import BUDGETS, END_USERS, ORGANIZATIONS, TEAM_MEMBERS, TEAMS, USERS, WORKSPACES
from routeiq.store.compiled import Chain, Rules, budget_ids, compile_end_user, compile_key
from routeiq.store.records import Budget, VirtualKey
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import (
    budgets,
    end_users,
    organizations,
    retired_keys,
    team_memberships,
    teams,
    users,
)
from routeiq.store.tables_governance import workspaces
from routeiq.store.virtual_keys import decode_key

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_CHAIN = (
    select(
        virtual_keys.c.key,
        virtual_keys.c.data,
        virtual_keys.c.updated_at,
        virtual_keys.c.workspace_id,
        users.c.data.label("user"),
        teams.c.data.label("team"),
        team_memberships.c.data.label("member"),
        organizations.c.data.label("organization"),
        workspaces.c.data.label("workspace"),
    )
    .select_from(virtual_keys)
    .outerjoin(users, users.c.user_id == virtual_keys.c.user_id)
    .outerjoin(teams, teams.c.team_id == virtual_keys.c.team_id)
    .outerjoin(
        team_memberships,
        and_(
            team_memberships.c.team_id == virtual_keys.c.team_id, team_memberships.c.user_id == virtual_keys.c.user_id
        ),
    )
    .outerjoin(
        organizations,
        organizations.c.organization_id == func.coalesce(teams.c.organization_id, virtual_keys.c.organization_id),
    )
    .outerjoin(workspaces, workspaces.c.workspace_id == virtual_keys.c.workspace_id)
    .where(virtual_keys.c.digest == bindparam("digest"))
)
_TEAM = select(teams.c.data, teams.c.organization_id).where(teams.c.team_id == bindparam("team_id")).subquery("team")
_PRINCIPAL = select(
    select(users.c.data).where(users.c.user_id == bindparam("user_id")).scalar_subquery().label("user"),
    select(_TEAM.c.data).scalar_subquery().label("team"),
    select(team_memberships.c.data)
    .where(team_memberships.c.team_id == bindparam("team_id"), team_memberships.c.user_id == bindparam("user_id"))
    .scalar_subquery()
    .label("member"),
    select(organizations.c.data)
    .where(organizations.c.organization_id == select(_TEAM.c.organization_id).scalar_subquery())
    .scalar_subquery()
    .label("organization"),
)
_SUCCESSOR = select(retired_keys.c.successor, retired_keys.c.until).where(retired_keys.c.digest == bindparam("digest"))
_BUDGETS = select(budgets.c.budget_id, budgets.c.data).where(budgets.c.budget_id.in_(bindparam("ids", expanding=True)))
_END_USER = select(end_users.c.data).where(end_users.c.user_id == bindparam("id"))


class Lookup:
    """What is looked up for workers. Methods block; call them off the event loop."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float] = time.time,
        rules: Callable[[], Rules] = Rules,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._rules = rules

    def find(self, digest: str) -> Key | None:
        """The key with this hex SHA-256, with the limits of all it belongs to."""
        now = self._clock()
        with self._engine.connect() as connection:
            row = connection.execute(_CHAIN, {"digest": digest}).one_or_none()
            current, until = digest, None
            if row is None:
                retired = connection.execute(_SUCCESSOR, {"digest": digest}).one_or_none()
                if retired is None or retired.until <= now:
                    return None
                current, until = retired.successor, retired.until
                row = connection.execute(_CHAIN, {"digest": current}).one_or_none()
                if row is None:
                    return None
            chain = self._chain(connection, digest, current, row)
        key = compile_key(chain, self._rules(), now)
        if until is not None and (key.expires is None or until < key.expires):
            key = msgspec.structs.replace(key, expires=until)
        return key

    def find_principal(self, user_id: str, team_id: str) -> Key | None:
        """What stands for a user, a team, or a user in a team, where no key does; `None` where neither is known.

        A user who is not a member of the team is not let in as one.
        """
        digest = hashlib.sha256(f"principal:{len(user_id)}:{user_id}:{team_id}".encode()).hexdigest()
        with self._engine.connect() as connection:
            row = connection.execute(_PRINCIPAL, {"user_id": user_id, "team_id": team_id}).one()
            user = USERS.decode(row.user) if row.user is not None else None
            team = TEAMS.decode(row.team) if row.team is not None else None
            member = TEAM_MEMBERS.decode(row.member) if row.member is not None else None
            if (team is None if team_id else user is None) or (team_id and user is not None and member is None):
                return None
            organization = ORGANIZATIONS.decode(row.organization) if row.organization is not None else None
            key = VirtualKey(
                digest=digest, name="token", user_id=user_id if user is not None else "", team_id=team_id,
                organization_id=organization.organization_id if organization is not None else "",
            )  # fmt: skip
            found = self._budgets(connection, budget_ids(key, member, team, organization))
        return compile_key(
            Chain(digest, key, user, member, team, organization, found, None), self._rules(), self._clock()
        )

    def find_end_user(self, id: str) -> EndUser | None:
        """The end user with this id; `None` for one nobody has limited."""
        rules = self._rules()
        with self._engine.connect() as connection:
            data = connection.execute(_END_USER, {"id": id}).scalar()
            record = END_USERS.decode(data) if data is not None else None
            budget_id = record.budget_id if record is not None else ""
            budget_id = budget_id or rules.default_end_user_budget
            found = self._budgets(connection, {budget_id} if budget_id else set())
        budget = found.get(budget_id)
        if record is None and budget is None:
            return None
        return compile_end_user(id, record, budget, rules, self._clock())

    def _chain(self, connection: Connection, digest: str, current: str, row: Any) -> Chain:
        key = decode_key(current, row.key, row.data, row.updated_at, row.workspace_id)
        user = USERS.decode(row.user) if row.user is not None else None
        team = TEAMS.decode(row.team) if row.team is not None else None
        member = TEAM_MEMBERS.decode(row.member) if row.member is not None else None
        organization = ORGANIZATIONS.decode(row.organization) if row.organization is not None else None
        workspace = WORKSPACES.decode(row.workspace) if row.workspace is not None else None
        found = self._budgets(connection, budget_ids(key, member, team, organization))
        return Chain(digest, key, user, member, team, organization, found, workspace)

    def _budgets(self, connection: Connection, ids: set[str]) -> dict[str, Budget]:
        if not ids:
            return {}
        rows = connection.execute(_BUDGETS, {"ids": sorted(ids)})
        return {row.budget_id: BUDGETS.decode(row.data) for row in rows}
