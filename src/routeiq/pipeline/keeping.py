"""Keeps an answer of Responses on its way to the client.

The answer's last part, a whole body or the terminal event, waits until the control plane has the response, so that a
client which goes on at once finds it. Where that takes too long the answer goes out all the same: it has been paid for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
from msgspec import Raw

from routeiq.core.errors import GatewayError
from routeiq.core.exchange import Client, Exchange
from routeiq.core.responses import KeptResponse
from routeiq.pipeline.services import ResponseStore, Services
from routeiq.providers.dialects.responses import decode_response
from routeiq.providers.translate.responses.kept import final_response, first_response, own_items

log = logging.getLogger("routeiq.pipeline")


class Keeping:
    """`core.exchange.Client` in front of the client's connection."""

    __slots__ = ("_asked", "_begun", "_client", "_store")

    def __init__(self, client: Client, store: ResponseStore, asked: bytes) -> None:
        """`asked`: the request as its client sent it."""
        self._client = client
        self._store = store
        self._asked = asked
        self._begun: asyncio.Task[None] | None = None
        """Tells the control plane of a background response that is streamed."""

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Keep a whole answer, then send it; errors are not kept."""
        if exchange.error is not None:
            self._client.respond(exchange, head, body)
        else:
            self._keep(exchange, body, lambda: self._client.respond(exchange, head, body))

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Passed on."""
        self._client.begin(exchange, head)

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Passed on. What a provider goes on with when its client leaves is noted as soon as its id is known."""
        if exchange.thread.background and self._begun is None:
            response = first_response(data)
            if response is not None:
                self._begun = self._keep(exchange, response, _nothing)
        self._client.write(exchange, data)

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """Keep what the terminal event tells, then send it."""
        response = final_response(data)
        if response is None:
            self._client.end(exchange, data)
        else:
            self._keep(exchange, response, lambda: self._client.end(exchange, data))

    def abort(self, exchange: Exchange) -> None:
        """Passed on."""
        self._client.abort(exchange)

    def _keep(self, exchange: Exchange, response: bytes, send: Callable[[], None]) -> asyncio.Task[None]:
        services: Services = exchange.plan.services
        services.outbox.commit()  # the Event does not wait
        return services.start(self._put(exchange, response, send))

    async def _put(self, exchange: Exchange, response: bytes, send: Callable[[], None]) -> None:
        try:
            if self._begun is not None and self._begun is not asyncio.current_task():
                await self._begun  # first things first
            kept = self._kept(exchange, response)
            if kept is not None:
                await self._store.put(kept)
        except GatewayError as error:
            log.warning("a response was not kept: %s", error.message, extra={"call_id": exchange.call_id})
        except Exception:
            log.exception("a response could not be kept", extra={"call_id": exchange.call_id})
        finally:
            send()

    def _kept(self, exchange: Exchange, response: bytes) -> KeptResponse | None:
        """All of it; of what the provider keeps only where that is."""
        try:
            shown = decode_response(response)
        except msgspec.DecodeError:
            return None
        if not shown.id:
            return None
        thread = exchange.thread
        kept = KeptResponse(
            id=shown.id,
            owner=exchange.key.key.id,
            status=shown.status or "completed",
            model=exchange.public_model,
            previous=thread.previous,
            background=thread.background,
        )
        if shown.id != thread.id and shown.store is not False:
            kept.deployment = exchange.route.label
        else:
            kept.input = Raw(own_items(self._asked, shown.id))
            kept.response = Raw(response)
        return kept


def _nothing() -> None:
    return
