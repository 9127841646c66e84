"""Requests about users: https://docs.litellm.ai/docs/proxy/users"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
from pydantic import Field

from routeiq.control.management.bodies import (
    KEY_UNSUPPORTED,
    Body,
    Dollars,
    Id,
    KeyType,
    Lifetime,
    LimitFields,
    Metadata,
    Names,
    Words,
)
from routeiq.control.management.limits import changed
from routeiq.store.records import User

UserRole = Literal["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]
ROLES = {
    "proxy_admin": ("Admin (All Permissions)", "may do everything"),
    "proxy_admin_viewer": ("Admin (View Only)", "may see everything and change nothing"),
    "internal_user": ("Internal User (Create/Delete/View)", "may make, see and delete its own keys"),
    "internal_user_viewer": ("Internal User (View Only)", "may see its own keys and spend"),
}
_UNSUPPORTED = KEY_UNSUPPORTED | {
    "password", "agent_id", "access_group_ids", "object_permission", "aliases", "router_settings",
    "rpm_limit_type", "tpm_limit_type",
}  # fmt: skip


class UserFields(LimitFields):
    """What may be said about a user when it is made and later."""

    UNSUPPORTED: ClassVar[frozenset[str]] = _UNSUPPORTED

    user_email: Words | None = None
    user_alias: Words | None = None
    user_role: UserRole | None = None
    models: Names | None = None
    metadata: Metadata | None = None
    spend: Dollars | None = None
    blocked: bool | None = None
    sso_user_id: Words | None = None


class UserTeam(Body):
    """A team a new user is to be in."""

    team_id: Id
    max_budget_in_team: Dollars | None = None
    user_role: Literal["admin", "user"] = "user"


class NewUser(UserFields):
    """`/user/new`."""

    user_id: Id | None = None
    teams: list[Id | UserTeam] | None = Field(default=None, max_length=100)
    team_id: Id | None = None
    organizations: Names | None = None
    organization_id: Id | None = None
    auto_create_key: bool = True
    key_alias: Words | None = None
    duration: Lifetime | None = None
    key_type: KeyType | None = None
    budget_id: Id | None = None
    """Of the key: users have limits of their own."""


class UpdateUser(UserFields):
    """`/user/update`: the user by its id or its address."""

    UNSUPPORTED: ClassVar[frozenset[str]] = _UNSUPPORTED | {"budget_id"}

    user_id: Id | None = None
    auto_create_key: bool | None = None
    """Of `/user/new`: Terraform's provider says it again, and nothing is to be done."""


class BulkUpdateUsers(Body):
    """`/user/bulk_update`."""

    users: list[UpdateUser] = Field(min_length=1, max_length=500)


class UserIds(Body):
    """`/user/delete`."""

    user_ids: list[Id] = Field(min_length=1, max_length=1000)


def applied(record: User, body: UserFields) -> User:
    """A record with what a request says about it."""
    new: dict[str, Any] = {"limits": changed(record.limits, body)}
    for field, name in (
        ("user_email", "email"), ("user_alias", "alias"), ("sso_user_id", "sso_user_id"),
    ):  # fmt: skip
        if body.has(field):
            new[name] = getattr(body, field) or ""
    if body.user_role is not None:
        new["role"] = body.user_role
    if body.blocked is not None:
        new["blocked"] = body.blocked
    if body.has("models"):
        new["models"] = tuple(dict.fromkeys(body.models or ()))
    if body.has("metadata"):
        new["metadata"] = body.metadata or {}
    return msgspec.structs.replace(record, **new)
