"""Tables of who may call: users, teams, organizations, budgets, end users, and what is left of keys that are gone.

Every row holds its whole record (`store.records`) as JSON in `data`; the other columns are what is searched for.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Table, Text

from routeiq.store.tables import METADATA, Words

organizations = Table(
    "organizations",
    METADATA,
    Column("organization_id", Words, primary_key=True),
    Column("alias", Words, index=True),
    Column("budget_id", Words, index=True),
    Column("created_at", Float, nullable=False, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.Organization as JSON"),
)

organization_memberships = Table(
    "organization_memberships",
    METADATA,
    Column("organization_id", Words, primary_key=True),
    Column("user_id", Words, primary_key=True, index=True),
    Column("role", Words, nullable=False, comment="org_admin, internal_user, internal_user_viewer"),
    Column("budget_id", Words, index=True),
    Column("data", Text, nullable=False, comment="store.records.OrganizationMember as JSON"),
)

teams = Table(
    "teams",
    METADATA,
    Column("team_id", Words, primary_key=True),
    Column("alias", Words, index=True),
    Column("organization_id", Words, index=True),
    Column("member_budget_id", Words, index=True),
    Column("created_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.Team as JSON"),
)

team_memberships = Table(
    "team_memberships",
    METADATA,
    Column("team_id", Words, primary_key=True),
    Column("user_id", Words, primary_key=True, index=True),
    Column("role", Words, nullable=False, comment="admin, user"),
    Column("budget_id", Words, index=True),
    Column("data", Text, nullable=False, comment="store.records.TeamMember as JSON"),
)

users = Table(
    "users",
    METADATA,
    Column("user_id", Words, primary_key=True),
    Column("alias", Words),
    Column("email", Words, index=True, comment="In lower case"),
    Column("role", Words, index=True, comment="core.keys.ROLES"),
    Column("sso_user_id", Words, index=True),
    Column("created_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.User as JSON"),
)

budgets = Table(
    "budgets",
    METADATA,
    Column("budget_id", Words, primary_key=True),
    Column("created_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.Budget as JSON"),
)

end_users = Table(
    "end_users",
    METADATA,
    Column("user_id", Words, primary_key=True),
    Column("alias", Words),
    Column("blocked", Boolean(create_constraint=False), nullable=False),
    Column("budget_id", Words, index=True),
    Column("created_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.EndUser as JSON"),
)

deleted_keys = Table(
    "deleted_keys",
    METADATA,
    Column("digest", Words(64), primary_key=True),
    Column("alias", Words),
    Column("name", Words),
    Column("user_id", Words),
    Column("team_id", Words),
    Column("deleted_at", Float, nullable=False, comment="Unix seconds"),
    Column("deleted_by", Words),
)
"""What a report still calls the keys that are gone."""

retired_keys = Table(
    "retired_keys",
    METADATA,
    Column("digest", Words(64), primary_key=True),
    Column("successor", Words(64), nullable=False, index=True, comment="virtual_keys.digest"),
    Column("until", Float, nullable=False, index=True, comment="Unix seconds"),
)
"""Keys that were regenerated and still work for a while, as the key that replaced them."""
