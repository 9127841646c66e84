"""Sums of the ledger, how far they have come, and spend that was set by hand."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

METRICS = (
    "requests", "failed", "unpriced", "prompt_tokens", "completion_tokens", "cached_tokens", "written_tokens",
    "reasoning_tokens", "cost", "duration",
)  # fmt: skip
TOTALS = ("requests", "prompt_tokens", "completion_tokens", "cost")

WHO = ("user_id", "team_id", "organization_id")


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


def _numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, NUMBER, primary_key=True, autoincrement=False) for name in names]


def _sums(names: tuple[str, ...]) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "spend_days", *_numbers("day", "context"), *_text("model"), *_sums(METRICS), sqlite_with_rowid=False
    )
    op.create_table(
        "spend_labels",
        *_text("kind", "id"),
        *_numbers("day", "context"),
        *_text("model"),
        *_sums(METRICS),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spend_totals", *_text("kind", "id", "share"), *_numbers("quarter"), *_sums(TOTALS), sqlite_with_rowid=False
    )
    op.create_table(
        "spend_quarters",
        *_numbers("quarter"),
        sa.Column("first_seq", NUMBER, nullable=False),
        sa.Column("last_seq", NUMBER, nullable=False),
    )
    op.create_table("ledger_positions", *_text("name"), sa.Column("seq", NUMBER, nullable=False))
    op.create_table(
        "spend_resets",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("share", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String, nullable=False),
    )
    op.create_index("ix_spend_resets_subject", "spend_resets", ["kind", "subject", "share", "id"])
    # The rows there are will be added up by and by, while new ones come in.
    op.execute("INSERT INTO ledger_positions (name, seq) VALUES ('spend', 0), ('pruned', 0)")
    for column in WHO:
        op.create_index(f"ix_event_contexts_{column}", "event_contexts", [column])


def downgrade() -> None:
    for column in WHO:
        op.drop_index(f"ix_event_contexts_{column}", "event_contexts")
    for table in ("spend_resets", "ledger_positions", "spend_quarters", "spend_totals", "spend_labels", "spend_days"):
        op.drop_table(table)
