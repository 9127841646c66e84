"""Composition of the control plane: the ledger's writer, the HTTP application, the feed."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from routeiq.control.app import create_app
from routeiq.control.artifacts import watch_artifacts
from routeiq.control.budget_alerts import tell_of_budgets
from routeiq.control.changes import Changes
from routeiq.control.exporting import Exporter, write_days
from routeiq.control.leases import SWEEP_SECONDS, Leases
from routeiq.control.nodes import Nodes
from routeiq.control.otlp import DecisionSpans, collector_of
from routeiq.control.plane import DatabaseStatus, Plane
from routeiq.control.responses import purge
from routeiq.control.retention import let_go
from routeiq.control.shelf import Shelf
from routeiq.control.watch import listen_to_others, watch
from routeiq.core import access_groups
from routeiq.core import snapshot as snapshots
from routeiq.core.counters import GAUGE, CounterTable
from routeiq.core.database import Database
from routeiq.core.messages import Ready, Refused
from routeiq.core.settings import BUILD_ENV, SECRETS_KEY_ENV
from routeiq.core.slots import SlotTable
from routeiq.core.snapshot import Snapshot
from routeiq.core.stored import Stored
from routeiq.ledger.ingest import Ingester, Observer, Trouble, node_name
from routeiq.ledger.target import Opener, Target, opener
from routeiq.observe import logs, metrics
from routeiq.process.feed import Feed
from routeiq.process.listener import listen
from routeiq.process.server import make_server
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.alerts import AlertRepository
from routeiq.store.compiled import Rules
from routeiq.store.database import engine, handed_over
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.migrate import MigrationFailed, Unreachable, ensure_schema
from routeiq.store.notices import NoticeRepository
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.retention import Retention
from routeiq.store.spend import SpendRepository
from routeiq.store.stored import StoredRepository
from routeiq.store.vault import Vault

if TYPE_CHECKING:
    from routeiq.control.build import Built

log = logging.getLogger("routeiq.control")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the supervisor starts the control plane with."""
    parser = argparse.ArgumentParser("routeiq-control")
    parser.add_argument("--feed", type=int, required=True, help="the socket to the supervisor")
    parser.add_argument("--columns", type=int, required=True, help="columns of the shared counters")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until drained; the exit status."""
    args = arguments(argv)
    os.umask(0o077)
    logs.setup(os.environ.get("ROUTEIQ_LOG_LEVEL", "info"), json=os.environ.get("ROUTEIQ_JSON_LOGS") == "1")
    try:
        database = handed_over(args.state)
        ensure_schema(database)
    except Unreachable as error:
        log.error("%s; serving without it until it is there", error)
    except (MigrationFailed, ValueError) as error:
        log.error("%s", error)
        return 1
    return asyncio.run(_serve(args, database))


async def _serve(args: argparse.Namespace, where: Database) -> int:
    table = CounterTable(args.state, column=0, columns=args.columns)
    table.forget_flying()
    database = engine(where)
    # Of its own: who changes something asks the ledger's sums while it holds a connection.
    managed = engine(where)
    spend = SpendRepository(database)
    repositories = (
        Lookup(database, rules=lambda: rules(plane.snapshot)),
        Accounts(managed),
        RequestRepository(database),
        ResponseRepository(database),
        A2aTaskRepository(database),
        spend,
        DecisionRepository(database),
        FeedbackRepository(database),
    )
    feed = Feed(args.feed, lambda encoded: _adopt(plane, encoded), lambda message: changes.received(message))
    journal = args.state / "journal"
    journal.mkdir(mode=0o700, exist_ok=True)
    notices = NoticeRepository(database, node_name(journal))
    # A file is one gateway's own.
    changes = Changes(feed.send) if isinstance(where, Path) else Changes(feed.send, notices.say)
    slots = SlotTable(args.state, column=0, columns=args.columns)
    plane = Plane(
        table,
        *repositories,
        database=DatabaseStatus(str(where), "not opened yet"),
        changes=changes,
        leases=Leases(slots, spend),
        stored=Shelf(StoredRepository(database, Vault(os.environ.get(SECRETS_KEY_ENV, ""))), _trial),
    )
    stop = threading.Event()
    spans = _spans(os.environ)
    ingester = Ingester(
        journal,
        _migrated(where),
        observe=_observer(plane, table),
        trouble=_noted(plane, table),
        written=None if spans is None else spans.take,
    )
    writer = threading.Thread(target=ingester.run, args=(stop,), name="ledger", daemon=True)
    server = make_server(create_app(plane))
    listener = listen(args.socket)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    exporter = plane.exporter = Exporter(database)
    jobs = [plane.credentials.run(), purge(plane), _sweep(plane), watch(plane), watch_artifacts(plane),
            let_go(plane, Retention(database)), write_days(plane, exporter),
            tell_of_budgets(plane, AlertRepository(database))]  # fmt: skip
    if not isinstance(where, Path):
        jobs.append(listen_to_others(plane, notices))
    running = [asyncio.create_task(job) for job in jobs]
    nodes = Nodes(table, slots, node_name(journal), _noted_redis(table))
    plane.nodes = nodes
    sharing = threading.Thread(target=nodes.run, args=(stop,), name="nodes", daemon=True)
    writer.start()
    sharing.start()
    if spans is not None:
        threading.Thread(target=spans.run, args=(stop,), name="otlp", daemon=True).start()
    seconds = await feed.follow(serving)
    for job in running:
        job.cancel()
    stop.set()
    await asyncio.to_thread(writer.join)
    if seconds:
        await asyncio.to_thread(ingester.drain, seconds)
    server.should_exit = True
    await serving
    ingester.close()
    database.dispose()
    managed.dispose()
    return 0


def _trial(rows: Stored) -> Built:
    """A build with these rows in the place of the database's, by the supervisor's arguments."""
    from routeiq.control import build  # 9 MB of memory, for those who change models only

    return build.try_rows(json.loads(os.environ.get(BUILD_ENV, "[]")), os.environ, rows)


async def _sweep(plane: Plane) -> None:
    """Take back the slots of who is idle, for as long as the process lives."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        # What is counted and not in the ledger yet would be missing from the next lease.
        if plane.leases is not None and plane.database.trouble is None and not plane.ingest.backlog:
            await asyncio.to_thread(plane.leases.sweep)


def rules(snapshot: Snapshot | None) -> Rules:
    """What the configuration says about accounts, for who looks them up."""
    if snapshot is None:
        return Rules()
    return Rules(
        user_budget_for_teams=snapshot.accounts.apply_user_budget_to_team_keys,
        default_end_user_budget=snapshot.accounts.max_end_user_budget_id,
        zone=snapshot.auth.timezone,
        expand=functools.partial(access_groups.expand, groups=snapshot.access_groups),
    )


def _adopt(plane: Plane, encoded: bytes) -> Ready | Refused:
    try:
        plane.snapshot = snapshots.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused(str(error))
    if plane.nodes is not None:
        plane.nodes.adopt(plane.snapshot.shared)
    plane.credentials.follow(plane.snapshot.signings())
    return Ready(plane.snapshot.revision)


def _migrated(where: Database) -> Opener:
    """Opens the ledger once its schema is there: the database may come later than this process."""
    made = opener(where)
    ready = False

    def opened(node: str) -> Target:
        nonlocal ready
        if not ready:
            ensure_schema(where)
            ready = True
        return made(node)

    return opened


def _noted_redis(table: CounterTable) -> Callable[[bool], None]:
    """Keeps for workers and metrics whether Redis is there."""
    up = table.slot(metrics.REDIS_UP.name, GAUGE)

    def note(there: bool) -> None:
        table.cells[up] = there

    return note


def _noted(plane: Plane, table: CounterTable) -> Trouble:
    """Keeps for health and metrics whether the database is there."""
    up = table.slot(metrics.LEDGER_UP.name, GAUGE)

    def note(trouble: str) -> None:
        table.cells[up] = not trouble
        plane.database.trouble = trouble or None

    return note


def _spans(environ: Mapping[str, str]) -> DecisionSpans | None:
    """Who tells a collector of decisions, where there is one."""
    try:
        collector = collector_of(environ)
    except ValueError as error:
        log.error("%s; no collector is told of decisions", error)
        return None
    return DecisionSpans(collector) if collector is not None else None


def _observer(plane: Plane, table: CounterTable) -> Observer:
    """Counts what the ingester does, in its thread; nobody else writes these cells."""
    ingested = table.slot(metrics.INGESTED.name)
    quarantined = table.slot(metrics.QUARANTINED.name)
    behind = table.slot(metrics.BACKLOG.name, GAUGE)

    def observe(events: int, lines: int, backlog: int) -> None:
        table.cells[ingested] += events
        table.cells[quarantined] += lines
        table.cells[behind] = backlog
        plane.ingest.ingested += events
        plane.ingest.quarantined += lines
        plane.ingest.backlog = backlog

    return observe
