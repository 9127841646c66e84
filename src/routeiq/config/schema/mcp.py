"""`mcp_servers`, in LiteLLM's words: https://docs.litellm.ai/docs/mcp. And `routeiq.mcp`, what it has no word for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from routeiq.config.schema.types import Amount, Bytes, Flag, Name, Positive, PositiveSeconds, Section, Text

Versions = Literal["auto", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


class McpCost(Section):
    """`mcp_info.mcp_server_cost_info`, in US dollars."""

    default_cost_per_query: Amount = 0.0
    tool_name_to_cost_per_query: dict[str, Amount] = Field(default_factory=dict)


class McpServerSettings(Section):
    """One of `mcp_servers`."""

    server_id: Name | None = None
    alias: Name | None = None
    url: Text | None = None
    transport: Literal["http", "streamable_http", "sse", "stdio", "websocket"] = "http"
    protocol_version: Versions = "auto"
    spec_path: Text | None = None
    auth_type: Literal[
        "none", "api_key", "bearer_token", "basic", "authorization", "token", "oauth2", "oauth2_token_exchange",
        "oauth2_id_jag", "aws_sigv4", "true_passthrough", "oauth_delegate",
    ] = "none"  # fmt: skip
    authentication_token: Annotated[
        Text | None, Field(validation_alias=AliasChoices("authentication_token", "auth_value"))
    ] = None
    static_headers: dict[str, str] = Field(default_factory=dict)
    extra_headers: list[Name] = Field(default_factory=list)
    command: Text | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    instructions: str | None = None
    mcp_info: dict[str, Any] = Field(default_factory=dict)
    access_groups: list[Name] = Field(default_factory=list)
    allow_all_keys: Flag = False
    allowed_tools: list[Text] | None = None
    disallowed_tools: list[Text] = Field(default_factory=list)
    allowed_params: dict[str, list[str]] = Field(default_factory=dict)
    tool_name_to_display_name: dict[str, Name] = Field(default_factory=dict)
    tool_name_to_description: dict[str, str] = Field(default_factory=dict)
    timeout: PositiveSeconds | None = None
    max_concurrent_requests: Positive | None = None
    rpm: Positive | None = None
    allow_sampling: Flag = True
    allow_elicitation: Flag = True
    oauth2_flow: Literal["authorization_code", "client_credentials"] | None = None
    client_id: Text | None = None
    client_secret: Text | None = None
    scopes: list[Text] = Field(default_factory=list)
    issuer: Text | None = None
    authorization_url: Text | None = None
    token_url: Text | None = None
    registration_url: Text | None = None
    token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post"] | None = None
    upstream_resource: str | None = None


class ToolLoopSettings(Section):
    """`routeiq.mcp.tool_loop`; the cost in US dollars."""

    max_rounds: Positive | None = None
    max_cost: Amount | None = None


Passing = Literal["off", "warn", "redact", "block"]


class McpLeakSettings(Section):
    """`routeiq.mcp.leaks`."""

    arguments: Passing = "off"
    results: Passing = "off"
    kinds: list[Literal["keys", "cards", "emails"]] = Field(default=["keys", "cards"])


class McpJwtSettings(Section):
    """`routeiq.mcp.jwt`."""

    issuer: Text | None = None
    jwks_url: Text | None = None
    audience: list[Text] = Field(default_factory=list)
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256"])
    user_id_jwt_field: Text | None = None
    team_id_jwt_field: Text | None = None
    scopes: list[Text] = Field(default_factory=list)
    call_scopes: list[Text] = Field(default_factory=list)


class McpSettings(Section):
    """`routeiq.mcp`."""

    enabled: Flag | None = None
    tool_calls: Flag | None = None
    ask_destructive: Flag = False
    tool_loop: ToolLoopSettings = Field(default_factory=ToolLoopSettings)
    prefix: Literal["always", "conditional", "never"] | None = None
    separator: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,4}$")] | None = None
    allowed_hosts: list[Name] | None = None
    allowed_origins: list[Name] = Field(default_factory=list)
    max_result: Bytes | None = None
    page: Positive | None = None
    catalog_seconds: PositiveSeconds | None = None
    session_seconds: PositiveSeconds | None = None
    max_sessions: Positive | None = None
    public_url: Text | None = None
    jwt: McpJwtSettings | None = None
    leaks: McpLeakSettings = Field(default_factory=McpLeakSettings)
    client_metadata_url: Text | None = None
    stdio_commands: list[Text] = Field(default_factory=list)
    stored_stdio: Flag = False
    stored_private_hosts: list[Name] = Field(default_factory=list)
    pinning: Literal["off", "warn", "block"] | None = None
    scan: Literal["off", "warn", "block"] | None = None
    toolsets: dict[Name, dict[Name, list[Text]]] = Field(default_factory=dict)
    search_over: Positive | None = None
