"""Deployments, credentials, tags and access groups in the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from routeiq.store.migrations.versions.r0001_ledger import NUMBER

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _when() -> list[sa.Column[object]]:
    return [
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("updated_by", sa.String, nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("info", sa.Text, nullable=False),
        sa.Column("blocked", sa.Boolean(create_constraint=False), nullable=False),
        *_when(),
    )
    op.create_table(
        "credentials",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("values", sa.Text, nullable=False),
        sa.Column("info", sa.Text, nullable=False),
        *_when(),
    )
    op.create_table(
        "tags",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("max_budget", sa.BigInteger),
        sa.Column("soft_budget", sa.BigInteger),
        sa.Column("budget_duration", sa.String, nullable=False),
        sa.Column("rpm", sa.BigInteger),
        sa.Column("tpm", sa.BigInteger),
        sa.Column("max_parallel_requests", sa.BigInteger),
        *_when(),
    )
    op.create_table(
        "access_groups",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        *_when(),
    )
    op.create_table(
        "stored_revision",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO stored_revision (id, number) VALUES (1, 0)")


def downgrade() -> None:
    for name in ("stored_revision", "access_groups", "tags", "credentials", "deployments"):
        op.drop_table(name)
