"""A stream on its way from the provider to the client, event by event.

Events are passed on as they came. Three things are looked for: the usage (which is hidden from a client that did not
ask for it), an error, and the terminal marker, without which the end of the connection is a failure and not success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import CHAT
from routeiq.pipeline import answer, settle
from routeiq.providers import errors
from routeiq.providers.dialects import openai
from routeiq.providers.dialects.splice import model_member
from routeiq.transport.sse import DONE, Framer, FrameTooLarge, payload, split

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt

_NO_USAGE = (b":null", b": null")
_NAMELESS = 4
"""Events after which a stream that names no model is taken to name none."""


class Relay:
    """A stream on its way to the client: what all have in common."""

    __slots__ = ("_attempt", "_done", "_exchange", "_provider", "events", "kept")

    def __init__(self, exchange: Exchange, attempt: Attempt, *, readable: bool) -> None:
        """`readable`: whether another deployment could be told what this one has said."""
        self._exchange = exchange
        self._attempt = attempt
        self._provider = attempt.route.target.spec.provider
        self._done = False
        self.events = 0
        """Events relayed: about one token each, for the estimate when no usage comes."""
        self.kept: list[bytes] | None = [] if readable and exchange.plan.snapshot.resilience.stream_failover else None
        """What the client was sent, for another deployment to go on from."""

    def feed(self, data: bytes) -> UpstreamError | None:
        """Relay what is complete. Returns the error that ends the stream, if there is one."""
        raise NotImplementedError

    def ended(self) -> bool:
        """Whether the terminal marker has come: nothing that happens after it matters."""
        return self._done

    def finish(self) -> UpstreamError | None:
        """The provider closed the stream."""
        raise NotImplementedError

    def fail(self, error: GatewayError) -> bytes:
        """The events that tell the client of an error, and end its stream."""
        raise NotImplementedError

    def _send(self, data: bytes) -> None:
        if self.kept is not None:
            self.kept.append(data)
        self._exchange.client.write(self._exchange, data)

    def _begin(self) -> None:
        exchange = self._exchange
        exchange.began = True
        exchange.client.begin(
            exchange,
            answer.stream_head(
                exchange, self._attempt.route, self._attempt.provider_headers(), continuable=self.kept is not None
            ),
        )


class ChunkRelay(Relay):
    """State of one stream of OpenAI's chunks."""

    __slots__ = ("_framer", "_hide_usage", "_learned", "_new", "_old")

    def __init__(self, exchange: Exchange, attempt: Attempt) -> None:
        super().__init__(exchange, attempt, readable=exchange.endpoint == CHAT)
        self._framer = Framer(exchange.plan.snapshot.limits.max_frame)
        self._hide_usage = not openai.wants_usage(exchange.peek)
        self._learned = False
        self._old = b""
        self._new = b""

    def feed(self, data: bytes) -> UpstreamError | None:
        try:
            events = self._framer.feed(data)
        except FrameTooLarge as error:
            return errors.broken_answer(self._provider, f"an event that does not end: {error}")
        if not events:
            return None
        if not events.isascii():
            try:
                events.decode()  # a client could not read what is not UTF-8
            except UnicodeDecodeError:
                return errors.broken_answer(self._provider, "an event that is not UTF-8")
        if not self._learned or self._is_special(events):
            return self._careful(events)
        self.events += events.count(b"\n\n") or 1
        if self._old:
            events = events.replace(self._old, self._new)
        self._send(events)
        return None

    def finish(self) -> UpstreamError | None:
        exchange = self._exchange
        if not self._done and payload(self._framer.rest()).strip() == b"[DONE]":
            self._done = True  # a last event without its blank line
        if not self._done:
            return errors.broken_answer(self._provider, "a stream that ended without its terminal marker")
        if not exchange.began:
            self._begin()
        settle.settle(exchange, 200, self._attempt.succeeded())
        exchange.client.end(exchange, DONE)
        return None

    def fail(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % error.body()

    def _is_special(self, events: bytes) -> bool:
        at = events.find(b'"usage"')
        if at >= 0 and (not events.startswith(_NO_USAGE, at + 7) or events.find(b'"usage"', at + 7) >= 0):
            return True
        return b"[DONE]" in events or b'"error"' in events

    def _careful(self, events: bytes) -> UpstreamError | None:
        """Event by event, decoding each."""
        exchange = self._exchange
        out: list[bytes] = []
        for raw in split(events):
            data = payload(raw)
            if data.strip() == b"[DONE]":
                self._done = True  # written at the very end, after the Event
                break
            if not data:
                out.append(raw)  # a comment: some providers keep the connection warm with them
                continue
            try:
                event = openai.read_event(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                if not exchange.began:
                    return errors.broken_answer(self._provider, "an event that is not JSON")
                out.append(raw)
                continue
            if event.error is not UNSET and event.choices is None and bytes(event.error) != b"null":
                error = errors.from_event(data, provider=self._provider)
                if out and exchange.began:
                    self._send(b"".join(out))
                return error
            if not exchange.began:
                self._begin()
            self.events += 1
            if not self._learned:
                self._learn_model(data, event.model)
            if event.usage is not None:
                exchange.usage = event.used()
                if self._hide_usage and not event.choices:
                    continue
            out.append(raw.replace(self._old, self._new) if self._old else raw)
        if out:
            if not exchange.began:
                # Comments before the first event begin the stream: the client's own time-outs count on them.
                self._begin()
            self._send(b"".join(out))
        return None

    def _learn_model(self, data: bytes, model: str | None) -> None:
        """Show the name the client asked for, as LiteLLM does. Azure's first event has an empty one."""
        public = self._exchange.public_model
        self._learned = bool(model) or self.events > _NAMELESS
        if model and model != public:
            # Inside a JSON string the quotes would be escaped, so this can only be a member.
            before, value = model_member(data)
            self._old = before + value
            self._new = before + msgspec.json.encode(public) if before else b""


def break_stream(exchange: Exchange, error: UpstreamError, event: bytes) -> None:
    """End a begun stream with an error event: what is missing can't be had without a second, different answer."""
    exchange.error = error
    settle.settle(exchange, 200, exchange.plan.services.now())
    exchange.client.end(exchange, event)
