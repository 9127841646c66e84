"""What gateways on one database tell each other: which keys and subjects have changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, func, insert, select

from routeiq.store.tables_notices import notices

if TYPE_CHECKING:
    from sqlalchemy import Engine

KEEP_SECONDS = 600.0
"""Who has heard nothing for longer asks about every key again anyway."""
OVERLAP = 100
"""Numbers are given before transactions commit: so many before the newest are looked at again."""

Said = tuple[tuple[str, ...], tuple[str, ...]]
"""Keys (hex SHA-256) and subjects (`Subject.name`); both empty are all."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Said).decode


class NoticeRepository:
    """The `notices` table, as one node sees it. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, node: str, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._node = node
        self._clock = clock
        self._heard: set[int] = set()
        self._newest = -1

    def say(self, keys: tuple[str, ...], subjects: tuple[str, ...]) -> None:
        """Tell the others."""
        now = self._clock()
        values = {"node": self._node, "at": now, "said": _encode((keys, subjects)).decode()}
        with self._engine.begin() as connection:
            connection.execute(insert(notices).values(values))
            connection.execute(delete(notices).where(notices.c.at < now - KEEP_SECONDS))

    def hear(self) -> list[Said]:
        """What the others have said since this was called last; nothing at the first time."""
        with self._engine.connect() as connection:
            if self._newest < 0:
                self._newest = int(connection.execute(select(func.max(notices.c.seq))).scalar() or 0)
                self._heard = set(range(max(0, self._newest - OVERLAP), self._newest + 1))
                return []
            query = select(notices.c.seq, notices.c.node, notices.c.said).where(notices.c.seq > self._newest - OVERLAP)
            rows = connection.execute(query).all()
        new = [row for row in rows if row.seq not in self._heard]
        self._newest = max([self._newest, *(row.seq for row in new)])
        self._heard = {seq for seq in (*self._heard, *(row.seq for row in new)) if seq > self._newest - OVERLAP}
        return [_decode(row.said) for row in new if row.node != self._node]
