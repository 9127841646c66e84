"""The worker: connections in, requests to the pipeline or to the process that owns them."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import RESPONSES, Limits, Snapshot, Timeouts
from routeiq.core.usage import Usage
from routeiq.governance.keys import Caller
from routeiq.governance.reserving import late
from routeiq.observe import metrics
from routeiq.pipeline import background, stages
from routeiq.pipeline.answer import error_head
from routeiq.pipeline.plan import Plan, Route
from routeiq.pipeline.services import Services
from routeiq.pipeline.settle import abandon, check_room, settle
from routeiq.process.heads import Heads, Request
from routeiq.process.http import ClientConnection
from routeiq.providers.dialects.responses import ResponsesRequest
from routeiq.transport.pool import Origin
from routeiq.worker import explain, local
from routeiq.worker.engines import Engines
from routeiq.worker.lessons import Lessons
from routeiq.worker.relay import relay
from routeiq.worker.responses import ResponseAnswer, matched
from routeiq.worker.routes import HOT, LOCAL, deployment_route, gemini_route, with_query_key

SWEEP_SECONDS = 0.05
"""How often deadlines of calls are looked at, and so how exact time-outs are."""
TIDY_SECONDS = 1.0
CUT_TURNS = 200
"""How often the end of a drain waits 5 ms for cut connections to go."""
MAX_REQUEST_ID = 128


class Served(Exchange, eq=False):
    """An exchange that can be told about its client."""

    def client_gone(self) -> None:
        """Cancel the provider's work and account for what was used."""
        abandon(self)

    def client_slow(self) -> None:
        """Stop reading from the provider."""
        if self.attempt is not None:
            self.attempt.pause()

    def client_ready(self) -> None:
        """Read on."""
        if self.attempt is not None:
            self.attempt.resume()


class Worker:
    """State of one worker process. `plan` is swapped between two requests and never changed."""

    def __init__(self, services: Services, snapshot: Snapshot, control: Origin, agents: Origin | None = None) -> None:
        """`control` and `agents` are the processes that own what is not served here."""
        self.services = services
        self.control = control
        self.agents = services.agents = agents
        self.outbox = services.outbox
        self.heads = Heads()
        self.draining = False
        self.connections: set[ClientConnection] = set()
        self._loop = services.loop
        self.now: Callable[[], float] = services.now
        self._id_prefix = os.urandom(6).hex()
        self._count = 0
        self.plan: Plan = stages.compile_plan(snapshot, services)
        self.limits: Limits = snapshot.limits
        self.timeouts: Timeouts = snapshot.timeouts
        self._tidied = 0.0
        self._engines = Engines(services)
        self._engines.adopt(snapshot)
        self._lessons = Lessons(services, control)
        self._lessons.adopt(self.plan)

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve by a new Snapshot from the next request on. Raises, and changes nothing, when it can't be served."""
        self.plan = stages.compile_plan(snapshot, self.services)
        self.limits = snapshot.limits
        self.timeouts = snapshot.timeouts
        self.heads.clear()
        self._engines.adopt(snapshot)
        self._lessons.adopt(self.plan)

    # connections

    def opened(self, connection: ClientConnection) -> None:
        """A client connected; above the limit it is closed at once."""
        self.connections.add(connection)
        if len(self.connections) > self.limits.max_connections:
            self.services.meters.count(metrics.REFUSED, kind="connections")
            connection.close()

    def closed(self, connection: ClientConnection) -> None:
        """A client is gone."""
        self.connections.discard(connection)

    def soon(self, callback: Callable[[], None]) -> None:
        """Run in the next turn of the loop."""
        self._loop.call_soon(callback)

    # requests

    def serve(self, connection: ClientConnection, request: Request) -> None:
        """Route one request."""
        endpoint = HOT.get(request.path)
        if endpoint is not None:
            if request.method == b"POST":
                self._hot(connection, request, endpoint, None)
            else:
                self._refuse(connection, _not_allowed(b"POST"))
            return
        if request.method == b"POST" and self._by_path(connection, request):
            return
        handler = local.handler(request.path, LOCAL)
        if handler is not None:
            if handler in ("models", "model"):
                request.fields = with_query_key(request.fields, request.query)
            if request.method in (b"GET", b"HEAD"):
                local.Answer(self, connection, request).run(handler)
            else:
                self._refuse(connection, _not_allowed(b"GET"))
            return
        if request.path == explain.PATH:
            if request.method == b"POST":
                explain.Explanation(self, connection, request).run("explain")
            else:
                self._refuse(connection, _not_allowed(b"POST"))
            return
        response = matched(request.method, request.path)
        if response is not None:
            ResponseAnswer(self, connection, request, response).run("response")
            return
        relay(self, connection, request)

    def _by_path(self, connection: ClientConnection, request: Request) -> bool:
        """Serve a request whose path names the model; False when it does not."""
        stream = False
        found = deployment_route(request.path)
        if found is not None:
            endpoint, model = found
        else:
            gemini = gemini_route(request.path, request.query)
            if gemini is None:
                return False
            endpoint, model, stream = gemini
            request.fields = with_query_key(request.fields, request.query)
        try:
            name = unquote_to_bytes(model).decode()
        except UnicodeDecodeError:
            self._refuse(connection, BadRequest("The model in the path is not valid UTF-8.", param="model"))
        else:
            self._hot(connection, request, endpoint, name, stream)
        return True

    def _hot(
        self,
        connection: ClientConnection,
        request: Request,
        endpoint: str,
        path_model: str | None,
        stream: bool = False,
    ) -> None:
        services = self.services
        plan = self.plan
        self._count += 1
        headers = request.fields
        exchange = Served(
            plan,
            connection,
            endpoint,
            headers,
            request.body,
            self.now(),
            time.time_ns() // 1000,
            f"{self._id_prefix}-{self._count:x}",
            path_model,
            stream,
        )
        connection.serving = exchange
        connection.deadline = math.inf
        client_id = headers.get(b"x-request-id")
        if client_id is not None and len(client_id) <= MAX_REQUEST_ID and client_id.isascii():
            exchange.request_id = client_id
        if services.in_flight >= self.limits.max_in_flight or services.journal.full:
            try:
                check_room(plan)
            except GatewayError as error:
                services.meters.count(metrics.REFUSED, kind=error.kind)
                self._refuse(connection, error, exchange)
                return
        services.in_flight += 1
        services.requests += 1
        stages.run(exchange)

    def _refuse(self, connection: ClientConnection, error: GatewayError, exchange: Served | None = None) -> None:
        if exchange is None:
            exchange = Served(self.plan, connection, "", {}, b"", 0.0, 0, "", None)
            exchange.settled = True
            connection.serve_as(exchange)
            connection.respond(exchange, error_head(None, error), error.body())
            return
        exchange.settled = True
        connection.respond(exchange, error_head(exchange, error), error.body())

    def account(self, connection: ClientConnection, caller: Caller, route: Route, model: str, usage: Usage) -> None:
        """Account for an answer that was given in the background, and is seen by this request."""
        services, plan = self.services, self.plan
        self._count += 1
        exchange = Served(
            plan,
            connection,
            RESPONSES,
            {},
            b"",
            self.now(),
            time.time_ns() // 1000,
            f"{self._id_prefix}-{self._count:x}",
        )
        exchange.key, exchange.route, exchange.usage = caller, route, usage
        exchange.peek = ResponsesRequest(model=Raw(msgspec.json.encode(model)))
        exchange.model = exchange.public_model = model
        exchange.group = plan.resolve(model) or plan.groups[route.target.spec.group]
        exchange.upstream_model = plan.upstream_model(route, model)[0]
        if caller.limited:
            # What asked for it was counted as a request then; tokens and cost are known now.
            exchange.reservation = late(caller.accounts_for(model))
        services.in_flight += 1
        settle(exchange, 200, self.now())

    # time

    def tick(self) -> None:
        """Look at deadlines; runs every `SWEEP_SECONDS` for as long as the worker lives."""
        self._loop.call_later(SWEEP_SECONDS, self.tick)  # first: a fault below must not end all deadlines
        now = self.now()
        self.services.sweep(now)
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            for connection in [one for one in self.connections if one.deadline < now]:
                connection.late()
            self.services.meters.set_gauge(metrics.CONNECTIONS, len(self.connections))
            self.services.tidy(now)
            self._engines.tick(now)
            self._lessons.tick(now)

    async def drain(self, server: asyncio.Server, seconds: float, notice: float) -> bool:
        """Finish: readiness turns 503, then (after `notice` seconds) no new connections, then wait for the answers.

        Returns whether everything was finished within `seconds`.
        """
        self.draining = True
        end = self.now() + seconds
        if notice:
            await asyncio.sleep(min(notice, seconds))
        server.close()
        while self.now() < end:
            for connection in list(self.connections):
                connection.close_when_idle()
            if not self.services.in_flight and not self.connections and not self.services.background:
                break
            await asyncio.sleep(0.02)
        finished = not self.services.in_flight and not self.services.background
        background.stop_all(self.services)
        self.outbox.flush()
        for connection in list(self.connections):
            connection.cut()
        for _ in range(CUT_TURNS):
            if not self.connections:
                break
            await asyncio.sleep(0.005)  # each settles what it was serving as it goes
        self.services.tidy(self.now())
        self.services.pool.close()
        self.services.journal.close()
        return finished


def _not_allowed(methods: bytes) -> GatewayError:
    return BadRequest(
        f"This endpoint takes {methods.decode()} only.",
        status=405,
        code="method_not_allowed",
        headers=b"Allow: %b\r\n" % methods,
    )
