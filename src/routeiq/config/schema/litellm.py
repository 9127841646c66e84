"""`litellm_settings`: defaults for every deployment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from routeiq.config.schema.model_list import Verify
from routeiq.config.schema.router import Fallbacks
from routeiq.config.schema.types import (
    Amount,
    BudgetDuration,
    Count,
    Flag,
    Name,
    Positive,
    PositiveSeconds,
    Section,
    Text,
)


class KeyParams(Section):
    """`default_key_generate_params`, `upperbound_key_generate_params`."""

    max_budget: Amount | None = None
    budget_duration: BudgetDuration | None = None
    duration: BudgetDuration | None = None
    models: list[Name] | None = None
    max_parallel_requests: Positive | None = None
    tpm_limit: Positive | None = None
    rpm_limit: Positive | None = None
    team_id: Text | None = None


class UserParams(Section):
    """`default_internal_user_params`."""

    user_role: Literal["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"] | None = None
    max_budget: Amount | None = None
    budget_duration: BudgetDuration | None = None
    models: list[Name] | None = None
    tpm_limit: Positive | None = None
    rpm_limit: Positive | None = None
    teams: list[Text] = Field(default_factory=list)


class LitellmSettings(Section):
    """`litellm_settings`. Where `router_settings` has the same name, that one wins."""

    num_retries: Count | None = None
    max_fallbacks: Count | None = None
    request_timeout: PositiveSeconds | None = None
    fallbacks: Fallbacks | None = None
    context_window_fallbacks: Fallbacks | None = None
    content_policy_fallbacks: Fallbacks | None = None
    default_fallbacks: list[Name] | None = None
    allowed_fails: Count | None = None
    ssl_verify: Verify | None = None
    budget_exceeded_status_code: Positive | None = None
    json_logs: Flag = False
    timezone: Name = "UTC"
    max_end_user_budget_id: Text | None = None
    upperbound_key_generate_params: KeyParams = Field(default_factory=KeyParams)
    default_key_generate_params: KeyParams = Field(default_factory=KeyParams)
    default_internal_user_params: UserParams = Field(default_factory=UserParams)
    max_budget: Amount | None = None
    budget_duration: BudgetDuration | None = None
    drop_params: Flag = False
    enable_azure_ad_token_refresh: Flag = False
    mcp_aliases: dict[str, Name] = Field(default_factory=dict)
