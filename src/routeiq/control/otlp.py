"""Tells an OpenTelemetry collector of routing decisions: OTLP over HTTP with JSON
(https://opentelemetry.io/docs/specs/otlp/#otlphttp), set up by the standard environment variables
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/).

A decision is a span with the event `routeiq.router_decision.v1`. They come from the journal, once they are in the
ledger; requests never wait for a collector. What one does not take is lost to it, and stays in the ledger.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from routeiq.control.budget_alerts import post
from routeiq.core.decisions import decode
from routeiq.ledger.contract import NAME, router_decision
from routeiq.ledger.event import Event

MOST_WAITING = 4096
"""Decisions that wait to be sent; further ones are dropped."""
BATCH = 256
PAUSE_SECONDS = 1.0
"""From a decision to the request that tells of it: what comes meanwhile goes along."""
_OK, _ERROR = 1, 2
"""Codes of a span's status."""
_MARK = b'"decision":"'

log = logging.getLogger("routeiq.control")


class Collector(msgspec.Struct, frozen=True):
    """Where spans go."""

    url: str
    headers: dict[str, str]
    service: str


def collector_of(environ: Mapping[str, str]) -> Collector | None:
    """By `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces` behind it; `None`
    where neither is set. Raises `ValueError` for what can't be a collector.
    """
    url = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" if url else "OTEL_EXPORTER_OTLP_ENDPOINT"
    if not url and (base := environ.get(name, "")):
        url = base.rstrip("/") + "/v1/traces"
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name} must be an http:// or https:// address")
    headers = {}
    for pair in filter(None, environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")):
        key, found, value = pair.partition("=")
        if not found or not key.strip().isascii():
            raise ValueError("OTEL_EXPORTER_OTLP_HEADERS must be a list like key=value,key=value")
        headers[key.strip()] = unquote(value.strip())
    return Collector(url, headers, environ.get("OTEL_SERVICE_NAME") or "routeiq")


class DecisionSpans:
    """`take` in the ingester's thread; a thread of its own sends."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        self._failing = False

    def take(self, lines: bytes) -> None:
        """Lines of the journal; those that have a decision are sent soon. Raises nothing."""
        if _MARK not in lines:
            return
        for line in lines.splitlines():
            if _MARK not in line:
                continue
            try:
                event = msgspec.json.decode(line, type=Event)
                self._waiting.put_nowait(span_of(event))
            except (msgspec.DecodeError, queue.Full):
                continue

    def run(self, stop: threading.Event) -> None:
        """Send until `stop`, and then what is left."""
        while not stop.wait(PAUSE_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        while not self._waiting.empty():
            spans = [self._waiting.get() for _ in range(min(BATCH, self._waiting.qsize()))]
            trouble = post(self._collector.url, body_of(spans, self._collector.service), self._collector.headers)
            if (trouble is not None) != self._failing:
                self._failing = trouble is not None
                host = urlsplit(self._collector.url).hostname
                log.warning("the collector at %s: %s", host, trouble or "it takes spans again")
            if trouble is not None:
                return


def body_of(spans: Sequence[Mapping[str, Any]], service: str) -> bytes:
    """An `ExportTraceServiceRequest`."""
    resource = {"attributes": _attributes({"service.name": service})}
    return msgspec.json.encode(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "routeiq"}, "spans": spans}]}]}
    )


def span_of(event: Event) -> dict[str, Any]:
    """The decision in an Event as a span of OTLP: as long as the choice took, at the time of the request."""
    decision = decode(event.decision)
    told = router_decision(decision, msgspec.structs.asdict(event))
    identity = told["event_id"].replace("-", "")
    start = event.at * 1000
    end = start + decision.timings.total * 1000
    outcome = told["outcome"]["status"]
    chosen = next((one.score for one in decision.candidates if one.model == decision.selected), None)
    return {
        "traceId": identity,
        "spanId": identity[:16],
        "name": "routeiq.routing.decision",
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": _attributes(
            {
                "router.strategy": decision.strategy,
                "router.strategy_version": decision.version,
                "router.model_selected": decision.selected,
                "router.score": chosen,
                "router.candidates_evaluated": sum(not one.removed for one in decision.candidates),
                "router.decision_outcome": outcome,
                "router.decision_reason": decision.reason,
                "router.latency_ms": decision.timings.total / 1000,
                "router.error_type": event.error,
                "router.fallback_triggered": event.fallbacks > 0,
                "gen_ai.request.model": decision.model,
                "gen_ai.response.model": event.group,
                "gen_ai.usage.input_tokens": event.prompt_tokens,
                "gen_ai.usage.output_tokens": event.completion_tokens,
            }
        ),
        "events": [
            {
                "name": NAME,
                "timeUnixNano": str(end),
                "attributes": _attributes({"routeiq.router_decision.payload": msgspec.json.encode(told).decode()}),
            }
        ],
        "status": {"code": _OK if outcome in ("success", "fallback") else _ERROR},
    }


def _attributes(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`KeyValue`s; what is not known is left out."""
    return [{"key": key, "value": _value(value)} for key, value in given.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}
