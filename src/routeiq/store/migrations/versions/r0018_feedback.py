"""What users thought of the models that were chosen for them. Version 0017 goes on with this, and takes none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routing_feedback",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("decision_id", sa.String, nullable=False, unique=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("key", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("routing_feedback")
