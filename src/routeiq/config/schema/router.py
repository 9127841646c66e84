"""`router_settings`: how a deployment is chosen and what happens when it fails."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from routeiq.config.schema.types import (
    Amount,
    BudgetDuration,
    Count,
    Flag,
    Name,
    Port,
    Positive,
    PositiveSeconds,
    Seconds,
    Section,
    Text,
)

Fallbacks = list[dict[str, list[Name]]]
"""`[{from: [to, to]}]`; `from` may be `*` for every group without its own."""


class AliasTarget(Section):
    """The long form of a `model_group_alias`."""

    model: Name
    hidden: Flag = False


def _target(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class RetryPolicy(Section):
    """Retries by class of error, over `num_retries`."""

    BadRequestErrorRetries: Count | None = None
    AuthenticationErrorRetries: Count | None = None
    TimeoutErrorRetries: Count | None = None
    RateLimitErrorRetries: Count | None = None
    ContentPolicyViolationErrorRetries: Count | None = None
    InternalServerErrorRetries: Count | None = None
    ServiceUnavailableErrorRetries: Count | None = None
    NotFoundErrorRetries: Count | None = None


class ProviderBudget(Section):
    """One entry of `provider_budget_config`."""

    budget_limit: Amount = Field(validation_alias=AliasChoices("budget_limit", "max_budget"))
    time_period: BudgetDuration = Field(validation_alias=AliasChoices("time_period", "budget_duration"))


class RouterSettings(Section):
    """`router_settings`. Where `litellm_settings` has the same name, this one wins."""

    routing_strategy: Name = "simple-shuffle"
    routing_strategy_args: dict[str, Any] = Field(default_factory=dict)
    num_retries: Count | None = None
    max_fallbacks: Count | None = None
    timeout: PositiveSeconds | None = None
    stream_timeout: PositiveSeconds | None = None
    fallbacks: Fallbacks | None = None
    context_window_fallbacks: Fallbacks | None = None
    content_policy_fallbacks: Fallbacks | None = None
    default_fallbacks: list[Name] | None = None
    model_group_alias: dict[Name, Annotated[AliasTarget, BeforeValidator(_target)]] = Field(default_factory=dict)
    retry_policy: RetryPolicy = RetryPolicy()
    retry_after: Seconds = 0.0
    allowed_fails: Count | None = None
    cooldown_time: Seconds | None = None
    disable_cooldowns: Flag = False
    default_max_parallel_requests: Positive | None = None
    redis_url: Text | None = None
    redis_host: Name | None = None
    redis_port: Port | None = None
    redis_username: Text | None = None
    redis_password: Text | None = None
    redis_db: Count | None = None
    redis_ssl: Flag = False
    provider_budget_config: dict[Name, ProviderBudget] = Field(default_factory=dict)
