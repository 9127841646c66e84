"""The host of the process's connections: each request goes to the face that owns its path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from routeiq.agents.responder import Responder
from routeiq.core.errors import GatewayError, UnknownPath
from routeiq.core.snapshot import Snapshot
from routeiq.pipeline import stages
from routeiq.pipeline.services import Services
from routeiq.process.heads import Heads, Request
from routeiq.process.http import ClientConnection

TIDY_SECONDS = 1.0

Handler = Callable[[Request, Responder], Awaitable[None]]

log = logging.getLogger("routeiq.agents")


class Face(Protocol):
    """A protocol, as this process serves it."""

    def find(self, request: Request) -> Handler | None:
        """What answers a request, when its path is this face's."""

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve by a new Snapshot. Raises when it can't."""

    def tidy(self, now: float) -> None:
        """What is due about once a second. `now` is monotonic."""

    async def close(self) -> None:
        """End what has no end by itself: streams, sessions, processes."""


class Agents:
    """State of the process; `process.http.Host` of its connections, which are the workers'."""

    def __init__(
        self, services: Services, snapshot: Snapshot, state: Path, secret: str, faces: Callable[[Agents], list[Face]]
    ) -> None:
        """`state` is the state directory, `secret` what secrets are kept under in it."""
        self.services = services
        self.snapshot = snapshot
        self.state = state
        self.secret = secret
        self.outbox = services.outbox
        self.heads = Heads()
        self.draining = False
        self.now: Callable[[], float] = services.now
        self.limits = snapshot.limits
        self.timeouts = snapshot.timeouts
        self.connections: set[ClientConnection] = set()
        self.working: set[asyncio.Task[None]] = set()
        stages.take(snapshot, services)
        self.faces = faces(self)

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve by a new Snapshot from the next request on. Raises, and changes little, when it can't be served."""
        for face in self.faces:
            face.adopt(snapshot)
        stages.take(snapshot, self.services)
        self.snapshot = snapshot
        self.limits = snapshot.limits
        self.timeouts = snapshot.timeouts
        self.heads.clear()

    def opened(self, connection: ClientConnection) -> None:
        """A worker connected."""
        self.connections.add(connection)

    def closed(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)

    def soon(self, callback: Callable[[], None]) -> None:
        """Run in the next turn of the loop."""
        self.services.loop.call_soon(callback)

    def serve(self, connection: ClientConnection, request: Request) -> None:
        """Route one request."""
        responder = Responder(connection)
        for face in self.faces:
            handler = face.find(request)
            if handler is not None:
                task = self.services.loop.create_task(self._answer(handler, request, responder))
                responder.task = task
                self.working.add(task)
                task.add_done_callback(self.working.discard)
                return
        responder.refuse(UnknownPath(f"There is no {request.path.decode('latin-1')[:200]} here."))

    async def _answer(self, handler: Handler, request: Request, responder: Responder) -> None:
        try:
            await handler(request, responder)
        except GatewayError as error:
            responder.refuse(error)
        except Exception:
            log.exception("a request could not be answered")
            if responder.began:
                responder.abort()
            else:
                responder.refuse(GatewayError("The gateway failed to handle this request.", code="internal_error"))

    def tick(self) -> None:
        """What is due about once a second, for as long as the process lives."""
        self.services.loop.call_later(TIDY_SECONDS, self.tick)  # first: a fault below must not end it
        now = self.now()
        for connection in [one for one in self.connections if one.deadline < now]:
            connection.late()
        self.services.tidy(now)
        for face in self.faces:
            face.tidy(now)

    async def drain(self, server: asyncio.Server, seconds: float) -> bool:
        """Finish what is under way; whether everything was finished within `seconds`."""
        self.draining = True
        end = self.now() + seconds
        for face in self.faces:
            await face.close()
        if self.working:
            await asyncio.wait(self.working, timeout=max(0.0, end - self.now()))
        finished = not self.working
        server.close()
        for task in list(self.working):
            task.cancel()
        if self.working:
            await asyncio.wait(self.working, timeout=1.0)
        self.outbox.flush()
        for connection in list(self.connections):
            connection.close_when_idle()
        self.services.tidy(self.now())
        self.services.pool.close()
        self.services.journal.close()
        return finished
