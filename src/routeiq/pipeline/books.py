"""What a use of a tool or an agent takes from its caller, and the Event it leaves."""

from __future__ import annotations

import itertools
import os
import time

from routeiq.core.errors import Overloaded
from routeiq.core.snapshot import Snapshot
from routeiq.governance.keys import Caller
from routeiq.governance.reserving import Reservation, reserve
from routeiq.ledger.event import Event
from routeiq.ledger.journal import JournalFull
from routeiq.pipeline.services import Services

LONGEST = 256
"""Characters of a name on an Event."""


class Books:
    """Makes accounts. `snapshot` is that of now."""

    def __init__(self, services: Services, snapshot: Snapshot, endpoint: str) -> None:
        """`endpoint` is `Event.endpoint` and `Event.provider`."""
        self.services = services
        self.snapshot = snapshot
        self.endpoint = endpoint
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)

    def open(self, caller: Caller, asked: str, fields: dict[bytes, bytes]) -> Account:
        """The account of one use: by the name it was asked for under, in a request with these headers."""
        self.services.in_flight += 1
        request_id = fields.get(b"x-request-id", b"")[:LONGEST].decode("latin-1")
        return Account(self, caller, asked, f"{self._prefix}-{next(self._count):x}", request_id)


class Account:
    """One use: reserved before the call, settled after it."""

    __slots__ = (
        "_asked", "_at", "_books", "_caller", "_request_id", "_reservation", "_started", "cost", "id", "name", "server",
    )  # fmt: skip

    def __init__(self, books: Books, caller: Caller, asked: str, ident: str, request_id: str) -> None:
        self._books = books
        self._caller = caller
        self._asked = asked
        self._request_id = request_id
        self._at = time.time_ns() // 1000
        self._started = books.services.now()
        self._reservation: Reservation | None = None
        self.id = ident
        self.server = ""
        """Who was asked, once that is known."""
        self.name = ""
        """Its own name for what was asked."""
        self.cost = 0
        """Nano-dollars."""

    async def reserve(self) -> None:
        """Take it from everyone it counts for. Raises `LimitExceeded` or `Overloaded` where one of them has no room."""
        services, snapshot, caller = self._books.services, self._books.snapshot, self._caller
        if services.journal.full and snapshot.journal.on_full != "drop":
            raise Overloaded("The journal is full: no requests are taken.", code="journal_full")
        if not caller.limited:
            return
        now = self._at / 1e6
        if services.strict is None:
            if snapshot.shared is not None and snapshot.shared.when_lost == "refuse" and not services.shares_counters():
                raise Overloaded(
                    "Limits can't be checked: the counters all machines share do not answer.",
                    code="limits_unavailable",
                )
            self._reservation = caller.stock_for("").take(0, self.cost, now)
            return
        reservation = reserve(caller.accounts_for(""), 0, self.cost, now, services.stocks.turns)
        denied = await services.strict.reserve(reservation, now)
        if denied is not None:
            reservation.cancel(now)
            raise denied
        self._reservation = reservation

    def settle(self, status: int, error: str = "") -> None:
        """Account for it, once. `error` is `GatewayError.kind`, or empty."""
        books, caller = self._books, self._caller
        services = books.services
        services.in_flight -= 1
        now = services.now()
        duration = int((now - self._started) * 1e6)
        then = self._at / 1e6
        cost = self.cost if status == 200 else 0
        meters = services.meters
        group = meters.group("")
        meters.pending[group.request(books.endpoint, status)] += 1
        group.duration.observe(meters.pending, duration)
        meters.used(books.endpoint, self.server, error or "ok", duration)
        if cost:
            meters.pending[group.cost] += cost
        if caller.spend is not None and cost:
            caller.spend.add(cost, then)
        reservation = self._reservation
        if reservation is not None:
            reservation.settle(0, cost, then, then + (now - self._started))
            if reservation.ticket and services.strict is not None:
                services.start(services.strict.settle(reservation, 0, cost, then))
        key = caller.key
        event = Event(
            id=self.id,
            at=self._at,
            model=self._asked[:LONGEST],
            upstream_model=self.name[:LONGEST],
            status=status,
            error=error,
            cost=cost,
            duration=duration,
            endpoint=books.endpoint,
            provider=books.endpoint,
            deployment=self.server,
            key=key.id,
            key_name=caller.name,
            tags=key.tags,
            user_id=key.user_id,
            team_id=key.team_id,
            organization_id=key.organization_id,
            revision=books.snapshot.revision,
            worker=services.worker,
            request_id=self._request_id,
        )
        try:
            services.journal.append(event)
        except JournalFull:
            meters.pending[meters.journal_dropped] += 1
