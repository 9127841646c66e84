"""`routeiq`: what LiteLLM has no word for. Defaults are those of the core structs these settings end in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from routeiq.config.schema.a2a import A2aSettings
from routeiq.config.schema.mcp import McpSettings
from routeiq.config.schema.routing import AutoModelSettings
from routeiq.config.schema.types import (
    Amount,
    BudgetDuration,
    Bytes,
    Count,
    Flag,
    Moment,
    Name,
    Port,
    Positive,
    PositiveSeconds,
    Seconds,
    Section,
    Share,
    Text,
    _whole,
)


class ObjectPermissionSettings(Section):
    """`core.keys.ObjectPermission`."""

    mcp_servers: list[Name] = Field(default_factory=list)
    mcp_access_groups: list[Name] = Field(default_factory=list)
    mcp_tool_permissions: dict[Name, list[Name]] = Field(default_factory=dict)
    mcp_toolsets: list[Name] = Field(default_factory=list)
    agents: list[Name] = Field(default_factory=list)
    agent_access_groups: list[Name] = Field(default_factory=list)


class KeySettings(Section):
    """A caller. Exactly one of `key` and `hash` is given."""

    name: Name
    key: Text | None = None
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    admin: Flag = False
    models: list[Name] = Field(default_factory=list)
    rpm: Positive | None = None
    tpm: Positive | None = None
    max_parallel_requests: Positive | None = None
    max_budget: Amount | None = None
    budget_duration: BudgetDuration | None = None
    expires: Moment | None = None
    blocked: Flag = False
    tags: list[Name] = Field(default_factory=list)
    object_permission: ObjectPermissionSettings | None = None


class TimeoutSettings(Section):
    """`core.snapshot.Timeouts`."""

    connect: PositiveSeconds | None = None
    first_byte: PositiveSeconds | None = None
    idle: PositiveSeconds | None = None
    total: PositiveSeconds | None = None
    client_header: PositiveSeconds | None = None
    client_body_idle: PositiveSeconds | None = None
    client_keepalive: PositiveSeconds | None = None


class LimitSettings(Section):
    """`core.snapshot.Limits`."""

    max_in_flight: Positive | None = None
    max_body: Bytes | None = None
    max_head: Bytes | None = None
    max_headers: Positive | None = None
    max_url: Bytes | None = None
    max_connections: Positive | None = None
    max_frame: Bytes | None = None
    pool_per_host: Positive | None = None
    pool_idle_seconds: PositiveSeconds | None = None
    dns_ttl: Seconds | None = None
    drain_seconds: Seconds | None = None
    drain_notice: Seconds | None = None


class HedgeSettings(Section):
    """The `hedge_*` fields of `core.snapshot.Resilience`; `max_cost` in US dollars."""

    after: PositiveSeconds | None = None
    quantile: Share | None = None
    max_share: Share | None = None
    max_cost: Amount | None = None


class ResilienceSettings(Section):
    """`core.snapshot.Resilience`, less what LiteLLM has words for."""

    backoff_base: Seconds | None = None
    backoff_max: Seconds | None = None
    retry_budget: Share | None = None
    retry_budget_min: Count | None = None
    breaker_failures: Count | None = None
    breaker_seconds: PositiveSeconds | None = None
    stream_failover: Flag | None = None
    hedge: HedgeSettings = HedgeSettings()


class JournalSettings(Section):
    """`core.snapshot.Journal`."""

    segment_bytes: Bytes | None = None
    max_bytes: Bytes | None = None
    on_full: Literal["reject", "drop"] | None = None


class SharedSettings(Section):
    """`core.snapshot.Shared`."""

    redis_url: Text | None = None
    interval: PositiveSeconds | None = None
    strict: Flag | None = None
    when_lost: Literal["local", "refuse"] | None = None
    namespace: Name | None = None


class RunSettings(Section):
    """`core.snapshot.Runs`; `max_budget` in US dollars."""

    max_budget: Amount | None = None
    max_requests: Positive | None = None
    max_parallel_requests: Positive | None = None
    max_seconds: PositiveSeconds | None = None
    max_repeats: Positive | None = None


class ResponsesSettings(Section):
    """`core.snapshot.Responses`."""

    retention: PositiveSeconds | None = None
    max_background: Count | None = None
    max_chain: Positive | None = None


class UpstreamSettings(Section):
    """How to reach every deployment on one host."""

    host: Name
    http2: Flag = False
    proxy: Text | None = None
    ca_file: Text | None = None
    verify_tls: Flag | None = None


def _workers(value: Any) -> Any:
    try:
        return value if value == "auto" else _whole(value)
    except ValueError:
        raise ValueError("must be a whole number, or auto for one per CPU") from None


class ExportSettings(Section):
    """`core.snapshot.Export`."""

    output: Text
    format: Literal["jsonl", "parquet"] | None = None


class PromptSettings(Section):
    """`core.snapshot.Prompts`."""

    sample: Share | None = None
    redact: list[Literal["emails", "keys", "cards"]] | None = None
    max_bytes: Bytes | None = None
    retention: PositiveSeconds | None = None


Workers = Annotated[Annotated[int, Field(ge=1, le=512)] | Literal["auto"], BeforeValidator(_workers)]


class RouteiqSettings(Section):
    """`routeiq`."""

    host: Name | None = None
    port: Port | None = None
    workers: Workers | None = None
    state_dir: Text | None = None
    ssl_certfile: Text | None = None
    ssl_keyfile: Text | None = None
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    allow_unauthenticated: Flag = False
    keys: list[KeySettings] = Field(default_factory=list)
    key_lookup: Flag | None = None
    metrics_public: Flag = False
    budget_exceeded_status: Annotated[int, BeforeValidator(_whole), Field(ge=400, le=499)] | None = None
    timeout_status: Annotated[Literal[408, 504], BeforeValidator(_whole)] = 504
    unpriced_models: Literal["allow", "reject"] = "allow"
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    resilience: ResilienceSettings = ResilienceSettings()
    journal: JournalSettings = JournalSettings()
    responses: ResponsesSettings = ResponsesSettings()
    prompts: PromptSettings | None = None
    export: ExportSettings | None = None
    runs: RunSettings = RunSettings()
    shared: SharedSettings = SharedSettings()
    mcp: McpSettings = McpSettings()
    a2a: A2aSettings = A2aSettings()
    upstreams: list[UpstreamSettings] = Field(default_factory=list)
    auto_models: dict[Name, AutoModelSettings] = Field(default_factory=dict)
