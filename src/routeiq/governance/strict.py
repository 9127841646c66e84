"""Asks Redis before each request, so that limits hold exactly over all machines. `governance.wire` has the scripts."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.slots import BUDGET_WORDS, BUDGETS
from routeiq.core.snapshot import Shared
from routeiq.governance.reserving import Reservation
from routeiq.governance.windows import BUCKET_SECONDS
from routeiq.governance.wire import KEEP_SECONDS, RESERVE, SETTLE

if TYPE_CHECKING:
    from redis.asyncio import Redis

ANSWER_SECONDS = 3.0
CONNECTIONS = 16
RETRY_SECONDS = 1.0
"""How long after a failure Redis is not asked."""
log = logging.getLogger("routeiq.worker")


class Strict:
    """One worker's way to Redis. To be used in one event loop."""

    def __init__(self, shared: Shared, flying_seconds: float) -> None:
        """`flying_seconds`: how long a request may take, until it is forgotten where nobody settles it."""
        from redis.asyncio import BlockingConnectionPool, Redis

        self.shared = shared
        pool = BlockingConnectionPool.from_url(
            shared.url,
            max_connections=CONNECTIONS,
            timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            decode_responses=True,
        )
        self._redis: Redis = Redis(connection_pool=pool)
        self._reserve = self._redis.register_script(RESERVE)
        self._settle = self._redis.register_script(SETTLE)
        self._flying_seconds = flying_seconds
        self._prefix = os.urandom(6).hex()
        self._count = 0
        self._lost_until = 0.0
        self._lost = False

    async def reserve(self, reservation: Reservation, now: float) -> GatewayError | None:
        """Take what was reserved here from the counts of all machines; why not, where there is no room.

        Where Redis does not answer, `None` after `when_lost: local`; else the reason is `Overloaded`.
        """
        if now < self._lost_until:
            return self._without()
        self._count += 1
        ticket = f"{self._prefix}-{self._count:x}"
        tick = int(now) // BUCKET_SECONDS
        gone = int(now + self._flying_seconds)
        values: list[Any] = [
            tick, int(now), KEEP_SECONDS, reservation.tokens, ticket, gone,
        ]  # fmt: skip
        for account in reservation.accounts:
            subject = account.subject
            values += (_limit(subject.rpm), _limit(subject.tpm), _limit(subject.max_parallel_requests))
            counted = account.counted(reservation.tokens, reservation.cost, now)
            values.append(len(counted))
            for place, (meter, most, amount) in enumerate(counted):
                # What was spent before Redis knew of the period is what this machine knows of.
                values += (_field(place, meter.period.number(now)), most, meter.settled(now), amount)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer: tuple[int, str, str] = await self._reserve(keys=self._keys(reservation), args=values)
        except Exception as error:
            self._note(error, now)
            return self._without()
        self._lost = False
        place, what, used = answer
        if not place:
            reservation.ticket = ticket
            return None
        return reservation.accounts[place - 1].refusal(what, int(used), reservation.tokens, now)

    async def settle(self, reservation: Reservation, tokens: int, cost: int, then: float) -> None:
        """Replace it by what was used. Where Redis does not answer, its counts stay what was reserved."""
        tick = int(then) // BUCKET_SECONDS
        values: list[Any] = [reservation.ticket, tick, tokens - reservation.tokens]
        for account in reservation.accounts:
            moved = account.moved(reservation.tokens, reservation.cost, tokens, cost)
            values += (_limit(account.subject.tpm), len(moved))
            for place, (meter, amount) in enumerate(moved):
                values += (_field(place, meter.period.number(then)), amount)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._settle(keys=self._keys(reservation), args=values)
        except Exception as error:
            self._note(error, then)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    def _keys(self, reservation: Reservation) -> list[str]:
        out: list[str] = []
        for account in reservation.accounts:
            key = f"{{{self.shared.namespace}}}:s:{account.subject.name}"
            out += (key, key + ":p")
        return out

    def _without(self) -> GatewayError | None:
        return None if self.shared.when_lost == "local" else unavailable()

    def _note(self, error: Exception, now: float) -> None:
        self._lost_until = now + RETRY_SECONDS
        if not self._lost:
            self._lost = True
            log.error("shared counters do not answer: %s", type(error).__name__)


def unavailable() -> Overloaded:
    """What a request is told whose limits nobody can check."""
    return Overloaded(
        "Limits can't be checked: the counters all machines share do not answer.",
        code="limits_unavailable",
        retry_after=1.0,
    )


def _limit(value: int | None) -> int:
    return -1 if value is None else value


def _field(place: int, number: int) -> str:
    return f"b{BUDGETS + BUDGET_WORDS * place}:{number}:"
