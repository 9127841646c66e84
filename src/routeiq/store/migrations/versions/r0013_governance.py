"""Workspaces, which keys may be in, and policies of usage. Version 0012 goes on with this, and holds nobody to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("virtual_keys", sa.Column("workspace_id", sa.String))
    op.create_index("ix_virtual_keys_workspace_id", "virtual_keys", ["workspace_id"])
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.String, primary_key=True),
        sa.Column("organization_id", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("ix_workspaces_organization_id", "workspaces", ["organization_id"])
    op.create_table(
        "usage_policies",
        sa.Column("policy_id", sa.String, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("usage_policies")
    op.drop_table("workspaces")
    op.drop_index("ix_virtual_keys_workspace_id", "virtual_keys")
    op.drop_column("virtual_keys", "workspace_id")
