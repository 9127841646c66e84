"""All that is billed: tokens written to a cache, and in a table of its own what few requests use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import EVENTS as EVENTS_BEFORE
from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTS = (
    "written_1h_tokens", "audio_in_tokens", "audio_out_tokens", "cached_audio_tokens", "image_in_tokens",
    "image_out_tokens", "cached_image_tokens", "images_in", "images", "requests", "searches", "searches_low",
    "searches_high", "units",
)  # fmt: skip

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
    r.written_tokens AS written_tokens,
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
    coalesce(u.written_1h_tokens, 0) AS written_1h_tokens,
    coalesce(u.audio_in_tokens, 0) AS audio_in_tokens,
    coalesce(u.audio_out_tokens, 0) AS audio_out_tokens,
    coalesce(u.cached_audio_tokens, 0) AS cached_audio_tokens,
    coalesce(u.image_in_tokens, 0) AS image_in_tokens,
    coalesce(u.image_out_tokens, 0) AS image_out_tokens,
    coalesce(u.cached_image_tokens, 0) AS cached_image_tokens,
    coalesce(u.images_in, 0) AS images_in,
    coalesce(u.images, 0) AS images,
    coalesce(u.requests, 1) AS requests,
    coalesce(u.searches, 0) AS searches,
    coalesce(u.searches_low, 0) AS searches_low,
    coalesce(u.searches_high, 0) AS searches_high,
    coalesce(u.units, 0) AS units,
    coalesce(u.seconds, 0.0) AS seconds,
    coalesce(u.service_tier, '') AS service_tier,
    nullif(c.tags, '') AS tags,
    c.revision AS revision,
    c.worker AS worker
FROM event_rows AS r
LEFT JOIN event_contexts AS c ON c.id = r.context
LEFT JOIN event_details AS d ON d.seq = r.seq
LEFT JOIN event_usage AS u ON u.seq = r.seq
"""


def upgrade() -> None:
    op.execute("DROP VIEW events")
    op.add_column("event_rows", sa.Column("written_tokens", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "event_usage",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTS),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("service_tier", sa.String, nullable=False),
    )
    op.execute(EVENTS)


def downgrade() -> None:
    op.execute("DROP VIEW events")
    op.drop_table("event_usage")
    op.drop_column("event_rows", "written_tokens")
    op.execute(EVENTS_BEFORE)
