"""Requests about teams: https://docs.litellm.ai/docs/proxy/team_budgets"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field, model_validator

from routeiq.control.management.bodies import (
    Body,
    BudgetDuration,
    Count,
    Dollars,
    Id,
    LimitFields,
    Names,
    Until,
    Words,
)
from routeiq.control.management.holder_bodies import Aliases, HolderFields, said
from routeiq.control.management.rights import PERMISSIONS
from routeiq.core.errors import BadRequest
from routeiq.store.records import Team

Role = Literal["admin", "user"]
_UNSUPPORTED = frozenset(
    (
        "tpd_limit", "default_team_member_models", "guardrails", "policies", "prompts", "secret_manager_settings",
        "allowed_passthrough_routes", "enforced_batch_output_expires_after", "enforced_file_expires_after",
        "mcp_rpm_limit", "disable_global_guardrails", "allowed_vector_store_indexes", "admins", "members",
        "default_estimated_output_tokens", "default_estimated_output_tokens_per_model",
        "allow_team_guardrail_config", "denied_passthrough_routes", "team_member_key_duration",
    )
)  # fmt: skip


class Member(Body):
    """A user in a team; one that nobody knows yet is made."""

    user_id: Id | None = None
    user_email: Words | None = None
    role: Role = "user"

    @model_validator(mode="after")
    def _somebody(self) -> Member:
        if not self.user_id and not self.user_email:
            raise ValueError("needs a user_id or a user_email")
        return self


class TeamFields(HolderFields):
    """What may be said about a team when it is made and later."""

    UNSUPPORTED: ClassVar[frozenset[str]] = _UNSUPPORTED
    SHOWN: ClassVar[frozenset[str]] = frozenset(("team_member_budget_id",))

    team_alias: Words | None = None
    model_aliases: Aliases | None = None
    team_member_permissions: list[Words] | None = Field(default=None, max_length=50)
    team_member_budget: Dollars | None = None
    team_member_budget_duration: BudgetDuration | None = None
    team_member_rpm_limit: Count | None = None
    team_member_tpm_limit: Count | None = None

    def member_limits(self) -> LimitFields | None:
        """What is said about members who have no budget of their own."""
        names = {
            "team_member_budget": "max_budget",
            "team_member_budget_duration": "budget_duration",
            "team_member_rpm_limit": "rpm_limit",
            "team_member_tpm_limit": "tpm_limit",
        }
        given = {name: getattr(self, field) for field, name in names.items() if self.has(field)}
        return LimitFields(**given) if given else None


class NewTeam(TeamFields):
    """`/team/new`."""

    team_id: Id | None = None
    members_with_roles: list[Member] | None = Field(default=None, max_length=1000)


class UpdateTeam(TeamFields):
    """`/team/update`."""

    team_id: Id


class PatchTeam(TeamFields):
    """`PATCH /team/{team_id}`."""


class TeamIds(Body):
    """`/team/delete`."""

    team_ids: list[Id] = Field(min_length=1, max_length=1000)


class TeamId(Body):
    """`/team/block`, `/team/unblock`."""

    team_id: Id


class TeamModels(Body):
    """`/team/model/add`, `/team/model/delete`."""

    team_id: Id
    models: Names


class TeamPermissions(Body):
    """`/team/permissions_update`."""

    team_id: Id
    team_member_permissions: list[Words] = Field(max_length=50)


class MemberBudget(Body):
    """What a request may say about a member's budget."""

    max_budget_in_team: Dollars | None = None
    budget_duration: BudgetDuration | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    allowed_models: Names | None = None
    temp_budget_increase: Dollars | None = None
    temp_budget_expiry: Until | None = None

    def limits(self) -> LimitFields:
        """The same in the words of budgets."""
        given = {name: getattr(self, name) for name in ("budget_duration", "tpm_limit", "rpm_limit") if self.has(name)}
        if self.has("max_budget_in_team"):
            given["max_budget"] = self.max_budget_in_team
        return LimitFields(**given)

    def says_something(self) -> bool:
        """Whether there is anything about a budget in it."""
        return any(self.has(name) for name in MemberBudget.model_fields)


class AddMember(MemberBudget):
    """`/team/member_add`."""

    team_id: Id
    member: Member | Annotated[list[Member], Field(min_length=1, max_length=1000)]


class BulkAddMembers(MemberBudget):
    """`/team/bulk_member_add`."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("all_users",))

    team_id: Id
    members: list[Member] = Field(min_length=1, max_length=500)


class DeleteMember(Body):
    """`/team/member_delete`."""

    team_id: Id
    user_id: Id | None = None
    user_email: Words | None = None


class UpdateMember(MemberBudget):
    """`/team/member_update`."""

    team_id: Id
    user_id: Id | None = None
    user_email: Words | None = None
    role: Role | None = None


def applied(record: Team, body: TeamFields) -> Team:
    """A record with what a request says about it."""
    new = said(record, body)
    if body.has("team_alias"):
        new["alias"] = body.team_alias or ""
    if body.blocked is not None:
        new["blocked"] = body.blocked
    if body.has("model_aliases"):
        new["model_aliases"] = body.model_aliases or {}
    if body.has("team_member_permissions"):
        new["member_permissions"] = permissions(body.team_member_permissions)
    return msgspec.structs.replace(record, **new)


def permissions(asked: list[str] | None) -> tuple[str, ...] | None:
    """Those members get. Raises `BadRequest` for what is none."""
    for name in asked or ():
        if name not in PERMISSIONS:
            raise BadRequest(
                f"team_member_permissions: {name!r} is none of {', '.join(PERMISSIONS)}",
                param="team_member_permissions",
            )
    return tuple(asked) if asked is not None else None
