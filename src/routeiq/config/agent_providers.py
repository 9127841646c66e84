"""Agents of providers that do not speak A2A: where they are, what they are called, how the gateway proves who it is.

The names are LiteLLM's: https://docs.litellm.ai/docs/a2a
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from routeiq.config.address import Address, parse_base
from routeiq.config.context import Context
from routeiq.config.credentials import Access, Asked, find_access
from routeiq.config.report import Path
from routeiq.config.schema.a2a import AgentParams, AgentSettings
from routeiq.config.schema.model_list import LitellmParams
from routeiq.core.a2a import AGENT_ENGINE, AGENTCORE, FOUNDRY, LANGGRAPH, OPENAI
from routeiq.core.provider import ProviderSpec

FOUNDRY_VERSION = "v1"
"""https://learn.microsoft.com/en-us/rest/api/aifoundry/aiagents/"""
FOUNDRY_SCOPE = "https://ai.azure.com/.default"
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock-agentcore:([a-z0-9-]+):\d+:runtime/[^?\s]+(\?[^?\s]+)?")
_ENGINE = re.compile(r"projects/([^/\s]+)/locations/([a-z0-9-]+)/reasoningEngines/([^/\s]+)")


@dataclass(frozen=True, slots=True)
class Provided:
    """One agent of a provider."""

    address: Address
    model: str
    access: Access


@dataclass(frozen=True, slots=True)
class _Given:
    ctx: Context
    path: Path
    params: AgentParams
    base: Address | None
    """Where the configuration says it is."""
    model: str
    """Without the names of provider and kind in front."""

    def error(self, setting: str, message: str, hint: str = "") -> None:
        self.ctx.error((*self.path, "litellm_params", setting), message, hint)


def compile_provided(ctx: Context, path: Path, settings: AgentSettings, base: Address | None) -> Provided | None:
    """The agent, or `None` where it is wrong. `base` is its address where it has one of its own."""
    params = settings.litellm_params
    find, kind = _PROVIDERS[params.custom_llm_provider or ""]
    model = (params.model or "").removeprefix(f"{params.custom_llm_provider}/").removeprefix(kind)
    return find(_Given(ctx, path, params, base, model))


def _placed(given: _Given) -> Address | None:
    if given.base is None and not given.ctx.broken((*given.path, "url")):
        given.ctx.error((*given.path, "url"), "is required")
    return given.base


def _openai(given: _Given) -> Provided | None:
    address = _placed(given)
    if not given.model:
        given.error("model", "is required: what the model is called there")
    if address is None or not given.model:
        return None
    key = given.params.api_key
    return Provided(address, given.model, Access(("Authorization", f"Bearer {key}") if key else None))


def _langgraph(given: _Given) -> Provided | None:
    """https://docs.langchain.com/langsmith/server-api-ref: the key is `x-api-key`."""
    address = _placed(given)
    if address is None:
        return None
    key = given.params.api_key
    return Provided(address, given.model or "agent", Access(("x-api-key", key) if key else None))


def _agentcore(given: _Given) -> Provided | None:
    """https://docs.aws.amazon.com/general/latest/gr/bedrock_agentcore.html; an `api_key` is an OAuth token."""
    match = _ARN.fullmatch(given.model)
    if match is None:
        hint = "write bedrock/agentcore/arn:aws:bedrock-agentcore:REGION:ACCOUNT:runtime/NAME"
        given.error("model", "is not the ARN of a runtime of AgentCore", hint)
        return None
    region = match[1]
    address = given.base or parse_base(f"https://bedrock-agentcore.{region}.amazonaws.com")
    return Provided(address, given.model, _access(given, "bedrock-agentcore", "aws", address, region=region))


def _agent_engine(given: _Given) -> Provided | None:
    project, location = given.params.vertex_project, given.params.vertex_location
    match = _ENGINE.fullmatch(given.model)
    if match is None and project and location and re.fullmatch(r"[^/\s]+", given.model):
        match = _ENGINE.fullmatch(f"projects/{project}/locations/{location}/reasoningEngines/{given.model}")
    if match is None:
        hint = "write vertex_ai/agent_engine/projects/PROJECT/locations/LOCATION/reasoningEngines/ID"
        given.error("model", "is not the name of a reasoning engine", hint)
        return None
    address = given.base or parse_base(f"https://{match[2]}-aiplatform.googleapis.com")
    return Provided(address, match[0], _access(given, "vertex_ai", "google", address))


def _foundry(given: _Given) -> Provided | None:
    """https://learn.microsoft.com/en-us/azure/ai-foundry/agents/: Entra ID alone; an `api_key` is a token of it."""
    address = _placed(given)
    if not given.model:
        given.error("model", "is required: azure_ai/agents/ID")
    if address is None or not given.model:
        return None
    access = _access(given, "azure_ai", "azure_ad", address)
    return Provided(address, f"{given.model}?{quote(given.params.api_version or FOUNDRY_VERSION, safe='')}", access)


def _access(given: _Given, name: str, auth: str, address: Address, region: str = "") -> Access:
    """As for a deployment of that provider."""
    told = given.params.model_dump(exclude_none=True, include=set(LitellmParams.model_fields))
    if auth == "azure_ad":
        told.setdefault("azure_scope", FOUNDRY_SCOPE)
        if (key := told.pop("api_key", None)) is not None:
            told.setdefault("azure_ad_token", key)
    params = LitellmParams(**{**told, "model": given.model})
    spec = ProviderSpec(name=name, auth=auth, key_required=False)
    where = (*given.path, "litellm_params")
    access = find_access(Asked(given.ctx, spec, params, address, {"aws_region_name": region}, where))
    if access == Access() and not given.ctx.report.errors:
        given.error("custom_llm_provider", f"{name} needs credentials")
    return access


_PROVIDERS: dict[str, tuple[Callable[[_Given], Provided | None], str]] = {
    OPENAI: (_openai, ""),
    LANGGRAPH: (_langgraph, ""),
    AGENTCORE: (_agentcore, "agentcore/"),
    AGENT_ENGINE: (_agent_engine, "agent_engine/"),
    FOUNDRY: (_foundry, "agents/"),
}
"""By `custom_llm_provider`, with what may stand before the name of an agent."""
NAMES = tuple(_PROVIDERS)
