"""What was spent, from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from routeiq.store.tables import event_contexts, event_rows

if TYPE_CHECKING:
    from sqlalchemy import Engine


def spend_by_key(engine: Engine, since: float) -> dict[str, int]:
    """Nano-dollars by key digest for requests that arrived at or after `since` (Unix seconds).

    Reads every row: about a second for a few million. Meant for start-up and reports.
    """
    by_context = (
        select(event_rows.c.context, func.sum(event_rows.c.cost).label("cost"))
        .where(event_rows.c.at >= int(since * 1_000_000), event_rows.c.cost.is_not(None))
        .group_by(event_rows.c.context)
        .subquery()
    )
    query = (
        select(event_contexts.c.key, func.sum(by_context.c.cost))
        .join(by_context, by_context.c.context == event_contexts.c.id)
        .group_by(event_contexts.c.key)
    )
    with engine.connect() as connection:
        return {key: int(total) for key, total in connection.execute(query)}
