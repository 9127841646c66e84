"""What somebody is to be told about budgets. Version 0014 goes on with this, and tells nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("event", sa.String, primary_key=True),
        sa.Column("period", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("amount", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("tries", NUMBER, nullable=False),
    )
    op.create_index("ix_alerts_due", "alerts", ["due"])


def downgrade() -> None:
    op.drop_table("alerts")
