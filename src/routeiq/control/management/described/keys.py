"""Answers of `/key/*`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from routeiq.control.management.described.common import BudgetInfo, LimitsInfo, ObjectPermissionInfo, Written


class KeyInfo(Written, LimitsInfo):
    """A key, without itself."""

    key_name: str | None
    key_alias: str | None
    spend: float
    expires: str | None
    models: list[str]
    user_id: str | None
    team_id: str | None
    organization_id: str | None
    budget_id: str | None
    workspace_id: str | None
    litellm_budget_table: BudgetInfo | None
    budget_reset_at: str | None
    blocked: bool
    allowed_routes: list[str]
    key_type: str
    aliases: dict[str, str]
    router_settings: dict[str, Any] | None
    rpm_limit_type: str | None
    tpm_limit_type: str | None
    object_permission: ObjectPermissionInfo | None
    rotation_count: int


class ListedKey(KeyInfo):
    """A key in a list."""

    token: str


class GeneratedKey(ListedKey):
    """A new key, with itself: shown this once."""

    key: str
    token_id: str


class ChangedKey(KeyInfo):
    """A key after a change, under the name it was asked for by."""

    key: str


class KeyInfoAnswer(BaseModel):
    """`/key/info`."""

    key: str
    info: KeyInfo


class KeyList(BaseModel):
    """`/key/list`: hashes, or keys with `return_full_object`."""

    keys: list[str | ListedKey]
    total_count: int
    current_page: int
    total_pages: int


class KeyAliases(BaseModel):
    """`/key/aliases`."""

    aliases: list[str]
    total_count: int
    current_page: int
    total_pages: int
    size: int


class DeletedKeys(BaseModel):
    """`/key/delete`: those that were there."""

    deleted_keys: list[str]


class KeyUpdated(BaseModel):
    """One of `/key/bulk_update`."""

    key: str
    key_info: KeyInfo


class KeyFailed(BaseModel):
    """One that could not be changed."""

    key: str
    failed_reason: str


class KeysUpdated(BaseModel):
    """`/key/bulk_update`."""

    total_requested: int
    successful_updates: list[KeyUpdated]
    failed_updates: list[KeyFailed]


class KeySpend(BaseModel):
    """`/key/{key}/reset_spend`."""

    key_hash: str
    spend: float
    previous_spend: float
    max_budget: float | None
    budget_reset_at: str | None


class KeyHealth(BaseModel):
    """`/key/health`."""

    key: str
    logging_callbacks: None
