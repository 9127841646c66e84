"""Requests an exchange makes of its own, under its caller's key: each goes through the stages and leaves its Event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import CHAT
from routeiq.core.usage import Usage
from routeiq.pipeline import settle
from routeiq.providers.dialects.faces import FACES

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Plan
    from routeiq.pipeline.services import Services


class Question:
    """`core.exchange.Client` of one such request: waits for its answer, or passes its stream on."""

    __slots__ = ("body", "done", "on_data")

    def __init__(self, on_data: Callable[[bytes], None] | None = None) -> None:
        """`on_data` gets a stream's pieces, where one was asked for."""
        self.done = asyncio.Event()
        self.body = b""
        self.on_data = on_data

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """The answer, or the error, which is on the exchange."""
        self.body = body
        exchange.plan.services.outbox.commit()
        self.done.set()

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Its head is nothing the client is told."""

    def write(self, exchange: Exchange, data: bytes) -> None:
        """A piece of a stream."""
        if self.on_data is not None:
            self.on_data(data)

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """Its last piece; what tells an error is on the exchange."""
        if exchange.error is None:
            self.write(exchange, data)
        exchange.plan.services.outbox.commit()
        self.done.set()

    def abort(self, exchange: Exchange) -> None:
        """Nobody waits any more."""
        self.done.set()


class Asking:
    """What one exchange asks, and what all of it used and cost."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._numbers = count(1)
        self._open: set[Exchange] = set()
        self.usage = Usage(0, 0)
        self.cost = 0
        """Nano-dollars."""

    def make(self, question: Question, body: bytes, model: str) -> Exchange:
        """A request of Chat Completions for a public name. Who asks sets its group, and the stage it begins at."""
        outer = self._exchange
        services: Services = outer.plan.services
        inner = Exchange(
            outer.plan, question, CHAT, outer.headers, body, services.now(), int(services.wall() * 1e6),
            f"{outer.call_id}.{next(self._numbers)}",
        )  # fmt: skip
        inner.key, inner.auto, inner.query = outer.key, outer.auto, outer.query
        inner.end_user, inner.run_id, inner.request_tags = outer.end_user, outer.run_id, outer.request_tags
        inner.request_id = outer.call_id.encode()
        inner.face = FACES[CHAT]
        inner.peek = inner.face.peek(inner.body)
        inner.model = inner.public_model = model
        return inner

    async def run(self, inner: Exchange, question: Question) -> bytes:
        """Take it to its end; the body of its answer. Raises `GatewayError`."""
        plan: Plan = inner.plan
        services = plan.services
        services.in_flight += 1
        services.requests += 1
        self._open.add(inner)
        try:
            plan.resume(inner)
            await question.done.wait()
        except asyncio.CancelledError:
            settle.abandon(inner)
            raise
        finally:
            self._open.discard(inner)
        if inner.usage is not None:
            self.usage.prompt += inner.usage.prompt
            self.usage.completion += inner.usage.completion
            self.usage.cached += inner.usage.cached
            self.usage.reasoning += inner.usage.reasoning
        self.cost += inner.cost or 0
        if inner.error is not None:
            raise inner.error
        return question.body

    def drop(self) -> None:
        """Let nobody go on working for it."""
        for inner in list(self._open):
            settle.abandon(inner)

    def pause(self) -> None:
        """The client reads slower than it is sent to."""
        for inner in self._open:
            if inner.attempt is not None:
                inner.attempt.pause()

    def resume(self) -> None:
        """It has caught up."""
        for inner in self._open:
            if inner.attempt is not None:
                inner.attempt.resume()
