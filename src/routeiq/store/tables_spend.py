"""What the ledger adds up to: tables that `ledger.rollup` fills, each Event exactly once.

spend_days      a day's sums of each context and public model: for reports
spend_labels    the same of what is in no context: end users, tags, runs
spend_totals    a quarter hour's sums of each subject, and those of all time: for budgets and `spend` fields
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Table

from routeiq.store.tables import METADATA, Number, Words

METRICS = (
    "requests", "failed", "unpriced", "prompt_tokens", "completion_tokens", "cached_tokens", "written_tokens",
    "reasoning_tokens", "cost", "duration",
)  # fmt: skip
"""Sums in `spend_days` and `spend_labels`. `failed` has a status from 400 on, `unpriced` no cost; nano-dollars and
microseconds."""
TOTALS = ("requests", "prompt_tokens", "completion_tokens", "cost")
"""Sums in `spend_totals`."""
QUARTER_SECONDS = 900
"""The grain of `spend_totals`: every time zone's hours begin with a quarter of UTC's."""
DAY_QUARTERS = 96
EVER = -1
"""The `quarter` of the sums of all time."""
KINDS = (
    "key", "user", "member", "team", "organization", "end_user", "tag", "run", "provider", "deployment", "model",
    "global",
)  # fmt: skip
"""Of subjects. A member's id is `<team_id>/<user_id>`; that of `global` is empty."""


def _sums(names: tuple[str, ...]) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


spend_days = Table(
    "spend_days",
    METADATA,
    Column("day", Number, primary_key=True, autoincrement=False, comment="Days since 1970, UTC"),
    Column("context", Number, primary_key=True, autoincrement=False, comment="event_contexts.id"),
    Column("model", Words, primary_key=True, comment="The public model; behind a wildcard the one asked for"),
    *_sums(METRICS),
    sqlite_with_rowid=False,
)

spend_labels = Table(
    "spend_labels",
    METADATA,
    Column("kind", Words, primary_key=True, comment="end_user, tag or run"),
    Column("id", Words, primary_key=True),
    Column("day", Number, primary_key=True, autoincrement=False),
    Column("context", Number, primary_key=True, autoincrement=False),
    Column("model", Words, primary_key=True),
    *_sums(METRICS),
    sqlite_with_rowid=False,
)

spend_totals = Table(
    "spend_totals",
    METADATA,
    Column("kind", Words, primary_key=True, comment="One of KINDS"),
    Column("id", Words, primary_key=True),
    Column("share", Words, primary_key=True, comment="A public model; empty for all of them"),
    Column("quarter", Number, primary_key=True, autoincrement=False, comment="Quarter hours since 1970; -1: all time"),
    *_sums(TOTALS),
    sqlite_with_rowid=False,
)

spend_quarters = Table(
    "spend_quarters",
    METADATA,
    Column("quarter", Number, primary_key=True, autoincrement=False),
    Column("first_seq", Number, nullable=False, comment="The first Event that arrived in it"),
    Column("last_seq", Number, nullable=False, comment="The last; others may be between them"),
)
"""Where the rows of a time are: events have no index by time."""

ledger_positions = Table(
    "ledger_positions",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("seq", Number, nullable=False),
)
"""How far rows have come: `spend` is the last that is added up, `pruned` the last that has been let go."""

spend_resets = Table(
    "spend_resets",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("share", Words, nullable=False),
    Column("at", Float, nullable=False, comment="Unix seconds"),
    Column("amount", BigInteger, nullable=False, comment="Nano-dollars, added to what all time sums up to"),
    Column("by", Words, nullable=False, comment="Who asked for it"),
    Index("ix_spend_resets_subject", "kind", "subject", "share", "id"),
)
"""Spend that was set by hand. The newest of a subject counts; nothing in the ledger is ever changed."""
