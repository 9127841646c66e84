"""Tasks of agents that are kept for their client. Version 0018 goes on with this, and knows of none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "a2a_tasks",
        sa.Column("agent", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("context", sa.String, nullable=False),
        sa.Column("inner", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("final", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("task", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_a2a_tasks_expires_at", "a2a_tasks", ["expires_at"])
    op.create_index("ix_a2a_tasks_owner", "a2a_tasks", ["owner", "agent", "updated_at"])
    op.create_table(
        "a2a_contexts",
        sa.Column("agent", sa.String, primary_key=True),
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("context", sa.String, primary_key=True),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("ix_a2a_contexts_expires_at", "a2a_contexts", ["expires_at"])


def downgrade() -> None:
    op.drop_table("a2a_contexts")
    op.drop_table("a2a_tasks")
