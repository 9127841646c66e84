"""The tables of what agents work at."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text

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

a2a_hooks = Table(
    "a2a_hooks",
    METADATA,
    Column("token", Words, primary_key=True, comment="Hex SHA-256 of what the agent calls the gateway with"),
    Column("agent", Words, nullable=False),
    Column("owner", Words, nullable=False),
    Column("id", Words, nullable=False, comment="As its client names it"),
    Column("task", Words, nullable=False, comment="Empty until the agent has named the task"),
    Column("sealed", LargeBinary, nullable=False, comment="Where and how the client is told, encrypted"),
    Column("expires_at", Float, nullable=False, index=True, comment="Unix seconds"),
    Index("ix_a2a_hooks_owner", "owner", "agent", "task"),
)
"""Webhooks of clients: `core.a2a_push.KeptHook`."""

a2a_deliveries = Table(
    "a2a_deliveries",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("token", Words, nullable=False, comment="a2a_hooks.token"),
    Column("body", LargeBinary, nullable=False, comment="JSON"),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float, nullable=False, index=True, comment="Unix seconds"),
)
"""What clients are still to be told."""

agents = Table(
    "agents",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
    Column("settings", Text, nullable=False, comment="JSON object, encrypted: store.vault"),
    Column("created_at", Float(53), nullable=False, comment="Unix seconds"),
    Column("created_by", Words, nullable=False),
    Column("updated_at", Float(53), nullable=False, comment="Unix seconds"),
    Column("updated_by", Words, nullable=False),
)
"""Agents beside the configuration files'."""
