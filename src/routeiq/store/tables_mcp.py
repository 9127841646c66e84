"""MCP servers beside the configuration files'."""

from __future__ import annotations

from sqlalchemy import Column, Float, Table, Text

from routeiq.store.tables import METADATA, Words

mcp_servers = Table(
    "mcp_servers",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
    Column("settings", Text, nullable=False, comment="JSON object, encrypted: store.vault"),
    Column("created_at", Float(53), nullable=False, comment="Unix seconds"),
    Column("created_by", Words, nullable=False),
    Column("updated_at", Float(53), nullable=False, comment="Unix seconds"),
    Column("updated_by", Words, nullable=False),
)
