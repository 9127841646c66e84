"""The composition root of a worker process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import uvloop

from routeiq.core import snapshot as snapshots
from routeiq.core.counters import CounterTable
from routeiq.core.messages import Drain, Invalidate, Message, Publish, Ready, Refused
from routeiq.core.slots import SlotTable
from routeiq.core.snapshot import Snapshot
from routeiq.governance.reserving import Turns
from routeiq.ledger.journal import JournalWriter
from routeiq.observe import logs
from routeiq.pipeline.assembly import assemble
from routeiq.process.credentials import Credentials
from routeiq.process.http import ClientConnection
from routeiq.process.lookup import ControlDirectory
from routeiq.routing.sessions import Sessions
from routeiq.transport.pool import Address, Pool
from routeiq.worker.feed import Feed
from routeiq.worker.kept import ControlResponses
from routeiq.worker.server import Worker

PATIENCE_SECONDS = 10.0
"""How long a request waits for a process that is being started."""

log = logging.getLogger("routeiq.worker")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the supervisor starts a worker with."""
    parser = argparse.ArgumentParser("routeiq-worker")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--feed", type=int, required=True, help="the socket to the supervisor")
    parser.add_argument("--column", type=int, required=True, help="this worker's column of the shared counters")
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--control", required=True, help="the control plane's Unix socket")
    parser.add_argument("--longtail", default="", help="the Unix socket of the process with LiteLLM's SDK")
    parser.add_argument("--agents", default="", help="the Unix socket of the process with MCP, where there is one")
    parser.add_argument("--certfile")
    parser.add_argument("--keyfile")
    return parser.parse_args(argv)


async def serve(args: argparse.Namespace) -> int:
    """Run until drained. Returns the exit code."""
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[Message | None] = asyncio.Queue()
    feed_socket = socket.socket(fileno=args.feed)
    feed_socket.setblocking(False)
    feed = Feed(inbox.put_nowait, lambda: inbox.put_nowait(None))
    await loop.create_connection(lambda: feed, sock=feed_socket)

    first = await inbox.get()
    if not isinstance(first, Publish):
        return 0  # the supervisor is gone, or stops before it began
    snapshot = snapshots.decode(first.snapshot)
    worker = build(args, snapshot, loop)

    context = None
    if args.certfile:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.certfile, args.keyfile)
        context.set_alpn_protocols(["http/1.1"])
    listener = socket.socket(fileno=args.fd)
    server = await loop.create_server(lambda: ClientConnection(worker), sock=listener, ssl=context, backlog=4096)
    worker.tick()
    # What is alive now stays alive: keep it out of every later collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    feed.send(Ready(snapshot.revision))

    while True:
        message = await inbox.get()
        if isinstance(message, Publish):
            feed.send(_adopt(worker, message.snapshot))
        elif isinstance(message, Invalidate):
            worker.services.keys.forget(message.keys, message.subjects)
            if message.subjects or not message.keys:
                worker.services.customers.forget(message.subjects)
        elif message is None or isinstance(message, Drain):
            snapshot = worker.plan.snapshot
            seconds = message.seconds if message is not None else snapshot.limits.drain_seconds
            finished = await worker.drain(server, seconds, snapshot.limits.drain_notice)
            if not finished:
                log.warning("requests were cut off at the end of the drain", extra={"drain_seconds": seconds})
            return 0


def build(args: argparse.Namespace, snapshot: Snapshot, loop: asyncio.AbstractEventLoop) -> Worker:
    """Put a worker together."""
    table = CounterTable(args.state, column=args.column, columns=args.columns)
    table.forget_flying()
    slots = SlotTable(args.state, column=args.column, columns=args.columns)
    slots.forget_flying()
    # One worker alone has nobody to take turns with; the control plane reserves nothing.
    turns = Turns(args.state / "limits.lock", args.columns - 1) if args.columns > 2 else None
    journal = JournalWriter(args.state / "journal", args.column, snapshot.journal)
    address = Address(path=args.control)

    def sources(pool: Pool) -> tuple[ControlDirectory, Credentials, ControlResponses]:
        control = pool.origin(address)
        return ControlDirectory(control), Credentials(control), ControlResponses(control)

    services = assemble(
        loop, table, journal, snapshot, worker=args.column, sources=sources, longtail=args.longtail,
        slots=slots, turns=turns, sessions=Sessions(args.state),
    )  # fmt: skip
    agents = (
        services.pool.origin(Address(path=args.agents, bound=False, patience=PATIENCE_SECONDS)) if args.agents else None
    )
    return Worker(services, snapshot, services.pool.origin(address), agents)


def _adopt(worker: Worker, encoded: bytes) -> Ready | Refused:
    try:
        snapshot = snapshots.decode(encoded)
        worker.adopt(snapshot)
    except Exception as error:
        log.exception("a snapshot could not be taken; the old one stays")
        return Refused(f"{type(error).__name__}: {error}")
    return Ready(snapshot.revision)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m routeiq.worker`."""
    args = arguments(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a stream takes two descriptors
    logs.setup(os.environ.get("ROUTEIQ_LOG_LEVEL", "info"), json=os.environ.get("ROUTEIQ_JSON_LOGS") == "1")
    return uvloop.run(serve(args))
