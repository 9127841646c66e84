"""Rows of Events in partitions, in PostgreSQL: what there is becomes the first one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0006_who import EVENTS

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("event_rows", "event_details", "event_usage")
SIZE = 10_000_000


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    newest = op.get_bind().execute(sa.text("SELECT coalesce(max(seq), 0) FROM event_rows")).scalar() or 0
    edge = (newest // SIZE + 1) * SIZE
    op.execute("DROP VIEW events")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_p0")
        op.execute(f"ALTER TABLE {table}_p0 RENAME CONSTRAINT pk_{table} TO pk_{table}_p0")
        op.execute(
            f"CREATE TABLE {table} (LIKE {table}_p0 INCLUDING DEFAULTS INCLUDING CONSTRAINTS,"
            f" CONSTRAINT pk_{table} PRIMARY KEY (seq)) PARTITION BY RANGE (seq)"
        )
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_p0 FOR VALUES FROM (MINVALUE) TO ({edge})")
        for start in (edge, edge + SIZE):
            op.execute(
                f"CREATE TABLE {table}_p{start} PARTITION OF {table} FOR VALUES FROM ({start}) TO ({start + SIZE})"
            )
    op.execute(EVENTS)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP VIEW events")
    for table in TABLES:
        op.execute(f"CREATE TABLE {table}_whole (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        op.execute(f"INSERT INTO {table}_whole SELECT * FROM {table}")  # noqa: S608 - constants only
        op.execute(f"DROP TABLE {table}")
        op.execute(f"ALTER TABLE {table}_whole RENAME TO {table}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY (seq)")
    op.execute(EVENTS)
