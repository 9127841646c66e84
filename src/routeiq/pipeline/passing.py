"""A stream passed through to a client of the provider's own dialect, other than OpenAI's chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import GENERATE, MESSAGES
from routeiq.pipeline import settle
from routeiq.pipeline.relay import Relay
from routeiq.providers import errors
from routeiq.providers.dialects.face import Face, Watch
from routeiq.transport.sse import Framer, FrameTooLarge, payload, split

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt


class PassingRelay(Relay):
    """State of one such stream. Events leave as they came, but for the model's name where they tell it."""

    __slots__ = ("_framer", "_last", "_renamed", "_watch")

    def __init__(self, exchange: Exchange, attempt: Attempt, watch: Watch) -> None:
        super().__init__(exchange, attempt, readable=exchange.endpoint in (MESSAGES, GENERATE))
        self._framer = Framer(exchange.plan.snapshot.limits.max_frame)
        self._watch = watch
        self._last: list[bytes] = []
        """The end marker and what comes after it: written after the Event."""
        self._renamed: tuple[bytes, bytes] | None = None

    def feed(self, data: bytes) -> UpstreamError | None:
        exchange, watch = self._exchange, self._watch
        try:
            events = self._framer.feed(data)
        except FrameTooLarge as fault:
            return errors.broken_answer(self._provider, f"an event that does not end: {fault}")
        out: list[bytes] = []
        for raw in split(events):
            if watch.done and not watch.lasting:
                self._last.append(raw)
                continue
            found = payload(raw)
            if found:
                error = self._look(found)
                if error is not None:
                    if out and exchange.began:
                        self._send(b"".join(out))
                    return error
                if self._renamed is not None and b'"model"' in raw:
                    raw = raw.replace(*self._renamed)
            if watch.done and not watch.lasting:
                self._done = True
                self._last.append(raw)
            else:
                out.append(raw)
        if out:
            if not exchange.began:
                self._begin()
            self._send(b"".join(out))
        return None

    def finish(self) -> UpstreamError | None:
        exchange, watch = self._exchange, self._watch
        if not watch.done:
            return errors.broken_answer(self._provider, "a stream that ended before its answer did")
        if not exchange.began:
            self._begin()
        settle.settle(exchange, 200, self._attempt.succeeded())
        exchange.client.end(exchange, b"".join(self._last))
        return None

    def fail(self, error: GatewayError) -> bytes:
        face: Face = self._exchange.face
        return face.error_event(error)

    def _look(self, found: bytes) -> UpstreamError | None:
        exchange, watch = self._exchange, self._watch
        try:
            watch.see(found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None if exchange.began else errors.broken_answer(self._provider, "an event that is not JSON")
        if watch.failed:
            return errors.from_event(found, provider=self._provider)
        self.events += 1
        if watch.usage is not None:
            exchange.usage = watch.usage
        if self._renamed is None and watch.model and watch.model != exchange.public_model:
            shown = b'"model":%b' % msgspec.json.encode(exchange.public_model)
            plain, spaced = (b'"model":%b%b' % (space, msgspec.json.encode(watch.model)) for space in (b"", b" "))
            self._renamed = (spaced if spaced in found else plain, shown)
        return None
