"""Virtual keys at rest: digests and limits, never a key itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, select

from routeiq.core.keys import Key
from routeiq.store.database import insert_into
from routeiq.store.tables import virtual_keys

if TYPE_CHECKING:
    from sqlalchemy import Engine

_decode = msgspec.json.Decoder(Key).decode
_encode = msgspec.json.Encoder().encode


class KeyRepository:
    """The `virtual_keys` table. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, digest: str) -> Key | None:
        """The key with this hex SHA-256."""
        with self._engine.connect() as connection:
            found = connection.execute(select(virtual_keys.c.key).where(virtual_keys.c.digest == digest)).scalar()
        return _decode(found) if found is not None else None

    def put(self, key: Key) -> None:
        """Store or replace."""
        text = _encode(key).decode()
        values = {"digest": key.id, "key": text, "updated_at": self._clock()}
        statement = insert_into(self._engine, virtual_keys).values(values)
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=values))

    def remove(self, digest: str) -> bool:
        """Whether there was one."""
        with self._engine.begin() as connection:
            return connection.execute(delete(virtual_keys).where(virtual_keys.c.digest == digest)).rowcount > 0
