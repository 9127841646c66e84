"""Deployments, credentials, tags and access groups beside the configuration files'."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Table, Text

from routeiq.store.tables import METADATA, Number, Words


def _when() -> list[Column[Any]]:
    return [
        Column("created_at", Float(53), nullable=False, comment="Unix seconds"),
        Column("created_by", Words, nullable=False),
        Column("updated_at", Float(53), nullable=False, comment="Unix seconds"),
        Column("updated_by", Words, nullable=False),
    ]


deployments = Table(
    "deployments",
    METADATA,
    Column("id", Words, primary_key=True, comment="model_info.id"),
    Column("name", Words, nullable=False, comment="The public model name"),
    Column("params", Text, nullable=False, comment="litellm_params as JSON, encrypted: store.vault"),
    Column("info", Text, nullable=False, comment="model_info as JSON"),
    Column("blocked", Boolean(create_constraint=False), nullable=False),
    *_when(),
)

credentials = Table(
    "credentials",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("values", Text, nullable=False, comment="A JSON object, encrypted: store.vault"),
    Column("info", Text, nullable=False, comment="A JSON object"),
    *_when(),
)

tags = Table(
    "tags",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("description", Words, nullable=False),
    Column("models", Text, nullable=False, comment="JSON array"),
    Column("max_budget", BigInteger, comment="Nano-dollars"),
    Column("soft_budget", BigInteger, comment="Nano-dollars"),
    Column("budget_duration", Words, nullable=False),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("max_parallel_requests", BigInteger),
    *_when(),
    Column("budget_id", Words, index=True, comment="budgets.budget_id"),
)

access_groups = Table(
    "access_groups",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("models", Text, nullable=False, comment="JSON array of public model names"),
    Column("description", Words, nullable=False),
    *_when(),
)

stored_revision = Table(
    "stored_revision",
    METADATA,
    Column("id", Number, primary_key=True, autoincrement=False, comment="Always 1"),
    Column("number", BigInteger, nullable=False, comment="Counted up by every change of the tables above"),
)
"""How every gateway on the database notices that another one has changed something."""
