"""What was said in requests and answers, where that is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_prompts",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("prompt", sa.String, nullable=False),
        sa.Column("answer", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("event_prompts")
