"""The ledger, the offsets of the journal, virtual keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.Integer().with_variant(sa.BigInteger, "postgresql")

EVENTS = """
CREATE VIEW events AS SELECT
    r.seq AS seq,
    r.id AS id,
    r.at AS at,
    coalesce(d.request_id, '') AS request_id,
    c.endpoint AS endpoint,
    c."key" AS "key",
    c.key_name AS key_name,
    r.model AS model,
    c."group" AS "group",
    c.deployment AS deployment,
    c.provider AS provider,
    coalesce(nullif(c.upstream_model, ''), d.upstream_model, '') AS upstream_model,
    c.strategy AS strategy,
    coalesce(d.status, 200) AS status,
    coalesce(d.error, '') AS error,
    c.stream AS stream,
    r.prompt_tokens AS prompt_tokens,
    r.completion_tokens AS completion_tokens,
    r.cached_tokens AS cached_tokens,
    r.reasoning_tokens AS reasoning_tokens,
    c.estimated AS estimated,
    r.cost AS cost,
    r.duration AS duration,
    r.ttft AS ttft,
    r.overhead AS overhead,
    coalesce(d.retries, 0) AS retries,
    coalesce(d.fallbacks, 0) AS fallbacks,
    coalesce(d.hedged, false) AS hedged,
    coalesce(d."user", '') AS "user",
    nullif(c.tags, '') AS tags,
    c.revision AS revision,
    c.worker AS worker
FROM event_rows AS r
LEFT JOIN event_contexts AS c ON c.id = r.context
LEFT JOIN event_details AS d ON d.seq = r.seq
"""


CONTEXT = (
    "key", "deployment", "revision", "worker", "endpoint", "stream", "estimated", "key_name", "group", "provider",
    "upstream_model", "strategy", "tags",
)  # fmt: skip


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "event_rows",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("context", NUMBER, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.BigInteger, nullable=False),
        sa.Column("ttft", sa.BigInteger, nullable=False),
        sa.Column("overhead", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event_contexts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("key_name", sa.String, nullable=False),
        sa.Column("group", sa.String, nullable=False),
        sa.Column("deployment", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("upstream_model", sa.String, nullable=False),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("stream", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("estimated", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("worker", NUMBER, nullable=False),
        *([] if postgres else [sa.UniqueConstraint(*CONTEXT, name="uq_event_contexts")]),
    )
    if postgres:
        op.create_index("ix_event_contexts_key", "event_contexts", ["key", "revision", "worker"])
    op.create_table(
        "event_details",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("upstream_model", sa.String, nullable=False),
        sa.Column("status", NUMBER, nullable=False),
        sa.Column("error", sa.String, nullable=False),
        sa.Column("retries", NUMBER, nullable=False),
        sa.Column("fallbacks", NUMBER, nullable=False),
        sa.Column("hedged", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("user", sa.String, nullable=False),
    )
    op.execute(EVENTS)
    op.create_table(
        "journal_offsets",
        sa.Column("segment", sa.String, primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "virtual_keys",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("virtual_keys")
    op.drop_table("journal_offsets")
    op.execute("DROP VIEW events")
    op.drop_table("event_details")
    op.drop_table("event_contexts")
    op.drop_table("event_rows")
