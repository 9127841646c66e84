"""The table of what somebody is to be told about budgets: once for each of their periods."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Table, Text

from routeiq.store.tables import METADATA, Number, Words

alerts = Table(
    "alerts",
    METADATA,
    Column("subject", Words, primary_key=True, comment="core.keys.Subject.name"),
    Column("event", Words, primary_key=True, comment="What has happened: budget_crossed, threshold_crossed:15, …"),
    Column("period", BigInteger, primary_key=True, autoincrement=False, comment="core.periods.Period.number"),
    Column("amount", BigInteger, primary_key=True, autoincrement=False, comment="Of the budget, nano-dollars"),
    Column("at", Float, nullable=False, comment="Unix seconds"),
    Column("body", Text, comment="JSON; NULL once it was sent, or given up"),
    Column("due", Float, nullable=False, index=True, comment="When it may be tried next, Unix seconds"),
    Column("tries", Number, nullable=False),
)
