"""Requests are found by their id. Version 0015 goes on with this."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_rows_id", "event_rows", ["id"])
    op.create_index("ix_event_details_request_id", "event_details", ["request_id"])


def downgrade() -> None:
    op.drop_index("ix_event_details_request_id", "event_details")
    op.drop_index("ix_event_rows_id", "event_rows")
