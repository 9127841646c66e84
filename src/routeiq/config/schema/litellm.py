"""`litellm_settings`: defaults for every deployment."""

from __future__ import annotations

from routeiq.config.schema.model_list import Verify
from routeiq.config.schema.router import Fallbacks
from routeiq.config.schema.types import Count, Flag, Name, Positive, PositiveSeconds, Section


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
    drop_params: Flag = False
    enable_azure_ad_token_refresh: Flag = False
