"""One call to one deployment: what its answer turns out to be, and when it has taken too long."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from routeiq.core.errors import BadRequest, GatewayError, UpstreamError
from routeiq.core.exchange import Exchange, Header
from routeiq.governance.windows import BUCKET_SECONDS
from routeiq.observe import metrics
from routeiq.pipeline import settle
from routeiq.pipeline.continuing import Continuation, ContinuingRelay
from routeiq.pipeline.passing import PassingRelay
from routeiq.pipeline.plan import Plan, Route
from routeiq.pipeline.relay import ChunkRelay, Relay
from routeiq.pipeline.translated import TranslatedRelay
from routeiq.pipeline.translation import ChatTranslation, Translation, between_equals
from routeiq.pipeline.withhold import withhold
from routeiq.providers import demo, errors
from routeiq.providers.dialects.faces import error_of
from routeiq.providers.dialects.invoke import InvokeFrames
from routeiq.routing.target import Held
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.local import LocalAnswer

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer that is not streamed."""
MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes of an answer that came compressed, or of one read of a stream."""
_ANY_WINDOW = zlib.MAX_WBITS | 32
"""zlib or gzip, whichever it is."""
AFTER_DONE = 1.0
"""Seconds a provider may take to end a stream after its terminal marker."""
EVENT_STREAM = b"application/vnd.amazon.eventstream"
MAX_ERROR = 1024 * 1024
"""Bytes of an error answer that are read."""

log = logging.getLogger("routeiq.pipeline")

Failed = Callable[[Exchange, "Attempt", UpstreamError], None]

_WAITING, _BODY, _STREAM, _ERROR = range(4)


class Attempt(Call):
    """A call in flight. Ends in exactly one of: the exchange settled, `failed` called, or dropped."""

    __slots__ = (
        "_chunks",
        "_failed",
        "_frames",
        "_headers",
        "_inflate",
        "_limit",
        "_mode",
        "_relay",
        "_size",
        "deadline",
        "exchange",
        "held",
        "rival",
        "route",
        "started",
        "status",
        "translation",
        "ttfb",
        "upstream_model",
    )

    def __init__(self, exchange: Exchange, route: Route, failed: Failed, now: float) -> None:
        super().__init__()
        self.exchange = exchange
        self.route = route
        self.started = now
        self.status = 0
        self.ttfb = 0.0
        self.translation: Translation[Any, Any] | None = None
        self.rival: Attempt | None = None
        """The other half of a hedge while both run."""
        self.held: Held | None = None
        """What of its deployment's budgets it has taken."""
        self.upstream_model = ""
        self._limit = limit = exchange.started + route.total_seconds
        """When all of it must be over."""
        patience: float = exchange.key.patience
        deadline = now + (patience or (route.stream_seconds if exchange.stream else route.answer_seconds))
        self.deadline = deadline if deadline < limit else limit
        self._failed = failed
        self._mode = _WAITING
        self._chunks: list[bytes] = []
        self._size = 0
        self._headers: list[Header] = []
        self._relay: Relay | None = None
        self._inflate: zlib._Decompress | None = None
        self._frames: InvokeFrames | None = None

    @property
    def waiting(self) -> bool:
        """Whether nothing of the answer has come yet."""
        return self._mode == _WAITING

    # Call

    def on_head(self, status: int, headers: list[Header]) -> None:
        exchange = self.exchange
        now = exchange.plan.services.now()
        self.status = status
        self.ttfb = now - self.started
        self._headers = headers
        if status >= 300:
            self._mode = _ERROR
            return
        if self.rival is not None:
            self._win(self.rival)
        if not exchange.first_byte:
            exchange.first_byte = now
        relay = self._make_relay(headers) if exchange.stream else None
        if relay is not None:
            self._mode = _STREAM
            self._relay = relay
            if _is_packed(headers):
                self._inflate = zlib.decompressobj(_ANY_WINDOW)
        else:
            self._mode = _BODY
            timeout = exchange.key.patience or self.route.target.spec.timeout
            if timeout is not None:
                self._limit = min(self._limit, self.started + timeout)
        deadline = now + self.route.idle_seconds
        self.deadline = deadline if deadline < self._limit else self._limit

    def on_data(self, data: bytes) -> None:
        mode = self._mode
        if mode == _STREAM:
            relay = self._relay
            assert relay is not None
            if relay.ended():
                return
            plan: Plan = self.exchange.plan
            now = plan.services.now()
            self.deadline = min(now + plan.snapshot.timeouts.idle, self._limit)
            if self._inflate is not None:
                try:
                    data = self._inflate.decompress(data, MAX_UNPACKED)
                except zlib.error:
                    data = b""
                if not data or self._inflate.unconsumed_tail:
                    self.cancel()
                    self._fail(errors.broken_answer(self._provider, "a compressed stream that can't be read"))
                    return
            error = relay.feed(data) if self._frames is None else self._unwrap(self._frames, relay, data)
            if error is not None:
                self.cancel()
                self._fail(error)
            elif relay.ended():
                self.deadline = now + AFTER_DONE
            return
        if self._chunks and mode == _BODY:
            plan = self.exchange.plan
            self.deadline = min(plan.services.now() + plan.snapshot.timeouts.idle, self._limit)
        self._chunks.append(data)
        self._size += len(data)
        if self._size > (MAX_ANSWER if mode == _BODY else MAX_ERROR):
            if mode == _ERROR:
                self.cancel()
                self.on_done()
            else:
                self.cancel()
                self._fail(errors.broken_answer(self._provider, f"an answer of over {MAX_ANSWER} bytes"))

    def on_done(self) -> None:
        mode = self._mode
        if mode == _BODY:
            body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            try:
                fault = settle.whole_answer(self, body)
                if fault is not None and _is_packed(self._headers):
                    # Nobody asked for it, but some do it all the same.
                    fault = settle.whole_answer(self, unpack(body))
            except UpstreamError as told:
                self._fail(told)
                return
            except Exception:
                log.exception("an answer could not be handled", extra={"call_id": self.exchange.call_id})
                fault = "an answer the gateway could not handle"
            if fault is not None:
                self._fail(errors.broken_answer(self._provider, fault))
        elif mode == _STREAM:
            assert self._relay is not None
            error = self._relay.finish()
            if error is not None:
                self._fail(error)
        else:
            wait = errors.retry_after(_value(self._headers, b"retry-after"))
            body = b"".join(self._chunks)
            if _is_packed(self._headers):
                body = unpack(body)
            read = error_of(self.route.dialect)
            self._fail(read(self.status, body, provider=self._provider, retry_after=wait))

    def on_failure(self, failure: UpstreamBroken) -> None:
        if self._relay is not None and self._relay.ended():
            self.on_done()
        elif failure.reason == "connect_timeout":
            seconds = self.exchange.plan.snapshot.timeouts.connect
            self._fail(self._late(seconds, "could not be connected to"))
        elif self.route.target.spec.via == "longtail":
            self._fail(errors.no_longtail(self._provider))
        else:
            self._fail(errors.unreachable(self._provider, failure.reason, failure.detail))

    def _unwrap(self, frames: InvokeFrames, relay: Relay, data: bytes) -> UpstreamError | None:
        try:
            return relay.feed(frames.feed(data))
        except UpstreamError as error:
            return error

    def _make_relay(self, headers: list[Header]) -> Relay | None:
        """For an answer that is streamed; `None` where the provider sends it whole all the same."""
        exchange, translation = self.exchange, self.translation
        if self.route.framed and _value(headers, b"content-type") == EVENT_STREAM:
            self._frames = InvokeFrames()
        # Wires stream in media types of their own; only plain JSON is none.
        whole = _is_json(headers)
        if whole and translation is None:
            translation = between_equals(exchange, self.route)
        if isinstance(translation, ChatTranslation):
            reader = translation.whole_reader(MAX_ANSWER) if whole else translation.reader()
            if exchange.continuation is not None:
                return ContinuingRelay(exchange, self, reader)
            return TranslatedRelay(exchange, self, reader, translation.writer())
        if self._frames is None and not _is_stream(headers):
            return None
        watch = exchange.face.watch()
        return ChunkRelay(exchange, self) if watch is None else PassingRelay(exchange, self, watch)

    # from the pipeline

    def failed(self, error: UpstreamError) -> None:
        """It could not even be sent."""
        self._fail(error)

    def error_event(self, error: GatewayError) -> bytes:
        """What ends a stream that has begun."""
        if self._relay is not None:
            return self._relay.fail(error)
        continuation: Continuation = self.exchange.continuation
        return continuation.writer.fail(error)

    @property
    def relay(self) -> Relay | None:
        """Of an answer that has begun to stream."""
        return self._relay

    def expired(self, now: float) -> None:
        """The deadline has passed."""
        self.cancel()
        if self._relay is not None and self._relay.ended():
            self.on_done()
            return
        if self._mode in (_STREAM, _BODY) and now < self._limit:
            what, seconds = "sent nothing more", self.exchange.plan.snapshot.timeouts.idle
        elif self._mode == _WAITING:
            what, seconds = "did not answer", now - self.started
        else:
            what, seconds = "did not finish", now - self.started
        self._fail(self._late(round(seconds, 1), what))

    def drop(self) -> None:
        """Give up without a word about the deployment: the client went away, or the other attempt was faster."""
        self.cancel()
        self._leave()
        self.route.target.released()
        rival, self.rival = self.rival, None
        if rival is not None:
            rival.rival = None
            rival.drop()

    def succeeded(self) -> float:
        """The answer is complete and good: tell the deployment's health. Returns the time."""
        exchange = self.exchange
        route = self.route
        services = exchange.plan.services
        now: float = services.now()
        services.active.discard(self)
        target = route.target
        target.health.in_flight -= 1
        target.succeeded(self.ttfb, now)
        services.meters.pending[route.attempts] += 1
        exchange.upstream_seconds += now - self.started
        return now

    def pause(self) -> None:
        """The client reads slower than the provider sends."""
        if self.carrier is not None:
            self.carrier.pause()
            self.deadline = math.inf if self._mode == _STREAM else self.deadline

    def resume(self) -> None:
        """The client has caught up."""
        if self.carrier is not None:
            self.carrier.resume()
        if self._mode == _STREAM:
            plan: Plan = self.exchange.plan
            self.deadline = min(plan.services.now() + plan.snapshot.timeouts.idle, self._limit)

    def play(self, endpoint: str, body: bytes, text: str | None, interval: float | None) -> None:
        """Answer from this process: the embedded provider, or `text` as the whole answer."""
        exchange = self.exchange
        try:
            if exchange.stream:
                chunks = demo.stream(endpoint, body, text=text)
                content_type = b"text/event-stream; charset=utf-8"
            else:
                chunks = iter((demo.answer(endpoint, body, text=text),))
                content_type = b"application/json"
        except msgspec.ValidationError as error:
            self.drop()
            raise BadRequest(f"Invalid request body: {error}", code="invalid_type") from None
        pace = demo.STREAM_INTERVAL if interval is None else interval
        LocalAnswer(self, 200, [(b"content-type", content_type)], chunks, pace if exchange.stream else 0.0)

    def recite(self, body: bytes) -> None:
        """Answer with what is known already."""
        LocalAnswer(self, 200, [(b"content-type", b"application/json")], iter((body,)), 0.0)

    # helpers

    @property
    def _provider(self) -> str:
        return self.route.target.spec.provider

    @property
    def relayed(self) -> int:
        """Events relayed so far."""
        return self._relay.events if self._relay is not None else 0

    def provider_headers(self) -> list[Header]:
        """The headers of the provider's answer."""
        return self._headers

    def _late(self, seconds: float, what: str) -> UpstreamError:
        status = self.exchange.plan.snapshot.timeout_status
        return errors.timeout(self._provider, seconds, what, status)

    def _leave(self) -> None:
        """Out of the books of what is in flight."""
        services = self.exchange.plan.services
        held, self.held = self.held, None
        if held is not None:
            held.settle(0)
        services.active.discard(self)
        self.route.target.health.in_flight -= 1

    def _win(self, rival: Attempt) -> None:
        self.rival = None
        rival.rival = None
        rival.drop()
        exchange = self.exchange
        hedge_won = exchange.attempt is self and rival.started < self.started
        exchange.attempt = self
        exchange.route = self.route
        exchange.upstream_model = self.upstream_model
        exchange.plan.services.meters.count(
            metrics.HEDGES, model=exchange.group.spec.name, outcome="won" if hedge_won else "lost"
        )

    def _fail(self, error: UpstreamError) -> None:
        exchange = self.exchange
        services = exchange.plan.services
        self._leave()
        now = services.now()
        target = self.route.target
        error.provider = error.provider or self._provider
        if error.kind == "upstream":
            withhold(error, target.spec, bytes(self.payload[0]) if self.payload else b"")
        status = error.status if error.kind == "upstream" else 408 if error.kind == "timeout" else 0
        if exchange.reserved_tokens:
            tick = int(services.wall()) // BUCKET_SECONDS
            target.settle_tokens(exchange.reserved_tokens, 0, exchange.at // settle.BUCKET, tick)
        held_out = target.failed(status, now, error.retry_after)
        if held_out:
            services.held_out(target)
        services.meters.count(metrics.ATTEMPTS, deployment=target.spec.id, outcome=error.kind)
        exchange.upstream_seconds += now - self.started
        rival, self.rival = self.rival, None
        if rival is not None:
            # The other half of the hedge is still at it.
            rival.rival = None
            exchange.attempt = rival
            exchange.route = rival.route
            exchange.upstream_model = rival.upstream_model
            return
        try:
            self._failed(exchange, self, error)
        except GatewayError as final:
            self._give_up(final)
        except Exception:
            log.exception("a request failed", extra={"call_id": exchange.call_id})
            self._give_up(GatewayError("The gateway failed to handle this request.", code="internal_error"))

    def _give_up(self, error: GatewayError) -> None:
        """There is no other way: tell the client, or where its answer has begun, end that."""
        exchange = self.exchange
        if not exchange.began:
            settle.refuse(exchange, error)
        elif not exchange.settled:
            exchange.error = error
            settle.settle(exchange, 200, exchange.plan.services.now())
            exchange.client.end(exchange, self.error_event(error))


def unpack(body: bytes) -> bytes:
    """A gzip or zlib body unpacked; nothing when it is not one, is cut, or is a bomb."""
    inflate = zlib.decompressobj(_ANY_WINDOW)
    try:
        data = inflate.decompress(body, MAX_UNPACKED)
    except zlib.error:
        return b""
    return data if inflate.eof else b""


def _is_packed(headers: list[Header]) -> bool:
    coding = _value(headers, b"content-encoding")
    return coding is not None and coding.lower() in (b"gzip", b"x-gzip", b"deflate")


def _is_stream(headers: list[Header]) -> bool:
    value = _value(headers, b"content-type")
    return value is not None and value[:17].lower() == b"text/event-stream"


def _is_json(headers: list[Header]) -> bool:
    value = _value(headers, b"content-type")
    return value is not None and value[:16].lower() == b"application/json"


def _value(headers: list[Header], wanted: bytes) -> bytes | None:
    for name, value in headers:
        if name == wanted:
            return value
    return None
