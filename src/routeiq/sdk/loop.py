"""The data plane inside another program: one thread with an event loop that runs the pipeline."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import threading
import time
from pathlib import Path

import uvloop

from routeiq.core.counters import CounterTable
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Journal, Snapshot
from routeiq.governance.directory import Nobody
from routeiq.ledger.event import Event
from routeiq.pipeline import stages
from routeiq.pipeline.assembly import assemble
from routeiq.pipeline.plan import Plan
from routeiq.pipeline.services import Services
from routeiq.pipeline.settle import check_room
from routeiq.sdk.call import Call
from routeiq.sdk.credentials import DirectCredentials
from routeiq.sdk.errors import APIConnectionError
from routeiq.sdk.longtail import Libraries
from routeiq.transport.pool import Pool

SWEEP_SECONDS = 0.05
"""How often deadlines of calls are looked at, and so how exact time-outs are."""
TIDY_SECONDS = 1.0
MOST_PLANS = 2000
"""Configurations served before the state kept for them (health, counts, connections) is made anew."""
COUNTERS = 262_144
STOP_SECONDS = 5.0


class _Unkept:
    """`ledger.journal.EventSink` of a program that keeps its own accounts."""

    def __init__(self) -> None:
        self.limits = Journal()
        self.full = False

    def append(self, event: Event) -> None:
        """Nothing is kept."""

    def append_line(self, line: bytes) -> None:
        """Nothing is kept."""

    def flush(self) -> int:
        """Nothing is lost."""
        return 0

    def check(self) -> None:
        """There is always room."""

    def close(self) -> None:
        """Nothing is held."""


class Loop:
    """A running data plane. `submit` and `stop` may be called in any thread; the rest happens in its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="routeiq", daemon=True)
        self._services: list[Services] = []
        """The newest last; older ones until their last request is done."""
        self._plans: dict[str, Plan] = {}
        self._calls: set[Call] = set()
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._fast = False
        self._tidied = 0.0
        self._stopping = False
        self._thread.start()

    def submit(self, call: Call, snapshot: Snapshot) -> None:
        """Begin a call. Its future tells how it ends."""
        try:
            self._loop.call_soon_threadsafe(self._begin, call, snapshot)
        except RuntimeError:
            raise APIConnectionError("RouteIQ's event loop has ended.") from None

    def stop(self) -> None:
        """End every call and the thread. In a forked child, where there is no such thread, nothing happens."""
        if self.pid != os.getpid():
            return
        try:
            self._loop.call_soon_threadsafe(self._shut)
        except RuntimeError:
            return  # it has been stopped before
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_SECONDS)

    # in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    def _shut(self) -> None:
        self._stopping = True
        for call in list(self._calls):
            call.cut("RouteIQ was closed before the answer was complete.")
        for services in self._services:
            services.pool.close()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.call_soon(self._loop.stop)

    def _begin(self, call: Call, snapshot: Snapshot) -> None:
        if self._stopping:
            call.fail(APIConnectionError("RouteIQ was closed."))
            return
        self._calls.add(call)
        call.done = self._calls.discard
        try:
            plan = self._plan(snapshot)
            check_room(plan)
        except Exception as error:
            call.refuse(error)
            return
        services = plan.services
        exchange = Exchange(
            plan,
            call,
            call.endpoint,
            {},
            call.body,
            services.now(),
            time.time_ns() // 1000,
            f"{self._prefix}-{next(self._numbers):x}",
        )
        call.bind(exchange, self._loop)
        services.in_flight += 1
        services.requests += 1
        self._hurry()
        stages.run(exchange)

    def _plan(self, snapshot: Snapshot) -> Plan:
        """The plan of a revision, made when it is new. Raises what `compile_plan` does."""
        plan = self._plans.get(snapshot.revision)
        if plan is None:
            if not self._services or len(self._plans) >= MOST_PLANS:
                self._services.append(self._assemble(snapshot))
                self._plans.clear()
            plan = self._plans[snapshot.revision] = stages.compile_plan(snapshot, self._services[-1])
        return plan

    def _assemble(self, snapshot: Snapshot) -> Services:
        def sources(_: Pool) -> tuple[Nobody, DirectCredentials, None]:
            return Nobody(), DirectCredentials(), None

        with tempfile.TemporaryDirectory(prefix="routeiq-") as directory:
            # Mapped, and gone from the directory: nobody else counts here.
            table = CounterTable(Path(directory), column=0, columns=1, capacity=COUNTERS)
        services = assemble(self._loop, table, _Unkept(), snapshot, worker=0, sources=sources)
        services.library = Libraries(self._loop, services.library)
        return services

    def _hurry(self) -> None:
        """Look at deadlines from now on."""
        if self._timer is None or not self._fast:
            if self._timer is not None:
                self._timer.cancel()
            self._fast = True
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._tick)

    def _tick(self) -> None:
        """Often while something is under way, once a second while connections are kept, not at all when idle."""
        self._timer = None
        now = time.monotonic()
        for services in self._services:
            services.sweep(now)
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            for services in self._services:
                services.tidy(now)
        for services in self._services[:-1]:
            if not services.in_flight:
                services.pool.close()
                services.table.close()
                self._services.remove(services)
        self._fast = any(services.in_flight for services in self._services)
        if self._fast or any(sum(services.pool.open_connections().values()) for services in self._services):
            self._timer = self._loop.call_later(SWEEP_SECONDS if self._fast else TIDY_SECONDS, self._tick)
