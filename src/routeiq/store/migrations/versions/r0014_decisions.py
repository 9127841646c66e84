"""How the models of requests were chosen. Version 0013 goes on with this, and writes none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_decisions",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("decision_id", sa.String, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
    )
    op.create_index("ix_event_decisions_decision_id", "event_decisions", ["decision_id"])


def downgrade() -> None:
    op.drop_table("event_decisions")
