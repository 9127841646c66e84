"""The table of what users thought of the models that were chosen for them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Table

from routeiq.store.tables import METADATA, Number, Words

routing_feedback = Table(
    "routing_feedback",
    METADATA,
    Column("seq", Number, primary_key=True, comment="In the order it came"),
    Column("decision_id", Words, nullable=False, unique=True, comment="event_decisions.decision_id"),
    Column("at", BigInteger, nullable=False, comment="Unix microseconds"),
    Column("score", Float, nullable=False, comment="0 to 1"),
    Column("key", Words, nullable=False, comment="Hex SHA-256 of the key that told"),
)
