"""Requests about virtual keys: https://docs.litellm.ai/docs/proxy/virtual_keys"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field, StringConstraints

from routeiq.control.management.bodies import (
    KEY_UNSUPPORTED,
    Body,
    Dollars,
    Id,
    KeyType,
    Lifetime,
    Tags,
    Until,
    Words,
    lifetime,
    nano,
)
from routeiq.control.management.grants import KEY_TYPES
from routeiq.control.management.holder_bodies import Aliases, HolderFields, said
from routeiq.control.management.limits import for_a_while
from routeiq.store.records import VirtualKey

Secret = Annotated[str, StringConstraints(pattern=r"^sk-[\x21-\x7e]{1,509}$")]
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A key, or its hex SHA-256."""
_HEX = re.compile(r"[0-9a-f]{64}")


class KeyFields(HolderFields):
    """What may be said about a key when it is made and later."""

    UNSUPPORTED: ClassVar[frozenset[str]] = KEY_UNSUPPORTED
    LIFTED: ClassVar[frozenset[str]] = HolderFields.LIFTED | {"temp_budget_increase", "temp_budget_expiry"}

    key_alias: Words | None = None
    duration: Lifetime | None = None
    spend: Dollars | None = None
    user_id: Id | None = None
    team_id: Id | None = None
    project_id: Id | None = None
    agent_id: Id | None = None
    budget_id: Id | None = None
    workspace_id: Id | None = None
    allowed_routes: list[Words] | None = Field(default=None, max_length=100)
    key_type: KeyType | None = None
    aliases: Aliases | None = None
    temp_budget_increase: Dollars | None = None
    temp_budget_expiry: Until | None = None


class GenerateKey(KeyFields):
    """`/key/generate`."""

    key: Secret | None = None


class UpdateKey(KeyFields):
    """`/key/update`."""

    key: KeyName


class RegenerateKey(KeyFields):
    """`/key/regenerate`, with what is to change beside the key itself."""

    UNSUPPORTED: ClassVar[frozenset[str]] = KEY_UNSUPPORTED | {"new_master_key"}

    key: KeyName | None = None
    new_key: Secret | None = None
    grace_period: Lifetime | None = None


class KeyReference(Body):
    """`/key/block`, `/key/unblock`."""

    key: KeyName


class DeleteKeys(Body):
    """`/key/delete`."""

    keys: list[KeyName] | None = Field(default=None, max_length=1000)
    key_aliases: list[Words] | None = Field(default=None, max_length=1000)


class ResetSpend(Body):
    """`/key/{key}/reset_spend` and its like."""

    reset_to: Dollars


class BulkKey(Body):
    """One key of `/key/bulk_update`."""

    key: KeyName
    budget_id: Id | None = None
    max_budget: Dollars | None = None
    team_id: Id | None = None
    tags: Tags | None = None


class BulkUpdateKeys(Body):
    """`/key/bulk_update`."""

    keys: list[BulkKey] = Field(max_length=500)


def digest_of(key: str) -> str:
    """The hex SHA-256 of a key; of what is one already, itself."""
    return key if _HEX.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def applied(record: VirtualKey, body: KeyFields, now: float) -> VirtualKey:
    """A record with what a request says about it."""
    new = said(record, body)
    for field, name in (
        ("key_alias", "alias"), ("user_id", "user_id"), ("team_id", "team_id"), ("project_id", "project_id"),
        ("agent_id", "agent_id"), ("budget_id", "budget_id"), ("workspace_id", "workspace_id"),
    ):  # fmt: skip
        if body.has(field):
            new[name] = getattr(body, field) or ""
    if body.has("allowed_routes"):
        new["allowed_routes"] = tuple(dict.fromkeys(body.allowed_routes or ()))
    if body.has("blocked"):
        new["blocked"] = bool(body.blocked)
    if body.has("aliases"):
        new["aliases"] = body.aliases or {}
    if body.key_type is not None:
        new["key_type"] = body.key_type
        if not new.get("allowed_routes", record.allowed_routes):
            new["allowed_routes"] = KEY_TYPES[body.key_type]
    if body.has("duration"):
        endless = body.duration in (None, "", "-1")
        new["expires"] = None if endless else now + lifetime(body.duration or "")
    if body.has("temp_budget_increase") or body.has("temp_budget_expiry"):
        increase = nano(body.temp_budget_increase) if body.temp_budget_increase is not None else None
        new["limits"] = for_a_while(new["limits"], increase, body.temp_budget_expiry)
    return msgspec.structs.replace(record, **new)
