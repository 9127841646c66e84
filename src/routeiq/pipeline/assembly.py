"""Puts together what the stages work with, the same wherever requests are served: in a worker, in the SDK."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from routeiq.core.counters import CounterTable
from routeiq.core.slots import SlotTable
from routeiq.core.snapshot import Snapshot
from routeiq.governance.accounts import LimitBook
from routeiq.governance.customers import Customers
from routeiq.governance.directory import Directory
from routeiq.governance.keys import KeyRing
from routeiq.governance.policies import Policies
from routeiq.governance.reserving import Stocks, Turns
from routeiq.governance.runs import AgentRuns
from routeiq.ledger.journal import EventSink
from routeiq.observe import metrics
from routeiq.pipeline.meters import Meters
from routeiq.pipeline.services import ResponseStore, Services
from routeiq.providers.signing import CredentialSource
from routeiq.routing.sessions import Sessions
from routeiq.transport.dns import Resolver
from routeiq.transport.library import LibraryClient
from routeiq.transport.outbox import Outbox
from routeiq.transport.pool import Pool, PoolLimits


def assemble(
    loop: asyncio.AbstractEventLoop,
    table: CounterTable,
    journal: EventSink,
    snapshot: Snapshot,
    *,
    worker: int,
    sources: Callable[[Pool], tuple[Directory, CredentialSource, ResponseStore | None]],
    longtail: str = "",
    slots: SlotTable | None = None,
    turns: Turns | None = None,
    sessions: Sessions | None = None,
) -> Services:
    """The services of one event loop. `worker` names it in Events; `sources` may ask over the pool it is given.

    `longtail` is the Unix socket of the process with LiteLLM's SDK; without one `Services.library` gets its calls.
    `slots` are for the keys of the database, `turns` for other workers that share the counters, `sessions` for the
    models conversations are with.
    """
    meters = Meters(table)

    def commit() -> None:
        """The Events of the answers that are about to leave."""
        lost = journal.flush()
        if lost:
            meters.pending[meters.journal_dropped] += lost

    outbox = Outbox(loop, commit)
    limits = PoolLimits()
    pool = Pool(Resolver(ttl=snapshot.limits.dns_ttl), limits, outbox)
    book = LimitBook(table, slots, turns.workers if turns is not None else 1)
    book.exceeded = lambda kind: meters.count(metrics.SOFT_BUDGETS, kind=kind)
    stocks = Stocks(turns)
    directory, credentials, responses = sources(pool)
    return Services(
        loop=loop,
        table=table,
        meters=meters,
        pool=pool,
        journal=journal,
        outbox=outbox,
        limits=book,
        stocks=stocks,
        keys=KeyRing(book, stocks, directory),
        customers=Customers(book, directory),
        runs=AgentRuns(book, directory, slots),
        policies=Policies(
            book,
            directory,
            slots,
            lambda policy: meters.count(metrics.USAGE_POLICY, policy=policy.policy_id, action=policy.action),
        ),
        library=LibraryClient(loop, limits),
        credentials=credentials,
        rng=random.Random(),  # noqa: S311 - balancing and jitter, not secrets
        worker=worker,
        responses=responses,
        longtail=longtail,
        sessions=sessions or Sessions(None),
    )
