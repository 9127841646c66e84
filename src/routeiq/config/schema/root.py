"""The whole configuration, as far as it is valid."""

from __future__ import annotations

from dataclasses import dataclass, field

from routeiq.config.report import Path
from routeiq.config.schema.a2a import AgentSettings
from routeiq.config.schema.general import GeneralSettings
from routeiq.config.schema.litellm import LitellmSettings
from routeiq.config.schema.mcp import McpServerSettings
from routeiq.config.schema.model_list import ModelEntry
from routeiq.config.schema.routeiq import RouteiqSettings
from routeiq.config.schema.router import RouterSettings

SECTIONS = (
    "model_list", "mcp_servers", "agents", "agent_list", "credential_list", "router_settings", "litellm_settings",
    "general_settings", "routeiq", "environment_variables",
)  # fmt: skip
"""Top-level names that are served; `include` is consumed while files are read."""


@dataclass(frozen=True, slots=True)
class Config:
    """Sections after validation. `models` keeps each entry's position in `model_list`; broken entries are absent."""

    models: tuple[tuple[int, ModelEntry], ...] = ()
    router: RouterSettings = field(default_factory=RouterSettings)
    litellm: LitellmSettings = field(default_factory=LitellmSettings)
    general: GeneralSettings = field(default_factory=GeneralSettings)
    routeiq: RouteiqSettings = field(default_factory=RouteiqSettings)
    mcp_servers: tuple[tuple[str, McpServerSettings], ...] = ()
    """In the order of the file, by name."""
    agents: tuple[tuple[Path, AgentSettings], ...] = ()
    """In the order of the file, with where each stands."""
