"""The supervisor: builds, listens, starts the control plane and the workers, reloads, drains.

build ─► lock, listen, counters ─► control plane + workers ─► ready ─► … reload … ─► drain workers ─► drain the rest
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routeiq.core.database import DATABASE_URL_ENV
from routeiq.core.messages import Invalidate, Rebuild, Rebuilt
from routeiq.core.settings import BUILD_ENV, ERROR, SECRETS_KEY_ENV, BuildResult, Finding, ServerSettings
from routeiq.observe import logs
from routeiq.supervisor.admin import serve_admin
from routeiq.supervisor.answers import Process, Reload, Status
from routeiq.supervisor.banner import banner
from routeiq.supervisor.building import build
from routeiq.supervisor.child import Child
from routeiq.supervisor.counters import prepare_counters
from routeiq.supervisor.listener import CannotListen, listen
from routeiq.supervisor.programs import Options, Programs
from routeiq.supervisor.serving import Serving, describe, restart_needed
from routeiq.supervisor.state import StateBusy, StateDir

INVALID = 2
"""Exit status when the configuration has errors."""
FAILED = 1
READY_SECONDS = 30.0
RELOAD_SECONDS = 10.0
"""How long workers may take to start, and to answer for a new Snapshot."""
CONTROL_DRAIN_SECONDS = 10.0
"""How long the control plane may take to write the rest of the journal to the ledger."""
OTHERS_DRAIN_SECONDS = 2.0
"""How long the rest may take, which has no request under way any more."""

MALLOC_KEEP_BYTES = 32 * 1024 * 1024

log = logging.getLogger("routeiq.supervisor")


class Supervisor:
    """One `routeiq serve`. `run` returns the exit status."""

    def __init__(self, options: Options, programs: Programs) -> None:
        self._options = options
        self._programs = programs
        self._workers: list[Child] = []
        self._control: Child | None = None
        self._agents: Child | None = None
        self._longtail: Callable[[], Child]
        self._others: list[Child] = []
        """The process with LiteLLM's SDK, where a deployment needs it; and any that is being drained."""
        self._changed = asyncio.Event()
        self._signals = 0
        self._reload_running: asyncio.Task[Reload] | None = None
        self._reload_queued: asyncio.Task[Reload] | None = None
        self._asked: set[asyncio.Task[Any]] = set()
        """Reloads that a signal or the control plane has asked for."""
        self._url = ""
        self._started = time.time()
        self._server: ServerSettings
        self._serving: Serving
        self._state: StateDir

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT."""
        os.umask(0o077)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._terminate)
        result = await self._first_build()
        if result is None:
            return 0
        for finding in (*result.errors, *result.warnings):
            print(finding, file=sys.stderr, flush=True)
        if not result.ok or result.server is None or result.snapshot is None:
            return INVALID
        self._server = result.server
        self._serving = describe(result.snapshot)
        logs.setup(self._server.log_level, self._server.json_logs)
        try:
            return await self._serve(len(result.warnings))
        except (StateBusy, CannotListen, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            return FAILED

    async def _first_build(self) -> BuildResult | None:
        """The first build; `None` when a signal came before it was done."""
        task = asyncio.create_task(self._build())
        while not task.done():
            if self._signals:
                task.cancel()
                await asyncio.wait([task])
                return None
            changed = asyncio.create_task(self._wait_change())
            await asyncio.wait([task, changed], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        return task.result()

    async def _serve(self, warnings: int) -> int:
        server = self._server
        self._state = StateDir(Path(server.state_dir))
        try:
            with listen(server.host, server.port) as listener:
                prepare_counters(self._state.path, _columns(server))
                self._make_children(listener)
                admin = await serve_admin(self._state.admin_socket, {"reload": self.reload, "status": self._status})
                await asyncio.gather(*(child.start() for child in self._children()))
                ready = await self._settled(READY_SECONDS, starting=True)
                refused = [child for child in self._workers if child.refusal]
                if ready and not refused and not self._signals:
                    self._announce(warnings)
                elif not self._signals and not refused:
                    log.error("not every worker was ready within %g s; still trying", READY_SECONDS)
                while not self._signals and not refused:
                    await self._wait_change()
            admin.close()
            await self._stop()
            return FAILED if refused else 0
        finally:
            for child in self._children():
                child.kill()
            self._state.close()

    def _children(self) -> list[Child]:
        """The control plane, the workers, the process with MCP, then the others."""
        single = [child for child in (self._control, self._agents) if child is not None]
        return [*single[:1], *self._workers, *single[1:], *self._others]

    def _make_children(self, listener: socket.socket) -> None:
        server, state = self._server, self._state
        columns = str(_columns(server))
        certificate = self._options.ssl_certfile or server.ssl_certfile
        private = self._options.ssl_keyfile or server.ssl_keyfile
        tls = ("--certfile", certificate, "--keyfile", private) if certificate and private else ()
        environment = {
            **os.environ,
            "ROUTEIQ_LOG_LEVEL": server.log_level,
            "ROUTEIQ_JSON_LOGS": "1" if server.json_logs else "0",
            # glibc gives freed memory back to the kernel above 128 KB and faults it in again for the next large
            # prompt: an eighth of the time such a request takes. These keep some megabytes instead.
            "MALLOC_TRIM_THRESHOLD_": str(MALLOC_KEEP_BYTES),
            "MALLOC_MMAP_THRESHOLD_": str(MALLOC_KEEP_BYTES),
            # A process has one core: threads of linear algebra would only wait for each other, and spin while they do.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        shared = ("--columns", columns, "--state", str(state.path))
        # Never on a command line, which everybody may read; and no business of the others.
        keeping = {
            **environment,
            DATABASE_URL_ENV: server.database_url,
            SECRETS_KEY_ENV: server.secrets_key,
            BUILD_ENV: json.dumps(self._options.builder_arguments()),
        }

        sealing = {**environment, SECRETS_KEY_ENV: server.secrets_key}

        def control(feed: int) -> tuple[str, ...]:
            return (*self._programs.control, "--feed", str(feed), *shared, "--socket", str(state.control_socket))

        def worker(column: int, feed: int) -> tuple[str, ...]:
            own = ("--fd", str(listener.fileno()), "--feed", str(feed), "--column", str(column))
            sockets = ("--control", str(state.control_socket), "--longtail", str(state.longtail_socket))
            agents = ("--agents", str(state.agents_socket)) if server.agents else ()
            return (*self._programs.worker, *own, *shared, *sockets, *agents, *tls)

        def agents(feed: int) -> tuple[str, ...]:
            own = ("--feed", str(feed), "--column", str(server.workers + 1), "--socket", str(state.agents_socket))
            return (*self._programs.agents, *own, *shared, "--control", str(state.control_socket))

        def longtail() -> Child:
            command = (*self._programs.longtail, "--socket", str(state.longtail_socket), "--feed")
            return Child(
                "long tail", lambda feed: (*command, str(feed)),
                environment=environment, changed=self._changed.set, relay=self._invalidate,
            )  # fmt: skip

        self._control = Child(
            "control plane", control, environment=keeping, changed=self._changed.set, relay=self._invalidate,
            asked=self._rebuild,
        )  # fmt: skip
        self._workers = [
            Child(
                f"worker {column}",
                lambda feed, column=column: worker(column, feed),  # type: ignore[misc]
                inherit=(listener.fileno(),),
                environment=environment,
                changed=self._changed.set,
                relay=self._invalidate,
            )
            for column in range(1, server.workers + 1)
        ]
        if server.agents:
            self._agents = Child(
                "agents", agents, environment=sealing, changed=self._changed.set, relay=self._invalidate
            )
        self._longtail = longtail
        if self._serving.longtail:
            self._others.append(longtail())
        for child in self._children():
            child.publish(self._serving.snapshot)
        host, port = listener.getsockname()[:2]
        self._url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def _announce(self, warnings: int) -> None:
        serving = self._serving
        if not self._options.quiet and not self._server.json_logs:
            text = banner(
                url=self._url, revision=serving.revision, models=serving.models, workers=len(self._workers),
                state_dir=self._state.path, warnings=warnings, color=sys.stderr.isatty(),
            )  # fmt: skip
            print(text, file=sys.stderr, flush=True)
        log.info("ready at %s", self._url, extra={"revision": serving.revision, "models": serving.models})

    # --- signals

    def _hang_up(self) -> None:
        if self._url and not self._signals:
            self._keep(asyncio.create_task(self.reload()))

    def _terminate(self) -> None:
        self._signals += 1
        self._changed.set()

    def _reap(self) -> None:
        for child in self._children():
            child.reap()
        self._forget()

    def _invalidate(self, message: Invalidate) -> None:
        for child in (*self._workers, *([self._agents] if self._agents else [])):
            child.send(message)

    def _rebuild(self, message: Rebuild) -> None:
        self._keep(asyncio.create_task(self._answer_rebuild(message)))

    async def _answer_rebuild(self, message: Rebuild) -> None:
        done = await self.reload()
        if self._control is not None:
            self._control.send(Rebuilt(message.id, done.ok, done.revision, done.errors))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    # --- reload

    async def reload(self) -> Reload:
        """Build again and publish. One runs at a time; however many ask meanwhile share one that follows."""
        if self._reload_queued is None:
            self._reload_queued = asyncio.create_task(self._reload_after(self._reload_running))
        return await asyncio.shield(self._reload_queued)

    async def _reload_after(self, running: asyncio.Task[Reload] | None) -> Reload:
        if running is not None:
            await asyncio.wait([running])
        self._reload_running, self._reload_queued = self._reload_queued, None
        return await self._reload()

    async def _reload(self) -> Reload:
        result = await self._build()
        errors, warnings = result.errors, result.warnings
        if result.ok and result.snapshot is not None and result.server is not None:
            warnings += restart_needed(self._server, result.server)
            errors = await self._publish(describe(result.snapshot))
        for finding in errors:
            log.error("%s", finding)
        for finding in warnings:
            log.warning("%s", finding)
        revision = self._serving.revision
        if errors:
            log.error("the configuration was not reloaded; revision %s stays", revision)
        else:
            log.info("the configuration was reloaded", extra={"revision": revision})
        return Reload(ok=not errors, revision=revision, errors=errors, warnings=warnings)

    async def _publish(self, new: Serving) -> tuple[Finding, ...]:
        """Give a Snapshot to every process; back to the old one when a worker refuses it."""
        await self._start_longtail(new)
        for child in self._children():
            child.publish(new.snapshot)
        settled = await self._settled(RELOAD_SECONDS)
        refused = [child for child in self._workers if child.refusal]
        if refused:
            for child in self._children():
                child.publish(self._serving.snapshot)
            self._stop_longtail(self._serving)
            return tuple(
                Finding(level=ERROR, message=f"{child.name} refused the configuration: {child.refusal}")
                for child in refused
            )
        self._serving = new
        self._stop_longtail(new)
        if settled:
            return ()
        slow = ", ".join(child.name for child in self._children() if child.behind)
        return (Finding(level=ERROR, message=f"no answer within {RELOAD_SECONDS:g} s from {slow}; still waiting"),)

    async def _start_longtail(self, new: Serving) -> None:
        """Start the process with LiteLLM's SDK when the first deployment needs it."""
        if new.longtail and all(child.stopping for child in self._others):
            child = self._longtail()
            self._others.append(child)
            child.publish(new.snapshot)
            await child.start()

    def _stop_longtail(self, serving: Serving) -> None:
        """Drain it when none does any more: requests under way go by the old configuration."""
        if not serving.longtail:
            for child in self._others:
                child.stop(serving.drain_seconds)
            self._forget()

    def _forget(self) -> None:
        """Let go of what has been drained."""
        self._others = [child for child in self._others if child.running or not child.stopping]

    async def _build(self) -> BuildResult:
        return await build((*self._programs.builder, *self._options.builder_arguments()))

    async def _status(self) -> Status:
        now = time.time()
        return Status(
            pid=os.getpid(),
            url=self._url,
            revision=self._serving.revision,
            started=self._started,
            state_dir=str(self._state.path),
            processes=tuple(
                Process(
                    name=child.name, pid=child.pid, uptime=now - child.started if child.running else 0.0,
                    restarts=child.restarts, revision=child.revision, refusal=child.refusal,
                )
                for child in self._children()
            ),
        )  # fmt: skip

    # --- waiting and stopping

    async def _wait_change(self) -> None:
        """Until something about a process changes, or a signal comes."""
        self._changed.clear()
        await self._changed.wait()

    async def _settled(self, seconds: float, *, starting: bool = False) -> bool:
        """Until every process has answered for its Snapshot; when `starting`, until every worker has served one."""

        def settled() -> bool:
            if starting:
                return bool(self._signals) or all(worker.revision or worker.refusal for worker in self._workers)
            return not any(child.behind for child in self._children())

        deadline = time.monotonic() + seconds
        while not settled():
            try:
                # Not `wait_for`, whose task begins later: what changes until then would not be noticed.
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._wait_change()
            except TimeoutError:
                return settled()
        return True

    async def _stop(self) -> None:
        """Who serves clients first, what they ask next, then the control plane, which takes in the last Events."""
        seconds = self._serving.drain_seconds
        log.info("draining, for %g s at most", seconds)
        serving = [*self._workers, *([self._agents] if self._agents else [])]
        for child in serving:
            child.stop(seconds)
        await self._gone(serving, seconds + 1)
        others = list(self._others)
        for child in others:
            child.stop(OTHERS_DRAIN_SECONDS)
        await self._gone(others, OTHERS_DRAIN_SECONDS + 1)
        if self._control is not None:
            self._control.stop(CONTROL_DRAIN_SECONDS)
            await self._gone([self._control], CONTROL_DRAIN_SECONDS + 1)
        log.info("stopped")

    async def _gone(self, children: list[Child], seconds: float) -> None:
        """Until these have ended; they are killed after `seconds`, or at a second signal."""
        deadline = time.monotonic() + seconds
        while any(child.running for child in children):
            left = deadline - time.monotonic()
            if left <= 0 or self._signals > 1:
                for child in children:
                    if child.running:
                        log.warning("%s did not end in time and is killed", child.name)
                        child.kill()
                left = 1.0
            try:
                async with asyncio.timeout(left):
                    await self._wait_change()
            except TimeoutError:
                self._reap()


def _columns(server: ServerSettings) -> int:
    """Of the shared counters: the control plane's, one a worker, one for the process with MCP."""
    return server.workers + 1 + server.agents
