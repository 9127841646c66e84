"""Every table, as SQLAlchemy Core sees them. Changes go through `migrations/`; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, String, Table, Text

METADATA = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"},
)

events = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, comment="Order of ingestion, which is nearly the order of settlement"),
    Column("id", String, nullable=False),
    Column("at", BigInteger, nullable=False, comment="Arrival, Unix microseconds"),
    Column("request_id", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("key", String, nullable=False),
    Column("key_name", String, nullable=False),
    Column("model", String, nullable=False),
    Column("group", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("upstream_model", String, nullable=False),
    Column("strategy", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("error", String, nullable=False),
    Column("stream", Boolean(create_constraint=False), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean(create_constraint=False), nullable=False),
    Column("cost", BigInteger, comment="Nano-dollars; NULL without a price"),
    Column("duration", BigInteger, nullable=False, comment="Microseconds"),
    Column("ttft", BigInteger, nullable=False, comment="Microseconds"),
    Column("overhead", BigInteger, nullable=False, comment="Microseconds"),
    Column("retries", Integer, nullable=False),
    Column("fallbacks", Integer, nullable=False),
    Column("hedged", Boolean(create_constraint=False), nullable=False),
    Column("user", String, nullable=False),
    Column("tags", Text, comment="JSON array; NULL when empty"),
    Column("revision", String, nullable=False),
    Column("worker", Integer, nullable=False),
)
"""The ledger: one row an Event. No index but the order of ingestion: rows are written far more often than read."""

journal_offsets = Table(
    "journal_offsets",
    METADATA,
    Column("segment", String, primary_key=True, comment="File name"),
    Column("offset", BigInteger, nullable=False, comment="Bytes already in the ledger"),
)

virtual_keys = Table(
    "virtual_keys",
    METADATA,
    Column("digest", String(64), primary_key=True, comment="Lower-case hex SHA-256 of the key"),
    Column("key", Text, nullable=False, comment="core.snapshot.Key as JSON"),
    Column("updated_at", Float, nullable=False, comment="Unix seconds"),
)
