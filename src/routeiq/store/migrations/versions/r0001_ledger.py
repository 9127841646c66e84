"""The ledger, the offsets of the journal, virtual keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("key_name", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("group", sa.String, nullable=False),
        sa.Column("deployment", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("upstream_model", sa.String, nullable=False),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error", sa.String, nullable=False),
        sa.Column("stream", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("duration", sa.BigInteger, nullable=False),
        sa.Column("ttft", sa.BigInteger, nullable=False),
        sa.Column("overhead", sa.BigInteger, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("fallbacks", sa.Integer, nullable=False),
        sa.Column("hedged", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("tags", sa.Text),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("worker", sa.Integer, nullable=False),
    )
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
    op.drop_table("events")
