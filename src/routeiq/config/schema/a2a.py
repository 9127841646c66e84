"""`agents`, in LiteLLM's words: https://docs.litellm.ai/docs/a2a. And `routeiq.a2a`, what it has no word for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from routeiq.config.schema.model_list import Credential
from routeiq.config.schema.types import Amount, Bytes, Flag, Name, Positive, PositiveSeconds, Section, Text


class AgentParams(Section):
    """`litellm_params` of an agent."""

    api_base: Text | None = None
    api_key: Text | None = None
    custom_llm_provider: Name | None = None
    model: Name | None = None
    """What a provider of another protocol knows it as."""
    api_version: Name | None = None
    aws_access_key_id: Name | None = None
    aws_secret_access_key: Name | None = None
    aws_session_token: Credential | None = None
    aws_profile_name: Name | None = None
    aws_role_name: Name | None = None
    aws_session_name: Name | None = None
    aws_web_identity_token: Text | None = None
    vertex_project: Name | None = None
    vertex_location: Name | None = None
    vertex_credentials: Text | dict[str, Any] | None = None
    azure_ad_token: Text | None = None
    tenant_id: Name | None = None
    client_id: Name | None = None
    client_secret: Text | None = None
    cost_per_query: Amount = 0.0


class AgentSettings(Section):
    """One of `agents`."""

    agent_name: Name
    agent_id: Name | None = None
    url: Text | None = None
    agent_card_params: dict[str, Any] = Field(default_factory=dict)
    litellm_params: AgentParams = AgentParams()
    auth_type: Literal["none", "api_key", "bearer_token", "basic", "authorization", "token"] = "none"
    authentication_token: Annotated[
        Text | None, Field(validation_alias=AliasChoices("authentication_token", "auth_value"))
    ] = None
    static_headers: dict[str, str] = Field(default_factory=dict)
    extra_headers: list[Name] = Field(default_factory=list)
    card_path: Text | None = None
    protocol_version: Literal["auto", "0.3", "1.0"] = "auto"
    protocol_binding: Literal["auto", "JSONRPC", "HTTP+JSON"] = "auto"
    card_signatures: Literal["verbatim", "drop"] = "drop"
    access_groups: Annotated[
        list[Name], Field(default_factory=list, validation_alias=AliasChoices("access_groups", "access_group_ids"))
    ]
    allow_all_keys: Flag = False
    enabled: Flag = True
    timeout: PositiveSeconds | None = None
    max_concurrent_requests: Positive | None = None
    rpm_limit: Annotated[Positive | None, Field(validation_alias=AliasChoices("rpm_limit", "rpm"))] = None


class A2aSettings(Section):
    """`routeiq.a2a`."""

    enabled: Flag | None = None
    public_url: Text | None = None
    max_message: Bytes | None = None
    card_seconds: PositiveSeconds | None = None
    task_seconds: PositiveSeconds | None = None
    private_webhooks: Flag | None = None
    stored_private_hosts: list[Name] = Field(default_factory=list)
