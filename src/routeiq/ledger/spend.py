"""What was spent, from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from routeiq.store.tables import events

if TYPE_CHECKING:
    from sqlalchemy import Engine


def spend_by_key(engine: Engine, since: float) -> dict[str, int]:
    """Nano-dollars by key digest for requests that arrived at or after `since` (Unix seconds).

    Reads every row: about a second for a few million. Meant for start-up and reports.
    """
    query = (
        select(events.c.key, func.sum(events.c.cost))
        .where(events.c.at >= int(since * 1_000_000), events.c.cost.is_not(None))
        .group_by(events.c.key)
    )
    with engine.connect() as connection:
        return {key: int(total) for key, total in connection.execute(query)}
