"""Who a request was for: the internal user, team and organization of its key, the agent's run, the client's tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations

from routeiq.store.migrations.versions.r0001_ledger import CONTEXT as CONTEXT_BEFORE
from routeiq.store.migrations.versions.r0004_continued import EVENTS as EVENTS_BEFORE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WHO = ("user_id", "team_id", "organization_id")
CONTEXT = (*CONTEXT_BEFORE, *WHO)

_USER = '    coalesce(d."user", \'\') AS "user",\n'
_WORKER = "    c.worker AS worker\n"
EVENTS = EVENTS_BEFORE.replace(
    _USER,
    _USER + "    coalesce(d.run_id, '') AS run_id,\n    nullif(d.request_tags, '') AS request_tags,\n",
).replace(
    _WORKER,
    "    c.worker AS worker,\n" + ",\n".join(f"    c.{name} AS {name}" for name in WHO) + "\n",
)


def upgrade() -> None:
    op.execute("DROP VIEW events")
    # An older version that writes to this schema says nothing of them.
    with op.batch_alter_table("event_contexts") as table:
        for name in WHO:
            table.add_column(sa.Column(name, sa.String, nullable=False, server_default=""))
        _keep_apart(table, CONTEXT)
    op.add_column("event_details", sa.Column("run_id", sa.String, nullable=False, server_default=""))
    op.add_column("event_details", sa.Column("request_tags", sa.Text, nullable=False, server_default=""))
    op.execute(EVENTS)


def downgrade() -> None:
    op.execute("DROP VIEW events")
    op.drop_column("event_details", "request_tags")
    op.drop_column("event_details", "run_id")
    # Contexts that differed in these columns only stay apart: rows refer to them.
    same = " AND ".join(f'o."{name}" = event_contexts."{name}"' for name in CONTEXT_BEFORE)
    op.execute(
        "UPDATE event_contexts SET revision = revision || '#' || id"  # noqa: S608 - names of columns
        f" WHERE EXISTS (SELECT 1 FROM event_contexts AS o WHERE o.id < event_contexts.id AND {same})"
    )
    with op.batch_alter_table("event_contexts") as table:
        _keep_apart(table, CONTEXT_BEFORE)
        for name in WHO:
            table.drop_column(name)
    op.execute(EVENTS_BEFORE)


def _keep_apart(table: BatchOperations, columns: tuple[str, ...]) -> None:
    """No two contexts are the same in these columns; PostgreSQL has no constraint for it, and needs none."""
    if op.get_bind().dialect.name == "sqlite":
        table.drop_constraint("uq_event_contexts", type_="unique")
        table.create_unique_constraint("uq_event_contexts", list(columns))
