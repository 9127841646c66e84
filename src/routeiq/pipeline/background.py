"""Responses in the background, for providers that have no such mode: the worker runs them after it has answered.

    admitted, sent ──► kept as in progress ──► client told `queued` ──► answer or error kept
                                          └─ cancelled or deleted ──► the provider's work is cancelled

A worker tells the control plane every few seconds which responses it is at, and learns which nobody wants any more.
Of a worker that dies nothing is heard, and its responses count as failed.

https://platform.openai.com/docs/guides/background
"""

from __future__ import annotations

import asyncio
import logging

from msgspec import Raw

from routeiq.core.errors import BadRequest, GatewayError, LimitExceeded
from routeiq.core.exchange import Exchange
from routeiq.core.responses import ALIVE_SECONDS, DEAD_SECONDS, FAILED, QUEUED, RUNNING, KeptResponse
from routeiq.core.snapshot import RESPONSES
from routeiq.pipeline.answer import error_head
from routeiq.pipeline.services import ResponseStore, Services
from routeiq.pipeline.settle import abandon
from routeiq.providers.dialects.responses import ResponsesRequest, decode_recalled, decode_response
from routeiq.providers.translate.chat import Chat
from routeiq.providers.translate.registry import CHAT_CLIENTS
from routeiq.providers.translate.responses.kept import as_background, detached, own_items, under_way

log = logging.getLogger("routeiq.pipeline")

_AGAIN_SECONDS = 1.0
"""Between two attempts to keep an answer."""


class Running:
    """`core.exchange.Client` of a response in the background: waits for its answer."""

    __slots__ = ("body", "done", "exchange", "head", "kept")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.done = asyncio.Event()
        self.kept = False
        """Whether the control plane knows of it."""
        self.head = b""
        self.body = b""

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """The answer, or the error."""
        self.head, self.body = head, body
        exchange.plan.services.outbox.commit()
        self.done.set()

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Nothing is asked for as a stream."""

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Nothing is asked for as a stream."""

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """Nothing is asked for as a stream."""

    def abort(self, exchange: Exchange) -> None:
        """Nobody wants it any more."""
        abandon(exchange)
        self.done.set()


async def run(exchange: Exchange, store: ResponseStore, asked: bytes) -> None:
    """Answer the client, then wait for the provider. `asked` is the request as it came. Raises `GatewayError`."""
    services: Services = exchange.plan.services
    thread = exchange.thread
    _check(exchange)
    client = exchange.client
    exchange.body = detached(exchange.body)
    exchange.peek = decode_recalled(exchange.body)
    # Before the client is another: what can't be read is the client's to know.
    exchange.asked = CHAT_CLIENTS[RESPONSES].read(exchange.body)
    exchange.asked.thread = thread
    exchange.stream = False
    running = exchange.client = services.background[thread.id] = Running(exchange)
    try:
        exchange.plan.resume(exchange)
        if exchange.error is not None:
            client.respond(exchange, running.head, running.body)
            return
        chat: Chat = exchange.asked
        created = exchange.at // 1_000_000
        kept = KeptResponse(
            id=thread.id,
            owner=exchange.key.key.id,
            status=RUNNING,
            model=exchange.model,
            previous=thread.previous,
            background=True,
            input=Raw(own_items(asked, thread.id)),
            response=Raw(under_way(chat, exchange.model, created, RUNNING)),
        )
        try:
            await store.put(kept)
        except Exception as failure:
            error = failure if isinstance(failure, GatewayError) else GatewayError("The response could not be kept.")
            if error is not failure:
                log.exception("a background response could not be kept", extra={"call_id": exchange.call_id})
            running.abort(exchange)
            client.respond(exchange, error_head(exchange, error), error.body())
            return
        if exchange.settled and not running.done.is_set():
            await store.remove(kept.owner, kept.id)  # the client left before it was told the id
            return
        running.kept = True
        _tell_alive(services, store)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: %b\r\nx-litellm-call-id: %b\r\n"
        call_id = exchange.call_id.encode()
        client.respond(
            exchange,
            head % (exchange.request_id or call_id, call_id),
            under_way(chat, exchange.model, created, QUEUED),
        )
        if exchange.attempt is not None:
            exchange.attempt.resume()  # whatever its connection had no room for does not hold it back any more
        await running.done.wait()
        if running.body:
            await _keep_end(exchange, store, kept, _end(exchange, running, chat, created))
    finally:
        del services.background[thread.id]


def stop(services: Services, ident: str) -> None:
    """Give up one that this worker runs: the provider's work is cancelled and accounted for."""
    running = services.background.get(ident)
    if running is not None and not running.done.is_set():
        running.abort(running.exchange)


def stop_all(services: Services) -> None:
    """Give up all of them: the process ends."""
    for ident in list(services.background):
        stop(services, ident)


def _check(exchange: Exchange) -> None:
    request: ResponsesRequest = exchange.peek
    if exchange.stream:
        raise BadRequest(
            "A background response of this model can't be streamed: ask without stream, and get it by its id.",
            param="stream",
            code="unsupported_parameter",
        )
    if request.store is False:
        raise BadRequest("A background response has to be stored.", param="store", code="unsupported_parameter")
    most = exchange.plan.snapshot.responses.max_background
    if len(exchange.plan.services.background) >= most:
        raise LimitExceeded(
            f"A worker runs {most} responses in the background at once, and this one does. "
            "Ask again, or raise routeiq.responses.max_background.",
            code="too_many_background_responses",
            retry_after=5.0,
        )


def _end(exchange: Exchange, running: Running, chat: Chat, created: int) -> bytes:
    """The response as it ended."""
    if exchange.error is None:
        return as_background(running.body, chat, created)
    return under_way(chat, exchange.model, created, FAILED, exchange.error)


async def _keep_end(exchange: Exchange, store: ResponseStore, kept: KeptResponse, response: bytes) -> None:
    """Keep the end, over a restart of the control plane too; what was cancelled stays so."""
    kept.status = decode_response(response).status or "completed"
    kept.response = Raw(response)
    for _ in range(int(DEAD_SECONDS / _AGAIN_SECONDS)):
        try:
            await store.put(kept)
            return
        except GatewayError as error:
            failure = error.message
            await asyncio.sleep(_AGAIN_SECONDS)
    log.error("a background response was lost: %s", failure, extra={"call_id": exchange.call_id})


def _tell_alive(services: Services, store: ResponseStore) -> None:
    """See to it that the control plane hears of what runs here."""
    if services.alive is None or services.alive.done():
        services.alive = services.loop.create_task(_alive(services, store))


async def _alive(services: Services, store: ResponseStore) -> None:
    while services.background:
        await asyncio.sleep(ALIVE_SECONDS)
        here = [(running.exchange.key.key.id, ident) for ident, running in services.background.items() if running.kept]
        if not here:
            continue
        try:
            ended = await store.alive(here)
        except GatewayError:
            continue  # it is told again in a moment
        for ident in ended:
            stop(services, ident)
