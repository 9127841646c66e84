"""The metric families: their names, types, help texts and units, in one place.

Values live in the shared counter table under the series name as Prometheus writes it, for instance
`routeiq_requests_total{endpoint="chat",model="gpt-4o",status="200"}`. Integers only: a family's `scale` turns a
stored number into the exposed one (microseconds into seconds, nano-dollars into dollars). A histogram stores one
row a bucket, not cumulated (`name_bucket{…,le="0.1"}`), and `name_sum{…}`; the reader cumulates and counts.
"""

from __future__ import annotations

from dataclasses import dataclass

BUCKETS_US = (
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000, 120_000_000, 300_000_000,
)  # fmt: skip
"""Upper bounds of the latency histograms, microseconds; a last bucket takes the rest."""

OVERHEAD_BUCKETS_US = (50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 50_000, 250_000)
"""Upper bounds for the gateway's own time, microseconds."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `kind` is `counter`, `gauge` or `histogram`; `scale` multiplies stored integers."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0
    buckets: tuple[int, ...] = ()


MICRO = 1e-6
NANO = 1e-9

REQUESTS = Family("routeiq_requests_total", "counter", "Requests settled.", ("endpoint", "model", "status"))
ERRORS = Family("routeiq_errors_total", "counter", "Requests that ended in an error, by class.", ("model", "kind"))
TOKENS = Family("routeiq_tokens_total", "counter", "Tokens settled.", ("model", "direction"))
COST = Family("routeiq_cost_dollars_total", "counter", "Cost of settled requests.", ("model",), NANO)
UNPRICED = Family("routeiq_unpriced_requests_total", "counter", "Requests whose model has no price.", ("model",))
IN_FLIGHT = Family("routeiq_in_flight_requests", "gauge", "Requests being served.")
CONNECTIONS = Family("routeiq_client_connections", "gauge", "Open client connections.")
UPSTREAM_CONNECTIONS = Family("routeiq_upstream_connections", "gauge", "Open connections to providers.", ("host",))
TTFB = Family(
    "routeiq_time_to_first_byte_seconds",
    "histogram",
    "Arrival of the request to the provider's first byte.",
    ("model",),
    MICRO,
    BUCKETS_US,
)
DURATION = Family(
    "routeiq_request_duration_seconds",
    "histogram",
    "Arrival of the request to its settlement.",
    ("model",),
    MICRO,
    BUCKETS_US,
)
OVERHEAD = Family(
    "routeiq_overhead_seconds",
    "histogram",
    "Time the gateway added to a request.",
    ("endpoint",),
    MICRO,
    OVERHEAD_BUCKETS_US,
)
ATTEMPTS = Family(
    "routeiq_deployment_attempts_total",
    "counter",
    "Calls to a deployment, by outcome: ok, or the class of the error.",
    ("deployment", "outcome"),
)
UNAVAILABLE = Family(
    "routeiq_deployment_unavailable",
    "gauge",
    "Workers that hold the deployment out, by reason: cooldown or circuit_open.",
    ("deployment", "reason"),
)
RETRIES = Family("routeiq_retries_total", "counter", "Attempts after the first, on the same group.", ("model",))
FALLBACKS = Family("routeiq_fallbacks_total", "counter", "Changes to a fallback group.", ("model",))
HEDGES = Family("routeiq_hedges_total", "counter", "Second attempts started early, by outcome.", ("model", "outcome"))
SOFT_BUDGETS = Family(
    "routeiq_soft_budgets_exceeded_total", "counter", "Soft budgets that were exceeded, once a period.", ("kind",)
)
USAGE_POLICY = Family(
    "routeiq_usage_policy_total",
    "counter",
    "Requests over the limit of a usage policy, with alert over its threshold.",
    ("policy", "action"),
)
REFUSED = Family("routeiq_refused_total", "counter", "Requests refused before any call.", ("kind",))
JOURNAL_DROPPED = Family("routeiq_journal_dropped_total", "counter", "Events the journal could not take.")
INGESTED = Family("routeiq_ledger_events_total", "counter", "Events the control plane has written to the ledger.")
QUARANTINED = Family(
    "routeiq_journal_quarantined_lines_total",
    "counter",
    "Lines of the journal that could not be read and were set aside.",
)
BACKLOG = Family("routeiq_journal_backlog_bytes", "gauge", "Bytes of the journal that are not in the ledger yet.")
LEDGER_UP = Family("routeiq_ledger_up", "gauge", "1 while the control plane can write to the ledger's database.")
REDIS_UP = Family("routeiq_redis_up", "gauge", "1 while counters are shared with other machines over Redis.")

ROUTED = Family(
    "routeiq_routed_total", "counter", "Requests for an auto model, by the model chosen.",
    ("auto_model", "strategy", "model"),
)  # fmt: skip
ROUTING_FAILURES = Family(
    "routeiq_routing_failures_total", "counter", "Rankings that failed; the order of the configuration was taken.",
    ("strategy",),
)  # fmt: skip
USES = Family(
    "routeiq_uses_total", "counter", "Uses of MCP servers and A2A agents, by outcome: ok, or the class of the error.",
    ("endpoint", "target", "outcome"),
)  # fmt: skip
USE_DURATION = Family(
    "routeiq_use_duration_seconds", "histogram", "How long uses of MCP servers and A2A agents took.",
    ("endpoint", "target"), MICRO, BUCKETS_US,
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    REQUESTS, ERRORS, TOKENS, COST, UNPRICED, IN_FLIGHT, CONNECTIONS, UPSTREAM_CONNECTIONS, TTFB, DURATION, OVERHEAD,
    ATTEMPTS, UNAVAILABLE, RETRIES, FALLBACKS, HEDGES, REFUSED, JOURNAL_DROPPED, INGESTED,
    QUARANTINED, BACKLOG, LEDGER_UP, REDIS_UP, SOFT_BUDGETS, USAGE_POLICY, ROUTED, ROUTING_FAILURES,
    USES, USE_DURATION,
)  # fmt: skip


def series(name: str, **labels: str) -> str:
    """The name of one series as Prometheus writes it, label values escaped.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
    """
    if not labels:
        return name
    inner = ",".join(
        '{}="{}"'.format(k, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for k, v in labels.items()
    )
    return f"{name}{{{inner}}}"
