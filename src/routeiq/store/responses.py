"""Responses at rest: what a key may read again, go on from, or cancel."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from sqlalchemy import and_, delete, select, update

from routeiq.core.errors import BadRequest, BodyTooLarge
from routeiq.core.responses import CANCELLED, DEAD_SECONDS, FAILED, UNDER_WAY, Conversation, KeptResponse
from routeiq.store.database import insert_into
from routeiq.store.tables import responses

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_FAST = 1
"""zlib's level: JSON shrinks to a third at ten times the speed of the usual one."""
LOST = "The worker that ran this response has died. Ask again."
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Output(msgspec.Struct, gc=False):
    output: list[Raw] = []


_decode_output = msgspec.json.Decoder(_Output).decode


class ResponseRepository:
    """The `responses` table. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def put(self, kept: KeptResponse, seconds: float) -> bool:
        """Keep for `seconds`; False for the end of what was in the background and has ended before: that stays so."""
        now = self._clock()
        values = {
            "status": kept.status,
            "model": kept.model,
            "deployment": kept.deployment,
            "previous": kept.previous,
            "background": kept.background,
            "alive_at": now,
            "input": zlib.compress(bytes(kept.input), _FAST),
            "response": zlib.compress(bytes(kept.response), _FAST),
        }
        whole = {
            "owner": kept.owner,
            "id": kept.id,
            "created_at": now,
            "expires_at": now + seconds,
            **values,
        }
        statement = insert_into(self._engine, responses).values(whole)
        with self._engine.begin() as connection:
            if kept.background and kept.status not in UNDER_WAY:
                running = and_(_is(kept.owner, kept.id), responses.c.status.in_(UNDER_WAY))
                if connection.execute(update(responses).where(running).values(values)).rowcount:
                    return True
                if not kept.deployment:
                    return False
                first = statement.on_conflict_do_nothing().returning(responses.c.id)
                return connection.execute(first).first() is not None
            connection.execute(statement.on_conflict_do_update(index_elements=["owner", "id"], set_=values))
        return True

    def find(self, owner: str, ident: str) -> KeptResponse | None:
        """What this key has under this id."""
        with self._engine.begin() as connection:
            row = self._row(connection, owner, ident)
        return _kept(row) if row is not None else None

    def conversation(self, owner: str, ident: str, longest: int, most_bytes: int) -> Conversation | None:
        """The items of the response and of all before it; `None` when it is not there.

        Raises `BadRequest` where they are more than `longest` responses, `BodyTooLarge` over `most_bytes`.
        """
        parts: list[list[Raw]] = []
        size = 0
        newest: Conversation | None = None
        with self._engine.begin() as connection:
            while ident:
                row = self._row(connection, owner, ident)
                if row is None and newest is None:
                    return None
                if row is None:
                    raise BadRequest(
                        f"The response '{ident}', which the conversation goes through, was deleted or has expired.",
                        param="previous_response_id",
                        code="previous_response_not_found",
                    )
                if row.deployment and newest is not None:
                    raise BadRequest(
                        f"The conversation goes through the response '{ident}', which only its provider has.",
                        param="previous_response_id",
                        code="previous_response_elsewhere",
                    )
                newest = newest or Conversation(deployment=row.deployment, status=row.status)
                if row.deployment:
                    return newest
                if len(parts) >= 2 * longest:
                    raise BadRequest(
                        f"The conversation is longer than {longest} responses. Begin a new one, with what matters "
                        "of this as its input (or raise routeiq.responses.max_chain).",
                        param="previous_response_id",
                        code="conversation_too_long",
                    )
                asked, answered = zlib.decompress(row.input), zlib.decompress(row.response)
                size += len(asked) + len(answered)
                if size > most_bytes:
                    raise BodyTooLarge(
                        f"The conversation is over the limit of {most_bytes} bytes (routeiq.limits.max_body).",
                        param="previous_response_id",
                    )
                parts += [_decode_output(answered).output, _decode_items(asked)]
                ident = row.previous
        if newest is not None:
            newest.items = [item for part in reversed(parts) for item in part]
        return newest

    def remove(self, owner: str, ident: str) -> bool:
        """Whether there was one."""
        with self._engine.begin() as connection:
            return connection.execute(delete(responses).where(_is(owner, ident))).rowcount > 0

    def cancel(self, owner: str, ident: str) -> KeptResponse | None:
        """End what is under way; what has ended already stays as it is."""
        with self._engine.begin() as connection:
            row = self._row(connection, owner, ident)
            if row is None:
                return None
            if row.status in UNDER_WAY and row.background:
                row = self._end(connection, row, CANCELLED, None)
        return _kept(row) if row is not None else None

    def alive(self, running: Sequence[tuple[str, str]]) -> list[str]:
        """A worker is still at these (owner, id). Gives the ids of those nobody waits for any more."""
        ended = []
        with self._engine.begin() as connection:
            for owner, ident in running:
                here = and_(_is(owner, ident), responses.c.status.in_(UNDER_WAY))
                if not connection.execute(update(responses).where(here).values(alive_at=self._clock())).rowcount:
                    ended.append(ident)
        return ended

    def purge(self) -> int:
        """Forget what has expired; how many that were."""
        with self._engine.begin() as connection:
            return connection.execute(delete(responses).where(responses.c.expires_at <= self._clock())).rowcount

    def _row(self, connection: Connection, owner: str, ident: str) -> Any:
        """The row, if it has not expired. One whose worker is not heard of any more has failed."""
        query = select(responses).where(_is(owner, ident), responses.c.expires_at > self._clock())
        row = connection.execute(query).one_or_none()
        if row is None or row.deployment or not row.background or row.status not in UNDER_WAY:
            return row
        if row.alive_at >= self._clock() - DEAD_SECONDS:
            return row
        return self._end(connection, row, FAILED, {"code": "server_error", "message": LOST})

    def _end(self, connection: Connection, row: Any, status: str, error: dict[str, str] | None) -> Any:
        shown = msgspec.json.decode(zlib.decompress(row.response))
        shown["status"], shown["error"] = status, error
        values = {"status": status, "response": zlib.compress(_encode(shown), _FAST)}
        here = _is(row.owner, row.id)
        # What has ended since the row was read stays as it is, and what was deleted is gone.
        running = and_(here, responses.c.status.in_(UNDER_WAY))
        connection.execute(update(responses).where(running).values(values))
        return connection.execute(select(responses).where(here)).one_or_none()


def _is(owner: str, ident: str) -> Any:
    return and_(responses.c.owner == owner, responses.c.id == ident)


def _kept(row: Any) -> KeptResponse:
    return KeptResponse(
        id=row.id,
        owner=row.owner,
        status=row.status,
        model=row.model,
        deployment=row.deployment,
        previous=row.previous,
        background=row.background,
        input=Raw(zlib.decompress(row.input)),
        response=Raw(zlib.decompress(row.response)),
    )
