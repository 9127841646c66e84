"""Users, teams, organizations, budgets and end users; keys that can be searched. Version 0007 goes on with this."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY_COLUMNS = ("alias", "name", "user_id", "team_id", "organization_id", "budget_id", "expires", "created_at", "data")
INDEXES = {
    "virtual_keys": ("user_id", "team_id", "organization_id", "budget_id", "created_at"),
    "organizations": ("alias", "budget_id"),
    "organization_memberships": ("user_id", "budget_id"),
    "teams": ("alias", "organization_id", "member_budget_id", "created_at"),
    "team_memberships": ("user_id", "budget_id"),
    "users": ("email", "role", "sso_user_id", "created_at"),
    "budgets": ("created_at",),
    "end_users": ("budget_id", "created_at"),
    "retired_keys": ("successor", "until"),
}


def upgrade() -> None:
    types = {"expires": sa.Float, "created_at": sa.Float, "data": sa.Text}
    for name in KEY_COLUMNS:
        op.add_column("virtual_keys", sa.Column(name, types.get(name, sa.String)))
    op.create_table(
        "organizations",
        sa.Column("organization_id", sa.String, primary_key=True),
        sa.Column("alias", sa.String),
        sa.Column("budget_id", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "organization_memberships",
        sa.Column("organization_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("budget_id", sa.String),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "teams",
        sa.Column("team_id", sa.String, primary_key=True),
        sa.Column("alias", sa.String),
        sa.Column("organization_id", sa.String),
        sa.Column("member_budget_id", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "team_memberships",
        sa.Column("team_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("budget_id", sa.String),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("alias", sa.String),
        sa.Column("email", sa.String),
        sa.Column("role", sa.String),
        sa.Column("sso_user_id", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "budgets",
        sa.Column("budget_id", sa.String, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "end_users",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("alias", sa.String),
        sa.Column("blocked", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("budget_id", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "deleted_keys",
        sa.Column("digest", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.String) for name in ("alias", "name", "user_id", "team_id")),
        sa.Column("deleted_at", sa.Float, nullable=False),
        sa.Column("deleted_by", sa.String),
    )
    op.create_table(
        "retired_keys",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("successor", sa.String(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    for table, columns in INDEXES.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index("ux_virtual_keys_alias", "virtual_keys", ["alias"], unique=True)


def downgrade() -> None:
    op.drop_index("ux_virtual_keys_alias", "virtual_keys")
    for column in INDEXES["virtual_keys"]:
        op.drop_index(f"ix_virtual_keys_{column}", "virtual_keys")
    for table in ("retired_keys", "deleted_keys", "end_users", "budgets", "users", "team_memberships", "teams"):
        op.drop_table(table)
    op.drop_table("organization_memberships")
    op.drop_table("organizations")
    for name in KEY_COLUMNS:
        op.drop_column("virtual_keys", name)
