"""Every table, as SQLAlchemy Core sees them. Changes go through `migrations/`; a test holds the two together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

Number = Integer().with_variant(BigInteger, "postgresql")
"""64 bits: SQLite's INTEGER is as long as its value."""


class Words(TypeDecorator[str]):
    """Text of any characters: PostgreSQL's can't hold U+0000, which becomes U+FFFD there."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is sent to the database."""
        return value.replace("\0", "\ufffd") if value and dialect.name == "postgresql" else value


METADATA = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"},
)

VIEWS = MetaData()
"""Views, which are read like tables."""


def _usage_columns() -> list[Column[Any]]:
    """What `core.usage.Usage` counts besides the usual, in its order."""
    return [
        Column("written_1h_tokens", BigInteger, nullable=False),
        Column("audio_in_tokens", BigInteger, nullable=False),
        Column("audio_out_tokens", BigInteger, nullable=False),
        Column("cached_audio_tokens", BigInteger, nullable=False),
        Column("image_in_tokens", BigInteger, nullable=False),
        Column("image_out_tokens", BigInteger, nullable=False),
        Column("cached_image_tokens", BigInteger, nullable=False),
        Column("images_in", BigInteger, nullable=False),
        Column("images", BigInteger, nullable=False),
        Column("requests", BigInteger, nullable=False),
        Column("searches", BigInteger, nullable=False),
        Column("searches_low", BigInteger, nullable=False),
        Column("searches_high", BigInteger, nullable=False),
        Column("units", BigInteger, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("service_tier", Words, nullable=False),
    ]


events = Table(
    "events",
    VIEWS,
    Column(
        "seq",
        Number,
        primary_key=True,
        autoincrement=False,
        comment="Order of ingestion, which is nearly the order of settlement",
    ),
    Column("id", Words, nullable=False),
    Column("at", BigInteger, nullable=False, comment="Arrival, Unix microseconds"),
    Column("request_id", Words, nullable=False),
    Column("endpoint", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("key_name", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("group", Words, nullable=False),
    Column("deployment", Words, nullable=False),
    Column("provider", Words, nullable=False),
    Column("upstream_model", Words, nullable=False),
    Column("strategy", Words, nullable=False),
    Column("status", Number, nullable=False),
    Column("error", Words, nullable=False),
    Column("stream", Boolean(create_constraint=False), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("written_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean(create_constraint=False), nullable=False),
    Column("cost", BigInteger, comment="Nano-dollars; NULL without a price"),
    Column("duration", BigInteger, nullable=False, comment="Microseconds"),
    Column("ttft", BigInteger, nullable=False, comment="Microseconds"),
    Column("overhead", BigInteger, nullable=False, comment="Microseconds"),
    Column("retries", Number, nullable=False),
    Column("fallbacks", Number, nullable=False),
    Column("hedged", Boolean(create_constraint=False), nullable=False),
    Column("continued", Number, nullable=False),
    Column("user", Words, nullable=False),
    Column("run_id", Words, nullable=False),
    Column("request_tags", Text, comment="JSON array; NULL when empty"),
    *_usage_columns(),
    Column("tags", Text, comment="JSON array; NULL when empty"),
    Column("revision", Words, nullable=False),
    Column("worker", Number, nullable=False),
    Column("user_id", Words, nullable=False),
    Column("team_id", Words, nullable=False),
    Column("organization_id", Words, nullable=False),
)
"""The ledger: one row an Event, put together from the four tables below."""

event_rows = Table(
    "event_rows",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("context", Number, nullable=False, comment="event_contexts.id"),
    Column("id", Words, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("model", Words, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("ttft", BigInteger, nullable=False),
    Column("overhead", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("written_tokens", BigInteger, nullable=False, server_default="0"),
)
"""What differs from Event to Event. No index but the order of ingestion and the id, and no foreign key to look up: rows
are written far more often than read."""

_CONTEXT = (
    "key", "deployment", "revision", "worker", "endpoint", "stream", "estimated", "key_name", "group", "provider",
    "upstream_model", "strategy", "tags", "user_id", "team_id", "organization_id",
)  # fmt: skip

event_contexts = Table(
    "event_contexts",
    METADATA,
    Column("id", Number, primary_key=True),
    Column("endpoint", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("key_name", Words, nullable=False),
    Column("group", Words, nullable=False),
    Column("deployment", Words, nullable=False),
    Column("provider", Words, nullable=False),
    Column("upstream_model", Words, nullable=False),
    Column("strategy", Words, nullable=False),
    Column("stream", Boolean(create_constraint=False), nullable=False),
    Column("estimated", Boolean(create_constraint=False), nullable=False),
    Column("tags", Text, nullable=False, comment="JSON array; empty without tags"),
    Column("revision", Words, nullable=False),
    Column("worker", Number, nullable=False),
    Column("user_id", Words, nullable=False, server_default="", index=True),
    Column("team_id", Words, nullable=False, server_default="", index=True),
    Column("organization_id", Words, nullable=False, server_default="", index=True),
    UniqueConstraint(*_CONTEXT, name="uq_event_contexts").ddl_if(dialect="sqlite"),
    # All columns together may be longer than PostgreSQL's indexes take; transactions of one at a time keep them apart.
    Index("ix_event_contexts_key", "key", "revision", "worker").ddl_if(dialect="postgresql"),
)
"""What the Events of one caller, deployment and worker have in common. Nothing in it is the client's to choose."""

event_details = Table(
    "event_details",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="event_rows.seq"),
    Column("request_id", Words, nullable=False, index=True),
    Column("upstream_model", Words, nullable=False, comment="Used where the context has none"),
    Column("status", Number, nullable=False),
    Column("error", Words, nullable=False),
    Column("retries", Number, nullable=False),
    Column("fallbacks", Number, nullable=False),
    Column("hedged", Boolean(create_constraint=False), nullable=False),
    Column("continued", Number, nullable=False),
    Column("user", Words, nullable=False),
    Column("run_id", Words, nullable=False, server_default=""),
    Column("request_tags", Text, nullable=False, server_default="", comment="JSON array; empty without tags"),
)
"""What most Events have nothing to say about; no row when all of it is as usual (status 200, the rest empty)."""

event_usage = Table(
    "event_usage",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="event_rows.seq"),
    *_usage_columns(),
)
"""What few requests use, as in `core.usage.Usage`; no row when all is as usual (one request, the rest nothing)."""

event_prompts = Table(
    "event_prompts",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="event_rows.seq"),
    Column("prompt", Words, nullable=False, comment="The request, up to a bound, secrets hidden"),
    Column("answer", Words, nullable=False, comment="The same of what came back"),
)
"""What was said; only where `store_prompts_in_spend_logs` is on."""

event_decisions = Table(
    "event_decisions",
    METADATA,
    Column("seq", Number, primary_key=True, autoincrement=False, comment="event_rows.seq"),
    Column("decision_id", Words, nullable=False, index=True),
    Column("decision", Words, nullable=False, comment="core.decisions.Decision as JSON"),
)
"""How the model of a request was chosen, where a strategy ranked them."""

journal_positions = Table(
    "journal_positions",
    METADATA,
    Column("node", Words, primary_key=True, comment="Whose journal; empty until an older version's is taken over"),
    Column("segment", Words, primary_key=True, comment="File name"),
    Column("offset", BigInteger, nullable=False, comment="Bytes already in the ledger"),
)

schema_compatibility = Table(
    "schema_compatibility",
    METADATA,
    Column("oldest", Words, primary_key=True, comment="The head of the oldest version this schema still serves"),
)

virtual_keys = Table(
    "virtual_keys",
    METADATA,
    Column("digest", Words(64), primary_key=True, comment="Lower-case hex SHA-256 of the key"),
    Column("key", Text, nullable=False, comment="What versions before 0008 read: name and limits as JSON"),
    Column("updated_at", Float, nullable=False, comment="Unix seconds"),
    Column("alias", Words),
    Column("name", Words, comment="sk-...wxyz"),
    Column("user_id", Words, index=True),
    Column("team_id", Words, index=True),
    Column("organization_id", Words, index=True),
    Column("budget_id", Words, index=True),
    Column("workspace_id", Words, index=True),
    Column("expires", Float, comment="Unix seconds"),
    Column("created_at", Float, index=True, comment="Unix seconds"),
    Column("data", Text, comment="store.records.VirtualKey as JSON; NULL where an older version wrote the row"),
    Index("ux_virtual_keys_alias", "alias", unique=True),
)

responses = Table(
    "responses",
    METADATA,
    Column("owner", Words, primary_key=True, comment="Hex SHA-256 of the key that asked; empty without keys"),
    Column("id", Words, primary_key=True),
    Column("created_at", Float, nullable=False, comment="Unix seconds"),
    Column("expires_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("status", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("deployment", Words, nullable=False, comment="Where the provider keeps it; empty where we do"),
    Column("previous", Words, nullable=False, comment="The response it goes on from"),
    Column("background", Boolean(create_constraint=False), nullable=False),
    Column("alive_at", Float, nullable=False, comment="When its worker was last heard of, Unix seconds"),
    Column("input", LargeBinary, nullable=False, comment="JSON array of items, zlib"),
    Column("response", LargeBinary, nullable=False, comment="JSON object, zlib"),
)
"""Responses that are kept for their client: `core.responses.KeptResponse`."""
