"""What one gateway tells the others on its database: which keys have changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
    )
    op.create_index("ix_notices_at", "notices", ["at"])


def downgrade() -> None:
    op.drop_table("notices")
