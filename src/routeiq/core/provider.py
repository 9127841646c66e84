"""What is known about a provider: the catalog's entry, from which request heads are rendered."""

from __future__ import annotations

import msgspec

OPENAI_PATHS = {"chat": "/chat/completions", "completion": "/completions", "embedding": "/embeddings"}


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One provider. Facts come from LiteLLM's provider registry and the providers' own API references."""

    name: str
    """The prefix in `litellm_params.model`: `groq` of `groq/llama-3.3-70b`."""
    base_url: str | None = None
    """Default `api_base`; `{NAME}` is replaced by that environment variable. `None`: the operator must give one."""
    base_env: tuple[str, ...] = ()
    """Environment variables that replace `base_url`, the first that is set."""
    key_env: tuple[str, ...] = ()
    """Environment variables with the key, used when `litellm_params.api_key` is absent; the first that is set."""
    key_required: bool = True
    dialect: str = "openai"
    """What it speaks: `openai`, or `demo` for the embedded provider."""
    auth: str = "bearer"
    """`bearer`: `Authorization: Bearer KEY`. `api-key`: `api-key: KEY`. `none`: no credentials."""
    paths: dict[str, str] = msgspec.field(default_factory=OPENAI_PATHS.copy)
    """Path after the base by endpoint; `{model}` is the percent-encoded model, `{version}` the `api_version`."""
    default_version: str | None = None
    """`api_version` when neither the configuration nor `version_env` gives one."""
    version_env: tuple[str, ...] = ()
    price_provider: str | None = None
    """The provider's id in genai-prices; `None` when it is not priced there."""
    served: bool = True
    """False: LiteLLM knows the name, RouteIQ does not serve it yet."""
