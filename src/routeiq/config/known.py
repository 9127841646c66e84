"""Names LiteLLM knows and RouteIQ does not serve yet: they are accepted with a warning, never in silence.

The names stand in `known.json`. They are facts from LiteLLM 1.106 and 1.109: the fields of its
`ConfigGeneralSettings`, `Router`, `LiteLLM_Params` and `ModelInfo`, the settable attributes of the package and
the settings its documentation lists.
"""

from __future__ import annotations

import re
from importlib.resources import files

import msgspec


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names by section."""

    top_level: frozenset[str]
    mcp_servers: frozenset[str]
    """Of one server."""
    agents: frozenset[str]
    """Of one agent."""
    agent_params: frozenset[str]
    """`litellm_params` of one."""
    litellm_params: frozenset[str]
    """With the request parameters LiteLLM takes as a deployment's defaults."""
    model_info: frozenset[str]
    """Fields with a meaning in LiteLLM that here are only shown by `/v1/model/info`."""
    router_settings: frozenset[str]
    retry_policy: frozenset[str]
    litellm_settings: frozenset[str]
    general_settings: frozenset[str]

    def is_param(self, name: str) -> bool:
        """Whether LiteLLM has a meaning for a name in `litellm_params`."""
        return name in self.litellm_params or _PARAM_FAMILY.fullmatch(name) is not None

    def is_agent_param(self, name: str) -> bool:
        """The same for an agent, which takes all of a model besides its own."""
        return name in self.agent_params or self.is_param(name)


_PARAM_FAMILY = re.compile(
    r"(aws|vertex|azure|watsonx|s3|sagemaker|bedrock|auto_router|adaptive_router|complexity_router|quality_router"
    r"|milvus|valkey|oci|gigachat|sap|snowflake|nvidia|wx|litellm)_[a-z0-9_]+"
    r"|[a-z0-9_]*_cost(_per_[a-z0-9_]+)?|[a-z0-9_]*(cost|price)[a-z0-9_]*(token|second|character|query|image|pixel"
    r"|page|gb|session|call|request|batches|priority|flex)[a-z0-9_]*|tiered_pricing|regional_processing_uplift[a-z_]*"
)
"""The credential families of the native providers, and LiteLLM's roughly 150 price keys."""


def load_known() -> Known:
    """The names LiteLLM knows."""
    return msgspec.json.decode(files("routeiq.config").joinpath("known.json").read_bytes(), type=Known)
