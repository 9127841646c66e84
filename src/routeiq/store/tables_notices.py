"""The table of what gateways on one database tell each other."""

from __future__ import annotations

from sqlalchemy import Column, Float, Table, Text

from routeiq.store.tables import METADATA, Number, Words

notices = Table(
    "notices",
    METADATA,
    Column("seq", Number, primary_key=True),
    Column("node", Words, nullable=False, comment="Who says it"),
    Column("at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("said", Text, nullable=False, comment="Two JSON arrays: keys (hex SHA-256) and subjects; empty are all"),
)
