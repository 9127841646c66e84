"""The Snapshot: what the data plane knows, immutable, as configuration was compiled to it.

    config files ──► schema ──► compile ──► Snapshot (msgpack over a pipe) ──► every worker

Secrets are in here (request heads hold provider keys): a Snapshot is never logged and never written to disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from routeiq.core.a2a import A2a
from routeiq.core.accounts import Accounts
from routeiq.core.keys import BudgetLimit, Key, Subject
from routeiq.core.mcp import Mcp
from routeiq.core.money import Prices
from routeiq.core.policies import UsagePolicy
from routeiq.core.routing import AutoModel, Choosing, Traits
from routeiq.core.signing import Signing

CHAT = "chat"
COMPLETION = "completion"
EMBEDDING = "embedding"
RESPONSES = "responses"
MESSAGES = "messages"
COUNT_TOKENS = "count_tokens"
GENERATE = "generate"
GENERATE_ARRAY = "generate_array"
GENERATE_COUNT = "count"
GENERATE_EMBED = "embed"
GENERATE_EMBEDS = "embed_batch"
COHERE_CHAT = "cohere_chat"
COHERE_EMBED = "cohere_embed"
RERANK = "rerank"
"""What clients can ask: values of `Event.endpoint`. Keys of `Deployment.heads` are what providers can be asked; one
that has the client's endpoint among them is sent the client's own bytes.
"""

MODEL_MARK = b"\x00model\x00"
"""In a rendered head: where the percent-encoded model of a wildcard goes."""


class Longtail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How LiteLLM's SDK is to call a deployment."""

    arguments: dict[str, Any] = {}
    """Of `litellm.acompletion`, as configured: may hold secrets."""
    environment: dict[str, str] = {}
    """The file's `environment_variables`, which LiteLLM looks for credentials in."""

    def __repr__(self) -> str:
        return f"Longtail(arguments={sorted(self.arguments)})"


class Deployment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model at one provider under one credential.

    `heads[operation]` is the rendered request head up to and without `Content-Length`: request line, Host,
    credentials, Content-Type, each line ended by CRLF. Where a wildcard's model stands in the path, the head has
    `MODEL_MARK` in its place.
    """

    id: str
    group: str
    team: str = ""
    """Whose keys alone may call it; empty for all."""
    provider: str
    model: str
    """The provider's model name; for a wildcard the pattern, whose `*` the requested suffix replaces."""
    litellm_model: str
    """As written in `litellm_params.model`: `openai/gpt-4o`."""
    dialect: str = "openai"
    """What it speaks; a name of `providers.translate`."""
    signing: Signing | None = None
    options: dict[str, str] = {}
    """What its dialect needs besides the request: `project_id` of watsonx, quirks of the catalog."""
    drop_params: bool = False
    """Leave out parameters the provider can't take, instead of refusing the request."""
    drop: tuple[str, ...] = ()
    """Parameters that are always left out (`additional_drop_params`)."""
    kind: str = "http"
    """`http`, `demo` (the embedded provider) or `mock` (`mock_response`)."""
    scheme: str = "https"
    host: str = ""
    port: int = 443
    heads: dict[str, bytes] = {}
    api_base: str = ""
    """For people and headers; holds no secret."""
    via: str = "direct"
    """`direct`: our own HTTP/1.1 pool. `library`: through a proxy, or HTTP/2 only. `longtail`: by LiteLLM's SDK, in a
    process of its own that speaks OpenAI's language on a Unix socket.
    """
    longtail: Longtail | None = None
    proxy: str | None = None
    http2: bool = False
    verify_tls: bool = True
    ca_file: str | None = None
    weight: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    budget: BudgetLimit | None = None
    """It is not chosen any more in a period in which so much was spent."""
    order: int = 0
    """Lower is tried first; deployments of the next order only when no lower one can serve."""
    timeout: float | None = None
    stream_timeout: float | None = None
    max_retries: int | None = None
    allowed_fails: int | None = None
    cooldown_time: float | None = None
    prices: Prices | None = None
    mock_response: str | None = None
    mode: str = CHAT
    blocked: bool = False
    """In no group: an admin has taken it out."""
    traits: Traits = Traits()
    info: bytes = b"{}"
    """`model_info` as `/v1/model/info` shows it: a JSON object."""


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public model name and the deployments behind it."""

    name: str
    deployments: tuple[int, ...]
    """Positions in `Snapshot.deployments`."""
    strategy: str = "simple-shuffle"
    choosing: Choosing | None = None
    """How `strategy` ranks the deployments; `None` where it balances, or there is but one."""
    num_retries: int = 2
    fallbacks: tuple[str, ...] = ()
    """Names tried in turn on an error; `default_fallbacks` are already appended."""
    context_window_fallbacks: tuple[str, ...] = ()
    content_policy_fallbacks: tuple[str, ...] = ()
    hidden: bool = False
    """Reachable as a fallback or alias target but not listed by `/v1/models`."""
    team: str = ""
    """Whose keys alone reach it, by the name `public`; empty for all, who call it by its name."""
    public: str = ""


class Wildcard(msgspec.Struct, frozen=True):
    """A group whose name holds one `*`: `openai/*` or `*`."""

    prefix: str
    suffix: str
    group: str


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. The upstream four, then the client's three."""

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 120.0
    total: float = 6000.0
    client_header: float = 10.0
    client_body_idle: float = 30.0
    client_keepalive: float = 75.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker takes from clients and gives to upstreams."""

    max_in_flight: int = 10_000
    max_body: int = 10 * 1024 * 1024
    """Bytes (413 above)."""
    max_head: int = 32 * 1024
    max_headers: int = 100
    max_url: int = 8 * 1024
    max_connections: int = 20_000
    max_frame: int = 16 * 1024 * 1024
    """One server-sent event, bytes."""
    pool_per_host: int = 1000
    pool_idle_seconds: float = 60.0
    dns_ttl: float = 30.0
    drain_seconds: float = 60.0
    """How long open requests may take to finish at a stop."""
    drain_notice: float = 0.5
    """How long readiness says 503 before the listener closes; part of `drain_seconds`."""


class Resilience(msgspec.Struct, frozen=True, kw_only=True):
    """Retries, fallbacks, cooldowns, breakers, hedging. Times in seconds."""

    max_fallbacks: int = 5
    retry_after: float = 0.0
    """The shortest wait between two attempts."""
    backoff_base: float = 0.5
    backoff_max: float = 8.0
    retry_budget: float = 0.2
    """Retries in flight may be this share of the requests in flight, and `retry_budget_min` at least."""
    retry_budget_min: int = 3
    retries: dict[str, int] = {}
    """`retry_policy` by error class: `RateLimitErrorRetries` is under `RateLimitError`."""
    allowed_fails: int | None = None
    cooldown_time: float = 5.0
    disable_cooldowns: bool = False
    breaker_failures: int = 5
    """Consecutive failures that open a deployment's circuit; 0 is never."""
    breaker_seconds: float = 30.0
    """How long it stays open before one probe request is let through."""
    hedge_after: float | None = None
    """Start a second attempt when the first has shown no byte after this long; `None` is off."""
    hedge_quantile: float | None = None
    """Or after this quantile of the group's recent times to first byte."""
    hedge_max_share: float = 0.05
    """Hedges may be at most this share of requests."""
    stream_failover: bool = False
    """Let another deployment go on with a stream that broke, where it can be given what was said so far."""
    hedge_max_cost: int | None = None
    """Nano-dollars a hedge may be expected to cost (its prompt); `None` is any."""


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call."""

    master_key: str | None = None
    """Hex SHA-256 of the master key; with `None` and no keys nobody may call, unless `open`."""
    admin_keys: tuple[str, ...] = ()
    """Hex SHA-256 of `ADMIN_API_KEYS`, each with and without its prefix: good for the management API only."""
    open: bool = False
    """No key asked for: the configuration has no master key, no keys and no key source, on loopback, or says so."""
    keys: dict[str, Key] = {}
    """Static keys by hex SHA-256."""
    lookup: bool = False
    """Ask the control plane about unknown keys."""
    key_header: str | None = None
    """`litellm_key_header_name`, lower case."""
    budget_exceeded_status: int = 422
    timezone: str = "UTC"
    """By whose calendar budgets begin anew."""
    metrics_public: bool = False


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """Counters that several machines share, over Redis."""

    url: str
    """May hold a password."""
    interval: float = 0.1
    """Seconds between two rounds in which machines tell each other what they have counted."""
    strict: bool = False
    """Ask Redis before each request with limits, instead."""
    when_lost: str = "local"
    """Without Redis `local` goes on by what this machine counts, `refuse` answers 503 to requests with limits."""
    namespace: str = "routeiq"

    def __repr__(self) -> str:
        return f"Shared(strict={self.strict}, namespace={self.namespace!r})"


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of an agent may come to, over all its calls. Limits of `None` are no limits."""

    max_budget: int | None = None
    """Nano-dollars."""
    max_requests: int | None = None
    max_parallel_requests: int | None = None
    """How far it may fan out."""
    max_seconds: float | None = None
    """From its first request on."""
    max_repeats: int | None = None
    """How often it may ask with the same last message, but for ids: an agent that goes in circles."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Where Events go, in bytes."""

    segment_bytes: int = 64 * 1024 * 1024
    max_bytes: int = 4 * 1024 * 1024 * 1024
    on_full: str = "reject"
    """`reject` answers 503 when the journal can't take the Event; `drop` serves and counts the loss."""


class Responses(msgspec.Struct, frozen=True, kw_only=True):
    """Responses that are kept for their client."""

    retention: float = 30 * 86_400.0
    """Seconds from its creation until one is forgotten."""
    max_background: int = 100
    """Background responses one worker runs at once (429 above)."""
    max_chain: int = 200
    """Responses a conversation may go back through `previous_response_id`."""


class Prompts(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of prompts and answers."""

    sample: float = 1.0
    """The share of requests."""
    redact: tuple[str, ...] = ("emails", "keys", "cards")
    """What is hidden: `observe.personal.HIDDEN`."""
    max_bytes: int = 16 * 1024
    """Of a request, and of an answer."""
    retention: float = 30 * 86_400.0
    """Seconds."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Files of the ledger's days."""

    output: str
    """A directory, or a URL of an object store."""
    format: Literal["jsonl", "parquet"] = "parquet"


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the account of requests."""

    retention: float | None = None
    """Seconds from its arrival until a request may go; `None` keeps all."""
    interval: float = 86_400.0
    """Seconds between two times that old ones are let go."""
    prompts: Prompts | None = None
    """`None` keeps none."""
    export: Export | None = None


class Alerting(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is told about budgets."""

    webhook: str
    """A URL, which may hold a secret."""

    def __repr__(self) -> str:
        return "Alerting()"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to serve, under one revision."""

    revision: str
    """First 12 hex digits of the SHA-256 of the resolved configuration (secrets are hashed first)."""
    created: float
    deployments: tuple[Deployment, ...]
    groups: dict[str, Group]
    auto_models: dict[str, AutoModel] = {}
    wildcards: tuple[Wildcard, ...] = ()
    """Most specific first."""
    prices: dict[str, dict[str, Prices]] = {}
    """Prices by provider and model, for the providers behind wildcards."""
    aliases: dict[str, str] = {}
    """`model_group_alias`: requested name to group name."""
    hidden_aliases: tuple[str, ...] = ()
    """Aliases that `/v1/models` does not list."""
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    resilience: Resilience = Resilience()
    auth: Auth = Auth()
    accounts: Accounts = Accounts()
    journal: Journal = Journal()
    responses: Responses = Responses()
    ledger: Ledger = Ledger()
    timeout_status: int = 504
    """504, or 408 where `routeiq.timeout_status` asks for LiteLLM's."""
    mock_testing: bool = False
    """`dangerously_allow_mock_testing_request_params`: honour `mock_response`, `mock_testing_fallbacks` in bodies."""
    gateway: Subject | None = None
    """What all requests count for."""
    providers: dict[str, BudgetLimit] = {}
    """Budgets by provider: over one, its deployments are not chosen."""
    end_users: bool = False
    """Whether some end users are limited."""
    end_user_header: str | None = None
    """`user_header_name`, lower case."""
    runs: Runs | None = None
    shared: Shared | None = None
    tags: dict[str, Subject] = {}
    """What requests with a tag count for, by the tag's name; tags without limits are not in it."""
    policies: tuple[UsagePolicy, ...] = ()
    """Those that are enabled, in the order they are asked."""
    alerting: Alerting | None = None
    access_groups: dict[str, tuple[str, ...]] = {}
    """Public model names by the group's name, which lists of models may have in their place: `core.access_groups`."""
    store_models: bool = False
    """`store_model_in_db`: deployments in the database are served and may be changed."""
    stored: int = -1
    """The revision of the database this was built with; -1 when it could not be read."""
    mcp: Mcp | None = None
    a2a: A2a | None = None
    drop_unpriced: bool = False
    """Refuse models without a price for keys with a budget (`routeiq.unpriced_models: reject`)."""

    def signings(self) -> Iterator[Signing]:
        """All credentials that are made or renewed while serving."""
        found = [deployment.signing for deployment in self.deployments]
        if self.a2a is not None:
            found += [agent.signing for agent in self.a2a.agents]
        return (signing for signing in found if signing is not None)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Snapshot).decode
