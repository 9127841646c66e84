"""Tags with a shared budget. Version 0016 goes on with this, and holds such tags to nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tags", sa.Column("budget_id", sa.String))
    op.create_index("ix_tags_budget_id", "tags", ["budget_id"])


def downgrade() -> None:
    op.drop_index("ix_tags_budget_id", "tags")
    op.drop_column("tags", "budget_id")
