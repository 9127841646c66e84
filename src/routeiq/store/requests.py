"""Reading the ledger: the newest requests first, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from routeiq.store.tables import events

if TYPE_CHECKING:
    from sqlalchemy import Engine

MAX_PAGE = 1000


class RequestRepository:
    """The `events` table. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        model: str | None = None,
        key: str | None = None,
        status: int | None = None,
    ) -> list[dict[str, Any]]:
        """Up to `limit` rows, newest first, with `seq` under `before`.

        `model` matches the requested name or the group, `key` the digest or the name.
        """
        query = select(events).order_by(events.c.seq.desc()).limit(max(1, min(limit, MAX_PAGE)))
        if before is not None:
            query = query.where(events.c.seq < before)
        if model is not None:
            query = query.where((events.c.model == model) | (events.c.group == model))
        if key is not None:
            query = query.where((events.c.key == key) | (events.c.key_name == key))
        if status is not None:
            query = query.where(events.c.status == status)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def newest(self) -> int:
        """The highest `seq`, 0 when there is none."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.max(events.c.seq))).scalar() or 0)
