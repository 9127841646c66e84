"""Webhooks of tasks, and what is still to be told there. Version 0020 goes on with this, and tells nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "a2a_hooks",
        sa.Column("token", sa.String, primary_key=True),
        sa.Column("agent", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("ix_a2a_hooks_expires_at", "a2a_hooks", ["expires_at"])
    op.create_index("ix_a2a_hooks_owner", "a2a_hooks", ["owner", "agent", "task"])
    op.create_table(
        "a2a_deliveries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
    )
    op.create_index("ix_a2a_deliveries_due_at", "a2a_deliveries", ["due_at"])


def downgrade() -> None:
    op.drop_table("a2a_deliveries")
    op.drop_table("a2a_hooks")
