"""How often a stream that broke was gone on with by another deployment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER
from routeiq.store.migrations.versions.r0002_usage import EVENTS as EVENTS_BEFORE

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_HEDGED = "    coalesce(d.hedged, false) AS hedged,\n"
EVENTS = EVENTS_BEFORE.replace(_HEDGED, _HEDGED + "    coalesce(d.continued, 0) AS continued,\n")


def upgrade() -> None:
    op.execute("DROP VIEW events")
    op.add_column("event_details", sa.Column("continued", NUMBER, nullable=False, server_default="0"))
    op.execute(EVENTS)


def downgrade() -> None:
    op.execute("DROP VIEW events")
    op.drop_column("event_details", "continued")
    op.execute(EVENTS_BEFORE)
