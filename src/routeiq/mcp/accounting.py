"""What a use of a server takes from its caller, and the Event it leaves: reserved before the call, settled after it."""

from __future__ import annotations

import itertools
import os
import time

from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.snapshot import Snapshot
from routeiq.governance.keys import Caller
from routeiq.governance.reserving import Reservation, reserve
from routeiq.ledger.event import Event
from routeiq.ledger.journal import JournalFull
from routeiq.mcp.wire import GATEWAY_ERROR, McpError
from routeiq.pipeline.services import Services

ENDPOINT = "mcp"
PROVIDER = "mcp"
"""`Event.endpoint` and `Event.provider` of what is asked of MCP servers."""
LONGEST = 256
"""Characters of a name on an Event."""
CANCELLED = 499
"""The status of what its client has cancelled."""


class Books:
    """Makes accounts. `snapshot` is that of now."""

    def __init__(self, services: Services, snapshot: Snapshot) -> None:
        self.services = services
        self.snapshot = snapshot
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)

    def open(self, caller: Caller, asked: str) -> Account:
        """The account of one use: of a tool, prompt or resource, by the name it was asked for under."""
        self.services.in_flight += 1
        return Account(self, caller, asked, f"{self._prefix}-{next(self._count):x}")


class Account:
    """One use, from `reserve` to `settle`."""

    __slots__ = ("_asked", "_at", "_books", "_caller", "_reservation", "_started", "cost", "id", "name", "server")

    def __init__(self, books: Books, caller: Caller, asked: str, ident: str) -> None:
        self._books = books
        self._caller = caller
        self._asked = asked
        self._at = time.time_ns() // 1000
        self._started = books.services.now()
        self._reservation: Reservation | None = None
        self.id = ident
        self.server = ""
        """Its name, once that is known."""
        self.name = ""
        """The server's own name for what was asked."""
        self.cost = 0
        """Nano-dollars."""

    async def reserve(self) -> None:
        """Take it from everyone it counts for. Raises `McpError` where one of them has no room."""
        services, snapshot, caller = self._books.services, self._books.snapshot, self._caller
        if services.journal.full and snapshot.journal.on_full != "drop":
            raise refused(Overloaded("The journal is full: no requests are taken.", code="journal_full"))
        if not caller.limited:
            return
        now = self._at / 1e6
        try:
            if services.strict is None:
                if (
                    snapshot.shared is not None
                    and snapshot.shared.when_lost == "refuse"
                    and not services.shares_counters()
                ):
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
        except GatewayError as error:
            raise refused(error) from None

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
        meters.pending[group.request(ENDPOINT, status)] += 1
        group.duration.observe(meters.pending, duration)
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
            endpoint=ENDPOINT,
            provider=PROVIDER,
            deployment=self.server,
            key=key.id,
            key_name=caller.name,
            tags=key.tags,
            user_id=key.user_id,
            team_id=key.team_id,
            organization_id=key.organization_id,
            revision=books.snapshot.revision,
            worker=services.worker,
        )
        try:
            services.journal.append(event)
        except JournalFull:
            meters.pending[meters.journal_dropped] += 1


def refused(error: GatewayError) -> McpError:
    """A refusal of the gateway as JSON-RPC."""
    data: dict[str, object] = {"code": error.code or error.kind, "type": error.type}
    if error.retry_after is not None:
        data["retry_after"] = error.retry_after
    made = Refused(GATEWAY_ERROR, error.message, data)
    made.kind, made.event_status = error.kind, error.status
    return made


class Refused(McpError):
    """What the gateway itself does not do. `kind` and `event_status` are what its Event says."""

    kind = "forbidden"
    event_status = 403
