"""What the ledger has and how far it has come, in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from routeiq.store.spend import snapshot
from routeiq.store.tables_spend import EVER

if TYPE_CHECKING:
    from sqlalchemy import Engine


class LedgerStatus(msgspec.Struct, kw_only=True):
    """Money in nano-dollars, times in Unix seconds."""

    requests: int
    """All there ever were and have been added up."""
    cost: int
    newest: int
    """The last row."""
    added_up: int
    """The last row that is in the sums."""
    pruned: int
    """The last row that retention has let go."""
    first_at: float | None
    """When the oldest request there still is arrived."""
    last_at: float | None
    nodes: int
    """Journals with something that is being taken over."""


def ledger_status(engine: Engine) -> LedgerStatus:
    """Quick at any size. Raises SQLAlchemy's errors."""
    with snapshot(engine) as connection:
        positions = {name: int(seq) for name, seq in connection.execute(text("SELECT name, seq FROM ledger_positions"))}
        ever = connection.execute(
            text("SELECT requests, cost FROM spend_totals WHERE kind = 'global' AND quarter = :ever"), {"ever": EVER}
        ).first()
        end = "SELECT seq, at FROM event_rows ORDER BY seq"
        ends = [connection.execute(text(f"{end} {order} LIMIT 1")).first() for order in ("ASC", "DESC")]
        nodes = connection.execute(text("SELECT count(DISTINCT node) FROM journal_positions")).scalar()
    first, last = ends
    return LedgerStatus(
        requests=int(ever[0]) if ever else 0,
        cost=int(ever[1]) if ever else 0,
        newest=int(last[0]) if last else positions.get("pruned", 0),
        added_up=positions.get("spend", 0),
        pruned=positions.get("pruned", 0),
        first_at=first[1] / 1e6 if first else None,
        last_at=last[1] / 1e6 if last else None,
        nodes=int(nodes or 0),
    )
