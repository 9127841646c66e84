"""The tables of what agents work at."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, LargeBinary, Table

from routeiq.store.tables import METADATA, Words

a2a_tasks = Table(
    "a2a_tasks",
    METADATA,
    Column("agent", Words, primary_key=True, comment="core.a2a.Agent.id"),
    Column("id", Words, primary_key=True, comment="As the agent has named it"),
    Column("owner", Words, nullable=False, comment="Hex SHA-256 of the key that asked; empty without keys"),
    Column("context", Words, nullable=False, comment="The conversation, as its client knows it"),
    Column("inner", Words, nullable=False, comment="The same as the agent knows it"),
    Column("state", Words, nullable=False, comment="TASK_STATE_…"),
    Column("final", Boolean(create_constraint=False), nullable=False, comment="Whether the gateway has ended it"),
    Column("updated_at", Float, nullable=False, comment="Unix seconds"),
    Column("expires_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Column("task", LargeBinary, nullable=False, comment="JSON object, zlib"),
    Index("ix_a2a_tasks_owner", "owner", "agent", "updated_at"),
)
"""Tasks of agents: `core.a2a_tasks.KeptTask`."""

a2a_contexts = Table(
    "a2a_contexts",
    METADATA,
    Column("agent", Words, primary_key=True),
    Column("owner", Words, primary_key=True),
    Column("context", Words, primary_key=True, comment="As the agent has named it"),
    Column("expires_at", Float, nullable=False, index=True, comment="Unix seconds"),
)
"""Conversations without tasks that agents have named."""
