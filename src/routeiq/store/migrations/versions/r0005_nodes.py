"""Positions in the journals of several machines, and which older versions a schema serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journal_positions",
        sa.Column("node", sa.String, primary_key=True),
        sa.Column("segment", sa.String, primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )
    # A database of one journal: whose it is says the first that has these segments.
    op.execute(
        """INSERT INTO journal_positions (node, segment, "offset") SELECT '', segment, "offset" FROM journal_offsets"""
    )
    op.drop_table("journal_offsets")
    op.create_table("schema_compatibility", sa.Column("oldest", sa.String, primary_key=True))
    op.execute("INSERT INTO schema_compatibility (oldest) VALUES ('0005')")


def downgrade() -> None:
    op.drop_table("schema_compatibility")
    op.create_table(
        "journal_offsets",
        sa.Column("segment", sa.String, primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )
    op.execute(
        """INSERT INTO journal_offsets (segment, "offset")
        SELECT segment, max("offset") FROM journal_positions GROUP BY segment"""
    )
    op.drop_table("journal_positions")
