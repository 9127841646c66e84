"""What the stages work with: one of each per worker, put together by `assembly`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from routeiq.core.counters import GAUGE, CounterTable
from routeiq.core.snapshot import Shared
from routeiq.governance.accounts import LimitBook
from routeiq.governance.customers import Customers
from routeiq.governance.keys import KeyRing
from routeiq.governance.policies import Policies
from routeiq.governance.reserving import Stocks
from routeiq.governance.runs import AgentRuns
from routeiq.governance.strict import Strict
from routeiq.ledger.journal import EventSink
from routeiq.observe import metrics
from routeiq.pipeline.meters import Meters
from routeiq.providers.signing import CredentialSource
from routeiq.routing.registry import Strategies
from routeiq.routing.sessions import Sessions
from routeiq.routing.target import Health, Target
from routeiq.transport.call import Call
from routeiq.transport.outbox import Outbox
from routeiq.transport.pool import Origin, Pool

if TYPE_CHECKING:
    from routeiq.core.responses import Conversation, KeptResponse
    from routeiq.core.snapshot import Deployment
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.background import Running


class LibraryClient(Protocol):
    """Sends calls that need a proxy or HTTP/2; see `transport.library`."""

    def prepare(self, deployments: Iterable[Deployment]) -> None:
        """Set up what these will need, before the first request does."""

    def send(self, call: Call, deployment: Deployment, head: bytes) -> None:
        """Send `call.payload` under a rendered head; the outcome comes through the call."""


class ResponseStore(Protocol):
    """Where responses are kept, each under the key that asked: `owner` is its hex SHA-256.

    All raise `Overloaded` when nobody answers.
    """

    async def conversation(self, owner: str, ident: str) -> Conversation | None:
        """All up to a response, or where its provider keeps it. Raises `BadRequest` for one that is too long."""

    async def find(self, owner: str, ident: str) -> KeptResponse | None:
        """One response."""

    async def put(self, kept: KeptResponse) -> bool:
        """Keep one; False for the end of what was in the background and has ended before, or was deleted."""

    async def remove(self, owner: str, ident: str) -> bool:
        """Forget one; whether there was one."""

    async def cancel(self, owner: str, ident: str) -> KeptResponse | None:
        """End one that is under way; as it is then."""

    async def alive(self, running: list[tuple[str, str]]) -> list[str]:
        """These (owner, id) are being worked at; gives the ids of those nobody waits for any more."""


class Services:
    """Long-lived parts of a worker, and the counts they share."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        table: CounterTable,
        meters: Meters,
        pool: Pool,
        journal: EventSink,
        outbox: Outbox,
        limits: LimitBook,
        stocks: Stocks,
        keys: KeyRing,
        customers: Customers,
        runs: AgentRuns,
        policies: Policies,
        library: LibraryClient,
        credentials: CredentialSource,
        rng: random.Random,
        worker: int,
        responses: ResponseStore | None = None,
        longtail: str = "",
        sessions: Sessions,
    ) -> None:
        self.loop = loop
        self.table = table
        self.pool = pool
        self.journal = journal
        self.outbox = outbox
        self.limits = limits
        self.stocks = stocks
        self.keys = keys
        self.customers = customers
        self.runs = runs
        self.policies = policies
        self.library = library
        self.credentials = credentials
        self.rng = rng
        self.wall = time.time
        self.now = time.monotonic
        """Seconds for everything that is measured: uvloop's own clock ticks in milliseconds."""
        self.worker = worker
        self.meters = meters
        self.responses = responses
        """`None` in a program without a control plane: there is nothing to go on from."""
        self.longtail = longtail
        """The Unix socket of the process with LiteLLM's SDK; empty where `library` calls it."""
        self.agents: Origin | None = None
        """The process with MCP, where there is one."""
        self.sessions = sessions
        self.strategies = Strategies()
        self.strict: Strict | None = None
        """Asked before each request with limits, where machines share those exactly."""
        self.background: dict[str, Running] = {}
        """Responses that are worked at after their client has been answered, by id."""
        self.alive: asyncio.Task[None] | None = None
        """Tells the control plane of them."""
        self.active: set[Attempt] = set()
        """Calls under way, for the sweep of deadlines."""
        self.in_flight = 0
        self.retrying = 0
        self.requests = 0
        self.hedges = 0
        self.tasks: set[asyncio.Task[None]] = set()
        """Tasks that must not be garbage-collected while they run."""
        self._health: dict[str, Health] = {}
        self._held: dict[str, Target] = {}

    def share(self, shared: Shared | None, flying_seconds: float) -> None:
        """Take the settings of a new Snapshot."""
        wanted = shared if shared is not None and shared.strict else None
        if wanted != (self.strict.shared if self.strict is not None else None):
            if self.strict is not None:
                self.start(self.strict.close())
            self.strict = Strict(wanted, flying_seconds) if wanted is not None else None

    def shares_counters(self) -> bool:
        """Whether the control plane is in touch with the counters all machines share."""
        return self.table.total(self.table.row(metrics.REDIS_UP.name, GAUGE)) > 0

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that nobody has to wait for."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def health(self, deployment: str) -> Health:
        """The state of a deployment by id, kept over reloads."""
        health = self._health.get(deployment)
        if health is None:
            health = self._health[deployment] = Health()
        return health

    def sweep(self, now: float) -> None:
        """End calls whose deadline has passed; call every few hundredths of a second."""
        late = [attempt for attempt in self.active if attempt.deadline < now]
        for attempt in late:
            attempt.expired(now)

    def held_out(self, target: Target) -> None:
        """A deployment is out of service for a while."""
        self._held[target.spec.id] = target
        self._show(target, 1)

    def tidy(self, now: float) -> None:
        """What is due about once a second: idle connections, the journal's size, gauges."""
        for ident, target in list(self._held.items()):
            health = target.health
            if health.open_until <= now and not health.opened:
                del self._held[ident]
                self._show(target, 0)
            elif not health.opened and health.reason == "circuit_open":
                self._show(target, 0)
        wall = self.wall()
        self.stocks.give_back(wall)
        self.limits.flush(wall)
        self.pool.expire(now)
        for host, count in self.pool.open_connections().items():
            self.meters.set_gauge(metrics.UPSTREAM_CONNECTIONS, count, host=host)
        self.meters.set_gauge(metrics.IN_FLIGHT, self.in_flight)
        self.meters.flush()
        self.journal.check()

    def _show(self, target: Target, value: int) -> None:
        for reason in ("cooldown", "circuit_open"):
            share = value if target.health.reason == reason else 0
            self.meters.set_gauge(metrics.UNAVAILABLE, share, deployment=target.spec.id, reason=reason)
