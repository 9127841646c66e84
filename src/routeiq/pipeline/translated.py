"""A stream on its way from a provider of one dialect to a client of another."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.core.exchange import Exchange
from routeiq.pipeline import settle
from routeiq.pipeline.relay import Relay
from routeiq.providers import errors
from routeiq.providers.translate.chat import Delta, Ended, Started, TextDelta, Used
from routeiq.providers.translate.codec import DeltaReader, DeltaWriter

log = logging.getLogger("routeiq.pipeline")

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt


class TranslatedRelay(Relay):
    """State of one translated stream: the provider's reader, the client's writer."""

    __slots__ = ("_reader", "_tail", "deltas", "writer")

    def __init__(self, exchange: Exchange, attempt: Attempt, reader: DeltaReader, writer: DeltaWriter) -> None:
        super().__init__(exchange, attempt, readable=True)
        self._reader = reader
        self.writer = writer
        self._tail = b""
        self.deltas: list[Delta] = []
        """All that was written, where it is kept."""

    def feed(self, data: bytes) -> UpstreamError | None:
        try:
            deltas = self._reader.feed(data)
            if deltas:
                self._write(deltas)
        except UpstreamError as error:
            return error
        except Exception:
            # A fault of ours must end the stream, not leave the client waiting.
            log.exception("an event could not be translated", extra={"call_id": self._exchange.call_id})
            return errors.broken_answer(self._provider, "an event the gateway could not translate")
        return None

    def finish(self) -> UpstreamError | None:
        exchange = self._exchange
        if not self._done:
            try:
                self._write(self._reader.finish())
            except UpstreamError as error:
                return error
        if not self._done:
            return errors.broken_answer(self._provider, "a stream that ended before its answer did")
        settle.settle(exchange, 200, self._attempt.succeeded())
        exchange.client.end(exchange, self._tail)
        return None

    def fail(self, error: GatewayError) -> bytes:
        return self.writer.fail(error)

    def _write(self, deltas: list[Delta]) -> None:
        exchange = self._exchange
        if self.kept is not None:
            self.deltas += deltas
        out = b""
        for delta in deltas:
            if isinstance(delta, TextDelta):
                self.events += 1
            elif isinstance(delta, Started):
                delta.id = delta.id or exchange.call_id
                delta.created = delta.created or exchange.at // 1_000_000
                exchange.usage = delta.usage
                if not exchange.began:
                    self._begin()
            elif isinstance(delta, Used):
                exchange.usage = delta.usage
            elif isinstance(delta, Ended):
                self._done = True
                self._tail = self.writer.write(delta)  # written at the very end, after the Event
                break
            else:
                self.events += 1
            out += self.writer.write(delta)
        if out:
            exchange.client.write(exchange, out)
