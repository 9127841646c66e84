"""Composition of the control plane: the ledger's writer, the HTTP application, the feed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvicorn

from routeiq.control.app import create_app
from routeiq.control.plane import Plane
from routeiq.control.responses import purge
from routeiq.core import snapshot as snapshots
from routeiq.core.counters import GAUGE, CounterTable
from routeiq.core.messages import Drain, Frames, Publish, Ready, Refused, frame
from routeiq.ledger.ingest import Ingester, Observer
from routeiq.observe import logs, metrics
from routeiq.store.database import connect, database_path, engine
from routeiq.store.keys import KeyRepository
from routeiq.store.migrate import MigrationFailed, ensure_schema
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository

log = logging.getLogger("routeiq.control")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the supervisor starts the control plane with."""
    parser = argparse.ArgumentParser("routeiq-control")
    parser.add_argument("--feed", type=int, required=True, help="the socket to the supervisor")
    parser.add_argument("--columns", type=int, required=True, help="columns of the shared counters")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--database", type=Path, help="the SQLite file; routeiq.db in the state directory")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until drained; the exit status."""
    args = arguments(argv)
    os.umask(0o077)
    logs.setup(os.environ.get("ROUTEIQ_LOG_LEVEL", "info"), json=os.environ.get("ROUTEIQ_JSON_LOGS") == "1")
    path = args.database or database_path(args.state)
    try:
        ensure_schema(path)
    except MigrationFailed as error:
        log.error("%s", error)
        return 1
    return asyncio.run(_serve(args, path))


async def _serve(args: argparse.Namespace, path: Path) -> int:
    table = CounterTable(args.state, column=0, columns=args.columns)
    table.zero_gauges()
    database = engine(path)
    plane = Plane(table, KeyRepository(database), RequestRepository(database), ResponseRepository(database))
    journal = args.state / "journal"
    journal.mkdir(mode=0o700, exist_ok=True)
    ingester = Ingester(journal, lambda: connect(path), observe=_observer(plane, table))
    stop = threading.Event()
    writer = threading.Thread(target=ingester.run, args=(stop,), name="ledger", daemon=True)
    server = _Server(
        uvicorn.Config(create_app(plane), lifespan="off", log_config=None, log_level="warning", access_log=False)
    )
    listener = _listen(args.socket)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    renewing = asyncio.create_task(plane.credentials.run())
    purging = asyncio.create_task(purge(plane))
    writer.start()
    seconds = await _follow(args.feed, plane, serving)
    renewing.cancel()
    purging.cancel()
    stop.set()
    await asyncio.to_thread(writer.join)
    if seconds:
        await asyncio.to_thread(ingester.drain, seconds)
    server.should_exit = True
    await serving
    ingester.close()
    database.dispose()
    return 0


async def _follow(feed: int, plane: Plane, serving: asyncio.Task[None]) -> float:
    """Take Snapshots until told to drain; for how many seconds, 0 when the supervisor is gone."""
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=feed))
    frames = Frames()
    while not serving.done():
        reading = asyncio.create_task(reader.read(65536))
        await asyncio.wait([reading, serving], return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            break
        data = reading.result()
        if not data:
            break
        for message in frames.feed(data):
            if isinstance(message, Publish):
                writer.write(frame(_adopt(plane, message.snapshot)))
            elif isinstance(message, Drain):
                return message.seconds
    return 0.0


def _adopt(plane: Plane, encoded: bytes) -> Ready | Refused:
    try:
        plane.snapshot = snapshots.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused(str(error))
    plane.credentials.follow(d.signing for d in plane.snapshot.deployments if d.signing is not None)
    return Ready(plane.snapshot.revision)


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


def _listen(path: Path) -> socket.socket:
    """A Unix socket at `path`, in place of one that a dead process left."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    made.listen(512)
    return made


class _Server(uvicorn.Server):
    """Signals are the supervisor's: it says on the feed when to end."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()
