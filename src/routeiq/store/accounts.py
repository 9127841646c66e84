"""Who may call, in one transaction: keys, users, teams, organizations, end users, budgets.

with accounts.write() as db:
    team = db.teams.lock("t1")
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select, union_all, update

from routeiq.store.database import insert_into
from routeiq.store.records import (
    Budget,
    EndUser,
    Organization,
    OrganizationMember,
    Team,
    TeamMember,
    User,
    VirtualKey,
    Workspace,
)
from routeiq.store.rows import Kind, Rows
from routeiq.store.standing import Memberships, memberships
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import (
    budgets,
    deleted_keys,
    end_users,
    organization_memberships,
    organizations,
    retired_keys,
    team_memberships,
    teams,
    users,
)
from routeiq.store.tables_governance import workspaces
from routeiq.store.tables_models import tags
from routeiq.store.virtual_keys import decode_key, key_columns

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def _decoder(kind: type[Any]) -> Any:
    return msgspec.json.Decoder(kind).decode


BUDGETS: Kind[Budget] = Kind(
    budgets, ("budget_id",), _decoder(Budget), lambda it: {"budget_id": it.budget_id, "created_at": it.created_at}
)
ORGANIZATIONS: Kind[Organization] = Kind(
    organizations,
    ("organization_id",),
    _decoder(Organization),
    lambda it: {
        "organization_id": it.organization_id,
        "alias": it.alias or None,
        "budget_id": it.budget_id or None,
        "created_at": it.created_at,
    },
)
WORKSPACES: Kind[Workspace] = Kind(
    workspaces,
    ("workspace_id",),
    _decoder(Workspace),
    lambda it: {
        "workspace_id": it.workspace_id,
        "organization_id": it.organization_id or None,
        "created_at": it.created_at,
    },
)
ORGANIZATION_MEMBERS: Kind[OrganizationMember] = Kind(
    organization_memberships,
    ("organization_id", "user_id"),
    _decoder(OrganizationMember),
    lambda it: {
        "organization_id": it.organization_id,
        "user_id": it.user_id,
        "role": it.role,
        "budget_id": it.budget_id or None,
    },
)
TEAMS: Kind[Team] = Kind(
    teams,
    ("team_id",),
    _decoder(Team),
    lambda it: {
        "team_id": it.team_id,
        "alias": it.alias or None,
        "organization_id": it.organization_id or None,
        "member_budget_id": it.member_budget_id or None,
        "created_at": it.created_at,
    },
)
TEAM_MEMBERS: Kind[TeamMember] = Kind(
    team_memberships,
    ("team_id", "user_id"),
    _decoder(TeamMember),
    lambda it: {"team_id": it.team_id, "user_id": it.user_id, "role": it.role, "budget_id": it.budget_id or None},
)
USERS: Kind[User] = Kind(
    users,
    ("user_id",),
    _decoder(User),
    lambda it: {
        "user_id": it.user_id,
        "alias": it.alias or None,
        "email": it.email.lower() or None,
        "role": it.role or None,
        "sso_user_id": it.sso_user_id or None,
        "created_at": it.created_at,
    },
)
END_USERS: Kind[EndUser] = Kind(
    end_users,
    ("user_id",),
    _decoder(EndUser),
    lambda it: {
        "user_id": it.user_id,
        "alias": it.alias or None,
        "blocked": it.blocked,
        "budget_id": it.budget_id or None,
        "created_at": it.created_at,
    },
)
KEYS: Kind[VirtualKey] = Kind(virtual_keys, ("digest",), _decoder(VirtualKey), key_columns)


class KeyRows(Rows[VirtualKey]):
    """Virtual keys, those of older versions among them."""

    def decode(self, row: Any) -> VirtualKey:
        """The record of a row."""
        return decode_key(row.digest, row.key, row.data, row.updated_at, row.workspace_id)

    def of_alias(self, alias: str) -> VirtualKey | None:
        """The key with this alias."""
        found = self.all(virtual_keys.c.alias == alias, 1)
        return found[0] if found else None

    def current(self, digest: str, now: float) -> str:
        """The key this digest works as: itself, or what replaced it, for as long as that is let work."""
        query = select(retired_keys.c.successor).where(retired_keys.c.digest == digest, retired_keys.c.until > now)
        return self.connection.execute(query).scalar() or digest

    def retire(self, digest: str, successor: str, until: float) -> None:
        """Let `digest` work as `successor` until then; what has been retired for `digest` goes on with it."""
        self.connection.execute(
            update(retired_keys).where(retired_keys.c.successor == digest).values(successor=successor)
        )
        values = {"digest": digest, "successor": successor, "until": until}
        made = insert_into(self.connection, retired_keys).values(values)
        self.connection.execute(made.on_conflict_do_update(index_elements=["digest"], set_=values))

    def retired(self, digest: str) -> list[str]:
        """Digests that work as this key."""
        query = select(retired_keys.c.digest).where(retired_keys.c.successor == digest)
        return list(self.connection.execute(query).scalars())

    def delete(self, records: list[VirtualKey], by: str, now: float) -> list[str]:
        """Remove these, keep their names, and give every digest that does not work any more."""
        gone = []
        for record in records:
            gone += [record.digest, *self.retired(record.digest)]
            self.connection.execute(delete(retired_keys).where(retired_keys.c.successor == record.digest))
            self.remove_one(record.digest)
            values = {
                "digest": record.digest,
                "alias": record.alias or None,
                "name": record.name or None,
                "user_id": record.user_id or None,
                "team_id": record.team_id or None,
                "deleted_at": now,
                "deleted_by": by or None,
            }
            made = insert_into(self.connection, deleted_keys).values(values)
            self.connection.execute(made.on_conflict_do_update(index_elements=["digest"], set_=values))
        self.connection.execute(delete(retired_keys).where(retired_keys.c.until <= now))
        return gone


class Session:
    """All tables in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.keys = KeyRows(connection, KEYS)
        self.users = Rows(connection, USERS)
        self.teams = Rows(connection, TEAMS)
        self.team_members = Rows(connection, TEAM_MEMBERS)
        self.organizations = Rows(connection, ORGANIZATIONS)
        self.organization_members = Rows(connection, ORGANIZATION_MEMBERS)
        self.workspaces = Rows(connection, WORKSPACES)
        self.budgets = Rows(connection, BUDGETS)
        self.end_users = Rows(connection, END_USERS)

    def budget_users(self, budget_id: str) -> list[str]:
        """Names of the subjects (as `core.keys.Subject.name`) a budget counts for."""
        found = union_all(
            select(_tagged("key", virtual_keys.c.digest)).where(virtual_keys.c.budget_id == budget_id),
            select(_tagged("team", teams.c.team_id)).where(teams.c.member_budget_id == budget_id),
            select(_tagged("organization", organizations.c.organization_id)).where(
                organizations.c.budget_id == budget_id
            ),
            select(_tagged("end_user", end_users.c.user_id)).where(end_users.c.budget_id == budget_id),
            select(_tagged("user", team_memberships.c.user_id)).where(team_memberships.c.budget_id == budget_id),
            select(_tagged("tag", tags.c.name)).where(tags.c.budget_id == budget_id),
        )
        return list(self.connection.execute(found).scalars())


def _tagged(kind: str, column: Any) -> Any:
    return (f"{kind}:" + column).label("name")


class Accounts:
    """Transactions over one database. They block; use them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self.clock = clock

    def memberships(self, user_id: str) -> Memberships:
        """What a user is where."""
        return memberships(self._engine, user_id)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """To look only."""
        with self._engine.connect() as connection:
            yield Session(connection)

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """To change: all of it or nothing."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                # The lock before the first look: what is read here stays so until it is written.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield Session(connection)
            connection.commit()
