"""What is known about a provider: the catalog's entry, from which request heads are rendered."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

OPENAI_PATHS = {"chat": "/chat/completions", "completion": "/completions", "embedding": "/embeddings"}

DIALECTS = (
    "openai", "anthropic", "gemini", "bedrock", "cohere", "ollama", "replicate", "watsonx", "tei", "sagemaker",
    "sagemaker_text", "litellm", "demo",
)  # fmt: skip
"""What providers speak. `litellm`: through LiteLLM's SDK (`routeiq[litellm]`); `demo`: the embedded provider."""

SIGNED = ("aws", "google", "azure_ad", "watsonx", "databricks")
"""Auth schemes whose credentials are made or renewed while serving."""
AUTH = ("bearer", "api-key", "x-api-key", "x-goog-api-key", "none", *SIGNED)

CAPABILITIES = (
    "chat", "stream", "tools", "vision", "documents", "audio", "json_schema", "reasoning", "embeddings", "rerank",
    "responses", "prompt_caching",
)  # fmt: skip

Quirk = bool | str | list[str]


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How some of a provider's models differ from the rest. What is `None` is as in the provider."""

    match: str
    """A glob on the provider's model name, case-sensitive."""
    strip: str = ""
    """Taken off the front of the model's name: `converse/` of `bedrock/converse/amazon.nova-pro-v1:0`."""
    dialect: str | None = None
    auth: str | None = None
    paths: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    quirks: dict[str, Quirk] | None = None
    capabilities: tuple[str, ...] | None = None


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One provider. Facts come from LiteLLM's provider registry and the providers' own API references."""

    name: str
    """The prefix in `litellm_params.model`: `groq` of `groq/llama-3.3-70b`."""
    base_url: str | None = None
    """Default `api_base`; `{NAME}` is replaced by that environment variable, `{name}` by that parameter of
    `litellm_params` (`{aws_region_name}`). `None`: the operator must give one, or there is none to give.
    """
    base_env: tuple[str, ...] = ()
    """Environment variables that replace `base_url`, the first that is set."""
    key_env: tuple[str, ...] = ()
    """Environment variables with the key, used when `litellm_params.api_key` is absent; the first that is set."""
    key_required: bool = True
    dialect: str = "openai"
    """One of `DIALECTS`."""
    auth: str = "bearer"
    """`bearer`: `Authorization: Bearer KEY`. `api-key`, `x-api-key`, `x-goog-api-key`: a header of that name. `none`:
    no credentials. Else one of `SIGNED`.
    """
    paths: dict[str, str] = msgspec.field(default_factory=OPENAI_PATHS.copy)
    """Path after the base by operation; `{model}` is the percent-encoded model, `{version}` the `api_version`."""
    headers: dict[str, str] = {}
    """Sent with every request."""
    quirks: dict[str, Quirk] = {}
    """Differences inside a dialect; docs/providers.md says what each means."""
    capabilities: tuple[str, ...] = ("chat", "stream", "tools")
    """What some of its models can do, names of `CAPABILITIES`."""
    variants: tuple[Variant, ...] = ()
    """Models that are called in another way; the first that matches counts."""
    default_version: str | None = None
    """`api_version` when neither the configuration nor `version_env` gives one."""
    version_env: tuple[str, ...] = ()
    price_provider: str | None = None
    """The provider's id in genai-prices; `None` when it is not priced there."""
    served: bool = True
    """False: LiteLLM knows the name, RouteIQ does not serve it; `reason` says why."""
    reason: str = ""


def resolve(spec: ProviderSpec, model: str) -> tuple[ProviderSpec, str]:
    """The provider as it is for one model, without variants, and the model's name on the wire.

    `model` is the name after `provider/`; a wildcard's pattern matches the variants that match its text.
    """
    for variant in spec.variants:
        if fnmatchcase(model, variant.match):
            changed = {
                name: value
                for name in ("dialect", "auth", "paths", "headers", "quirks", "capabilities")
                if (value := getattr(variant, name)) is not None
            }
            return msgspec.structs.replace(spec, variants=(), **changed), model.removeprefix(variant.strip)
    return (msgspec.structs.replace(spec, variants=()), model) if spec.variants else (spec, model)
