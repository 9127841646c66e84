"""Servers that are processes of ours: a message a line on standard input and output.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#stdio
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

from routeiq.core.mcp import McpServer
from routeiq.mcp.upstream.duplex import Duplex
from routeiq.mcp.wire import McpError, Message, Unavailable, decode, encode

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LOGNAME", "SHELL")
"""Of the gateway's environment what a server gets; the rest is secrets for all it knows."""
END_SECONDS = 2.0
"""How long a process may take to end once its input has, and again once it was told to."""
MOST = 200
"""Processes at once."""
LOGGED = 500
"""Characters of a line on standard error."""

log = logging.getLogger("routeiq.mcp")


class Processes:
    """Counts them."""

    def __init__(self) -> None:
        self.running = 0

    def channel(self, server: McpServer, limit: int) -> Duplex:
        """A process that starts with the first message. `limit`: bytes of one message."""
        process = _Process(server, limit, self)
        process.duplex = Duplex(process.write, server.timeout, process.end)
        return process.duplex


class _Process:
    def __init__(self, server: McpServer, limit: int, processes: Processes) -> None:
        self.duplex: Duplex
        self._server = server
        self._limit = limit
        self._processes = processes
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()

    async def write(self, message: Message) -> None:
        """Send a message, in a process that is started now if there is none."""
        async with self._starting:
            if self._process is None:
                await self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(encode(message) + b"\n")
        try:
            await self._process.stdin.drain()
        except OSError:
            raise Unavailable(f"The process {self._server.command} takes no more.") from None

    async def end(self) -> None:
        """End the process, and whatever it has started."""
        for task in self._tasks:
            task.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        self._processes.running -= 1
        assert process.stdin is not None
        process.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            try:
                await asyncio.wait_for(process.wait(), END_SECONDS)
                break
            except TimeoutError:
                continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has started and left behind

    async def _start(self) -> None:
        server = self._server
        if self._processes.running >= MOST:
            raise Unavailable(f"There are {MOST} processes of MCP servers already.")
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        try:
            self._process = await asyncio.create_subprocess_exec(
                server.command,
                *server.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**inherited, **server.env},
                start_new_session=True,
                limit=self._limit,
            )
        except OSError as error:
            raise Unavailable(f"{server.command} could not be started: {error.strerror}") from None
        self._processes.running += 1
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    async def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        why = "ended"
        try:
            while line := await process.stdout.readline():
                if line.strip():
                    self.duplex.take(decode(line))
        except McpError:
            why = "wrote what is not a message"
        except ValueError:
            why = f"wrote a message of over {self._limit} bytes"
        self.duplex.fail(Unavailable(f"The process {self._server.command} {why}."))

    async def _listen(self) -> None:
        """What it says on standard error is its log."""
        process = self._process
        assert process is not None
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:
                continue
            if not line:
                return
            log.debug("MCP server %s: %s", self._server.name, line.decode("utf-8", "replace").rstrip()[:LOGGED])
