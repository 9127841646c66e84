"""Deployments that LiteLLM's SDK calls: what of `litellm_params` it is given, and what is missing.

https://docs.litellm.ai/docs/providers
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from routeiq.config.address import parse_base
from routeiq.config.context import Context
from routeiq.config.references import SECTION
from routeiq.config.report import Path
from routeiq.config.schema.model_list import LitellmParams
from routeiq.config.source import Node
from routeiq.core.provider import ProviderSpec
from routeiq.core.snapshot import CHAT, EMBEDDING, Longtail

SDK = "sdk"
"""Where in a deployment's parameters those stand that only LiteLLM knows the meaning of."""
INSTALL = "pip install 'routeiq[litellm]'"

_OWN = frozenset((
    *("account_id", "flow_id", "input_type", "output_type", "assistant_id", "stream_mode", "deployment_url"),
    *("service_key", "gdc_token_caching", "predibase_tenant_id", "allowed_openai_params", "custom_prompt_dict"),
    *("initial_prompt_value", "final_prompt_value", "roles", "eos_token", "supports_system_message", "extra_body"),
))  # fmt: skip
"""Of the providers in the catalog whose dialect is `litellm`, and of their prompts."""
_DEFAULTS = frozenset((
    *("temperature", "top_p", "top_k", "min_p", "n", "stop", "seed", "max_tokens", "max_completion_tokens", "tools"),
    *("tool_choice", "response_format", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias"),
    *("logprobs", "top_logprobs", "reasoning_effort", "thinking", "verbosity", "dimensions", "parallel_tool_calls"),
))  # fmt: skip
"""Of a request: what holds where a client says nothing."""
_FAMILIES = re.compile(r"(oci|gigachat|sap|snowflake|vertex|aws|sagemaker|gdc)_[a-z0-9_]+")
ADDRESSING = re.compile(r"(oci|gigachat|sap|snowflake|gdc)_[a-z0-9_]+|account_id|predibase_tenant_id")
"""Those of them that no request has: accounts, regions, credentials."""
_DECLARED = (
    *("api_base", "api_key", "api_version", "azure_ad_token", "tenant_id", "client_id", "client_secret", "token"),
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region_name", "aws_profile_name"),
    *("aws_role_name", "aws_session_name", "aws_external_id", "aws_web_identity_token", "aws_sts_endpoint"),
    *("vertex_project", "vertex_location", "vertex_credentials", "region_name", "project_id", "space_id"),
    *("organization", "extra_headers", "ssl_verify"),
)
"""Parameters of ours that LiteLLM takes under the same names; all others are the gateway's own business."""


def gather(
    root: Node, providers: Mapping[str, ProviderSpec], served: frozenset[str], is_known: Callable[[str], bool]
) -> dict[int, Node]:
    """Take what only LiteLLM knows out of the entries that its SDK serves, by position in `model_list`.

    `served` are the parameters that RouteIQ itself has a meaning for. What LiteLLM has another use for than a call
    stays, to be reported like anywhere else.
    """
    models = root.get(("model_list",))
    found: dict[int, Node] = {}
    for index in range(len(models.value) if models is not None and isinstance(models.value, list) else 0):
        params = root.get(("model_list", index, "litellm_params"))
        if params is None or not isinstance(params.value, dict) or not _is_longtail(params, providers):
            continue
        mine = {
            name: node
            for name, node in params.value.items()
            if name not in served and (name in _OWN or name in _DEFAULTS or (is_known(name) and _FAMILIES.match(name)))
        }
        if mine:
            for name in mine:
                del params.value[name]
            found[index] = Node(mine, params.mark, {name: params.keys.get(name, params.mark) for name in mine})
    return found


def put(root: Node, gathered: Mapping[int, Node]) -> None:
    """Put it back under a name of its own."""
    for index, node in gathered.items():
        params = root.get(("model_list", index, "litellm_params"))
        if params is not None and isinstance(params.value, dict):
            params.value[SDK] = node


def _is_longtail(params: Node, providers: Mapping[str, ProviderSpec]) -> bool:
    named = params.get(("custom_llm_provider",)) or params.get(("model",))
    text = named.value if named is not None else None
    spec = providers.get(text.partition("/")[0]) if isinstance(text, str) else None
    return spec is not None and spec.dialect == "litellm"


def find_longtail(
    ctx: Context, spec: ProviderSpec, params: LitellmParams, id: str, path: Path
) -> tuple[Longtail, dict[str, bytes], str] | None:
    """What LiteLLM is called with, the request heads by operation, and the base URL to show, where there is one."""
    if not sdk_installed():
        message = f"the provider {spec.name} is served by LiteLLM's SDK, which is not installed"
        ctx.error((*path, "model"), message, INSTALL)
        return None
    base = ""
    if params.api_base is not None:
        try:
            base = parse_base(params.api_base).url
        except ValueError as error:
            ctx.error((*path, "api_base"), str(error))
            return None
    written = params.model_dump(include=set(_DECLARED), exclude_defaults=True)
    section = ctx.root.get((SECTION,))
    names = section.value if section is not None and isinstance(section.value, dict) else {}
    environment = {name: ctx.environ[name] for name in names if name in ctx.environ}
    operations = [CHAT] if "chat" in spec.capabilities else []
    if "embeddings" in spec.capabilities:
        operations.append(EMBEDDING)
    return Longtail(arguments={**written, **params.sdk}, environment=environment), _heads(id, operations), base


def sdk_installed() -> bool:
    """Whether LiteLLM is there, without importing it."""
    try:
        return importlib.util.find_spec("litellm") is not None
    except (ImportError, ValueError):
        return False


def _heads(id: str, operations: list[str]) -> dict[str, bytes]:
    fixed = f"Host: longtail\r\nX-RouteIQ-Deployment: {quote(id, safe='')}\r\nContent-Type: application/json\r\n"
    return {name: f"POST /{name} HTTP/1.1\r\n{fixed}".encode("ascii") for name in operations}
