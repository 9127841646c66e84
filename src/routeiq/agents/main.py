"""The composition root of the process with MCP and A2A."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
from collections.abc import Sequence
from pathlib import Path

import uvloop

from routeiq.agents.a2a_face import A2aFace
from routeiq.agents.mcp_face import McpFace
from routeiq.agents.mcp_inside import InsideFace
from routeiq.agents.mcp_oauth import OAuthFace
from routeiq.agents.mcp_rest import RestFace
from routeiq.agents.server import Agents, Face
from routeiq.core import snapshot as snapshots
from routeiq.core.counters import CounterTable
from routeiq.core.messages import Invalidate, Message, Ready, Refused
from routeiq.core.settings import SECRETS_KEY_ENV
from routeiq.core.slots import SlotTable
from routeiq.core.snapshot import Snapshot
from routeiq.governance.reserving import Turns
from routeiq.ledger.journal import JournalWriter
from routeiq.observe import logs
from routeiq.pipeline.assembly import assemble
from routeiq.process.credentials import Credentials
from routeiq.process.feed import Feed
from routeiq.process.http import ClientConnection
from routeiq.process.listener import listen
from routeiq.process.lookup import ControlDirectory
from routeiq.transport.pool import Address, Pool

log = logging.getLogger("routeiq.agents")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the supervisor starts the process with."""
    parser = argparse.ArgumentParser("routeiq-agents")
    parser.add_argument("--feed", type=int, required=True, help="the socket to the supervisor")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--column", type=int, required=True, help="this process's column of the shared counters")
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--control", required=True, help="the control plane's Unix socket")
    return parser.parse_args(argv)


class Process:
    """Begins with the first Snapshot, ends with a drain."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._listener = listen(args.socket)
        self._agents: Agents | None = None
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until drained; the exit status."""
        forever = asyncio.create_task(asyncio.Event().wait())
        seconds = await Feed(self._args.feed, self._adopt, self._received).follow(forever)
        forever.cancel()
        if self._starting is not None:
            await self._starting
        if (
            self._agents is not None
            and self._server is not None
            and not await self._agents.drain(self._server, seconds)
        ):
            log.warning("requests were cut off at the end of the drain", extra={"drain_seconds": seconds})
        return 0

    def _adopt(self, encoded: bytes) -> Ready | Refused:
        try:
            snapshot = snapshots.decode(encoded)
            if self._agents is None:
                self._agents = build(self._args, snapshot, asyncio.get_running_loop())
                self._starting = asyncio.create_task(self._start(self._agents))
            else:
                self._agents.adopt(snapshot)
        except Exception as error:
            log.exception("a snapshot could not be taken; the old one stays")
            return Refused(f"{type(error).__name__}: {error}")
        return Ready(snapshot.revision)

    async def _start(self, agents: Agents) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: ClientConnection(agents), sock=self._listener)
        agents.tick()

    def _received(self, message: Message) -> None:
        if isinstance(message, Invalidate) and self._agents is not None:
            self._agents.services.keys.forget(message.keys, message.subjects)


def build(args: argparse.Namespace, snapshot: Snapshot, loop: asyncio.AbstractEventLoop) -> Agents:
    """Put the process together."""
    table = CounterTable(args.state, column=args.column, columns=args.columns)
    table.forget_flying()
    slots = SlotTable(args.state, column=args.column, columns=args.columns)
    slots.forget_flying()
    journal = JournalWriter(args.state / "journal", args.column, snapshot.journal)
    address = Address(path=args.control)

    def sources(pool: Pool) -> tuple[ControlDirectory, Credentials, None]:
        control = pool.origin(address)
        return ControlDirectory(control), Credentials(control), None

    services = assemble(
        loop, table, journal, snapshot, worker=args.column, sources=sources, slots=slots,
        turns=Turns(args.state / "limits.lock", args.columns - 1),
    )  # fmt: skip

    def faces(agents: Agents) -> list[Face]:
        """The first that knows a path answers."""
        mcp = McpFace(agents)
        a2a = A2aFace(agents, services.pool.origin(address))
        return [
            InsideFace(agents, mcp.gateway),
            OAuthFace(mcp.gateway, mcp.callers),
            RestFace(mcp.gateway, mcp.sessions, mcp.callers),
            a2a,
            mcp,
        ]

    return Agents(services, snapshot, args.state, os.environ.get(SECRETS_KEY_ENV, ""), faces)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m routeiq.agents`."""
    args = arguments(argv)
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logs.setup(os.environ.get("ROUTEIQ_LOG_LEVEL", "info"), json=os.environ.get("ROUTEIQ_JSON_LOGS") == "1")
    return uvloop.run(Process(args).run())
