"""Tables of this gateway's own governance: workspaces, and policies of usage."""

from __future__ import annotations

from sqlalchemy import Column, Float, Table, Text

from routeiq.store.tables import METADATA, Words

workspaces = Table(
    "workspaces",
    METADATA,
    Column("workspace_id", Words, primary_key=True),
    Column("organization_id", Words, index=True),
    Column("created_at", Float, nullable=False, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="store.records.Workspace as JSON"),
)

usage_policies = Table(
    "usage_policies",
    METADATA,
    Column("policy_id", Words, primary_key=True),
    Column("created_at", Float, nullable=False, comment="Unix seconds"),
    Column("data", Text, nullable=False, comment="core.policies.StoredPolicy as JSON"),
)
