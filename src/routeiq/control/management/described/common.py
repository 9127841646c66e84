"""Limits, budgets and authorship, as all answers of the management API have them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Written(BaseModel):
    """Who wrote a record when."""

    metadata: dict[str, Any]
    created_at: str | None
    created_by: str | None
    updated_at: str | None
    updated_by: str | None


class LimitsInfo(BaseModel):
    """Limits; null is none."""

    max_budget: float | None
    soft_budget: float | None
    budget_duration: str | None
    budget_limits: list[dict[str, Any]] | None
    tpm_limit: int | None
    rpm_limit: int | None
    max_parallel_requests: int | None
    model_max_budget: dict[str, Any]


class ObjectPermissionInfo(BaseModel):
    """MCP servers, tools and agents somebody may reach."""

    mcp_servers: list[str]
    mcp_access_groups: list[str]
    mcp_tool_permissions: dict[str, list[str]]
    mcp_toolsets: list[str]
    agents: list[str]
    agent_access_groups: list[str]


class BudgetInfo(Written, LimitsInfo):
    """A shared budget."""

    budget_id: str
    allowed_models: list[str] | None
    model_rpm_limit: dict[str, int] | None
    model_tpm_limit: dict[str, int] | None
    temp_budget_increase: float | None
    temp_budget_expiry: str | None


class BudgetField(BaseModel):
    """One field of `/budget/settings`."""

    field_name: str
    field_type: str
    field_description: str
    field_value: Any
    stored_in_db: bool


class Bulk(BaseModel):
    """What became of each."""

    results: list[dict[str, Any]]
    total_requested: int
