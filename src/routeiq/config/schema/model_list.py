"""`model_list`: public names and the deployments behind them, in LiteLLM's words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ConfigDict, Field

from routeiq.config.schema.prices import PriceFields
from routeiq.config.schema.types import (
    Amount,
    BudgetDuration,
    Count,
    Flag,
    Name,
    Positive,
    PositiveSeconds,
    Seconds,
    Section,
    Text,
    _flag,
)


def _verify(value: Any) -> bool | str:
    """`ssl_verify`: a flag, or the path of a file with certificate authorities."""
    if isinstance(value, str) and ("/" in value or value.endswith((".pem", ".crt"))):
        return value
    return _flag(value)


def _identity(value: Any) -> str:
    """`model_info.id`: text; a number is taken as text, as LiteLLM does."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _credential(value: str) -> str:
    if any(not "!" <= c <= "~" for c in value):
        raise ValueError("must hold visible ASCII characters only")
    return value


Credential = Annotated[str, Field(min_length=1), AfterValidator(_credential)]
"""A secret of any length that may stand in a header."""
Verify = Annotated[bool | str, BeforeValidator(_verify)]


_API_BASE = AliasChoices("api_base", "base_url", "aws_bedrock_runtime_endpoint", "sagemaker_base_url")


class LitellmParams(PriceFields):
    """How to reach one deployment."""

    model: Name
    custom_llm_provider: Name | None = None
    api_base: Text | None = Field(default=None, validation_alias=_API_BASE)
    api_key: Text | None = None
    api_version: Name | None = None
    azure_ad_token: Text | None = None
    azure_scope: Name | None = None
    tenant_id: Name | None = None
    client_id: Name | None = None
    client_secret: Text | None = None
    aws_access_key_id: Name | None = None
    aws_secret_access_key: Name | None = None
    aws_session_token: Credential | None = None
    aws_region_name: Name | None = None
    aws_profile_name: Name | None = None
    aws_role_name: Name | None = None
    aws_session_name: Name | None = None
    aws_external_id: Text | None = None
    aws_web_identity_token: Text | None = None
    aws_sts_endpoint: Name | None = None
    vertex_project: Name | None = Field(
        default=None, validation_alias=AliasChoices("vertex_project", "vertex_ai_project")
    )
    vertex_location: Name | None = Field(
        default=None, validation_alias=AliasChoices("vertex_location", "vertex_ai_location")
    )
    vertex_credentials: Text | dict[str, Any] | None = Field(
        default=None, validation_alias=AliasChoices("vertex_credentials", "vertex_ai_credentials")
    )
    region_name: Name | None = None
    project_id: Name | None = None
    watsonx_project: Name | None = None
    space_id: Name | None = None
    token: Text | None = None
    zen_api_key: Text | None = None
    hf_model_name: Name | None = None
    """What the container of a SageMaker endpoint calls its model, where it asks."""
    drop_params: Flag | None = None
    additional_drop_params: list[Name] = Field(default_factory=list)
    organization: Name | None = None
    extra_headers: dict[str, str] = Field(default_factory=dict)
    ssl_verify: Verify | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    max_parallel_requests: Positive | None = None
    max_budget: Amount | None = None
    budget_duration: BudgetDuration | None = None
    weight: Amount | None = None
    order: Count = 0
    timeout: PositiveSeconds | None = None
    stream_timeout: PositiveSeconds | None = None
    max_retries: Count | None = None
    allowed_fails: Count | None = None
    cooldown_time: Seconds | None = None
    mock_response: str | None = None
    engine_metrics_url: Text | None = None
    """Prometheus metrics of the engine behind it (vLLM)."""
    sdk: dict[str, Any] = Field(default_factory=dict, init=False)
    """What only LiteLLM knows the meaning of, for a deployment that its SDK serves. Not written by this name."""


class ModelInfo(PriceFields):
    """What is said about a deployment; fields without a meaning here are shown by `/v1/model/info` as they are."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[Name, BeforeValidator(_identity)] | None = None
    mode: Name | None = None
    base_model: Name | None = None
    allowed_fails: Count | None = None
    cooldown_time: Seconds | None = None
    discoverable: Flag = True
    blocked: Flag = False
    """Not called, though still shown."""
    access_groups: list[Name] = Field(default_factory=list)
    team_id: Name | None = None
    """Only keys of this team may call it."""
    team_public_model_name: Name | None = None
    """What they call it by, where that is not `model_name`."""


class ModelEntry(Section):
    """One deployment under its public name."""

    model_name: Name
    litellm_params: LitellmParams
    model_info: ModelInfo = ModelInfo()

    @property
    def public(self) -> str:
        """What clients call it by."""
        return self.model_info.team_public_model_name or self.model_name if self.model_info.team_id else self.model_name

    @property
    def group(self) -> str:
        """The name of its group: a team's models are apart from those everybody may call, in LiteLLM's words."""
        team = self.model_info.team_id
        return f"model_name_{team}_{self.public}" if team else self.model_name
