"""What requests about keys and about teams have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from routeiq.control.management import object_permissions, routing
from routeiq.control.management.bodies import Body, Id, LimitFields, Metadata, Names, Tags
from routeiq.control.management.limits import changed
from routeiq.store.records import Team, VirtualKey

LimitType = Literal["guaranteed_throughput", "best_effort_throughput"]
"""https://docs.litellm.ai/docs/proxy/users#setting-rate-limits"""


class ObjectPermissionFields(Body):
    """`object_permission`: which MCP servers, tools and agents may be reached. https://docs.litellm.ai/docs/mcp_control"""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("object_permission_id", "vector_stores", "models", "search_tools", "skills", "blocked_tools",
         "mcp_tool_search_enabled")
    )  # fmt: skip

    mcp_servers: Names | None = None
    mcp_access_groups: Names | None = None
    mcp_tool_permissions: Annotated[dict[Id, Names], Field(max_length=1000)] | None = None
    mcp_toolsets: Names | None = None
    agents: Names | None = None
    agent_access_groups: Names | None = None


class GroupAlias(BaseModel):
    """One of `model_group_alias`, as LiteLLM writes it at length."""

    model_config = ConfigDict(extra="forbid")

    model: Id
    hidden: bool = False


Aliases = Annotated[dict[Id, Id], Field(max_length=1000)]
Fallbacks = Annotated[list[Annotated[dict[Id, Names], Field(min_length=1)]], Field(max_length=1000)]


class RouterSettings(Body):
    """`router_settings` of keys and teams. https://docs.litellm.ai/docs/proxy/keys_teams_router_settings"""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        (
            "routing_strategy", "routing_strategy_args", "routing_groups", "retry_policy", "model_group_retry_policy",
            "model_group_affinity_config", "allowed_fails", "cooldown_time", "max_retries", "retry_after",
            "enable_tag_filtering", "weights", "tag_routing_prefix", "optional_pre_call_checks",
            "fallback_on_unsupported_params",
        )
    )  # fmt: skip

    model_group_alias: Annotated[dict[Id, Id | GroupAlias], Field(max_length=1000)] | None = None
    fallbacks: Fallbacks | None = None
    context_window_fallbacks: Fallbacks | None = None
    content_policy_fallbacks: Fallbacks | None = None
    num_retries: Annotated[int, Field(ge=0, le=10)] | None = None
    timeout: Annotated[float, Field(gt=0, le=6000)] | None = None
    target_quality: Annotated[float, Field(ge=0, le=1)] | None = None
    max_cost: Annotated[float, Field(ge=0)] | None = None
    willingness_to_pay: Annotated[float, Field(ge=0)] | None = None
    profile: Literal["auto", "eco", "premium", "free", "reasoning"] | None = None
    latency: Annotated[float, Field(gt=0)] | None = None
    models: Names | None = None
    excluded: Names | None = None
    region: str | None = None
    residency: bool | None = None


class HolderFields(LimitFields):
    """What may be said about a key and about a team."""

    LIFTED: ClassVar[frozenset[str]] = frozenset(
        ("tags", "model_rpm_limit", "model_tpm_limit", "rpm_limit_type", "tpm_limit_type")
    )

    organization_id: Id | None = None
    models: Names | None = None
    tags: Tags | None = None
    access_group_ids: Names | None = None
    blocked: bool | None = None
    metadata: Metadata | None = None
    object_permission: ObjectPermissionFields | None = None
    router_settings: RouterSettings | None = None
    rpm_limit_type: LimitType | None = None
    tpm_limit_type: LimitType | None = None


def said(record: VirtualKey | Team, body: HolderFields) -> dict[str, Any]:
    """The fields of a record that a request changes."""
    new: dict[str, Any] = {"limits": changed(record.limits, body)}
    for name in ("organization_id", "rpm_limit_type", "tpm_limit_type"):
        if body.has(name):
            new[name] = getattr(body, name) or ""
    for name in ("models", "tags", "access_group_ids"):
        if body.has(name):
            new[name] = tuple(dict.fromkeys(getattr(body, name) or ()))
    if body.has("metadata"):
        new["metadata"] = body.metadata or {}
    if body.has("router_settings"):
        new["routing"] = routing.made(body.router_settings)
    if body.has("object_permission"):
        new["object_permission"] = object_permissions.changed(record.object_permission, body.object_permission)
    return new
