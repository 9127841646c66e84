"""Answers of `/team/*`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from routeiq.control.management.described.common import BudgetInfo, Bulk, LimitsInfo, ObjectPermissionInfo, Written
from routeiq.control.management.described.keys import ListedKey


class TeamMemberInfo(BaseModel):
    """A member as a team lists it."""

    user_id: str
    user_email: str | None
    role: str


class TeamInfo(Written, LimitsInfo):
    """A team with its members."""

    team_id: str
    team_alias: str | None
    organization_id: str | None
    members_with_roles: list[TeamMemberInfo]
    team_member_permissions: list[str]
    models: list[str]
    blocked: bool
    spend: float
    budget_reset_at: str | None
    litellm_model_table: dict[str, Any] | None
    router_settings: dict[str, Any] | None
    rpm_limit_type: str | None
    tpm_limit_type: str | None
    object_permission: ObjectPermissionInfo | None


class MembershipInfo(BaseModel):
    """What a member may use of its team."""

    user_id: str
    team_id: str
    budget_id: str | None
    spend: float
    litellm_budget_table: BudgetInfo | None


class OwnMembership(MembershipInfo):
    """`/team/{team_id}/members/me`."""

    role: str
    user_email: str | None


class TeamAnswer(BaseModel):
    """`/team/info`."""

    team_id: str
    team_info: TeamInfo
    keys: list[ListedKey]
    team_memberships: list[MembershipInfo]


class TeamChanged(BaseModel):
    """`/team/update`."""

    team_id: str
    data: TeamInfo


class ListedTeam(TeamInfo):
    """A team of `/team/list`."""

    team_memberships: list[MembershipInfo]
    keys: list[ListedKey]


class TeamList(BaseModel):
    """`/v2/team/list`."""

    teams: list[TeamInfo]
    total: int
    page: int
    page_size: int
    total_pages: int


class TeamsDeleted(BaseModel):
    """`/team/delete`."""

    deleted_teams: list[str]
    deleted_keys: int


class TeamPermissionsInfo(BaseModel):
    """`/team/permissions_list`."""

    team_id: str
    team_member_permissions: list[str]
    all_available_permissions: list[str]


class MembersAdded(TeamInfo):
    """`/team/member_add`."""

    updated_users: list[dict[str, Any]]
    updated_team_memberships: list[MembershipInfo]


class MembersBulkAdded(Bulk):
    """`/team/bulk_member_add`."""

    team_id: str
    successful_additions: int
    failed_additions: int
    updated_team: TeamInfo


class MemberChanged(BaseModel):
    """`/team/member_update`."""

    team_id: str
    user_id: str
    user_email: str | None
    role: str
    max_budget_in_team: float | None
    tpm_limit: int | None
    rpm_limit: int | None
    budget_duration: str | None
    allowed_models: list[str] | None
    temp_budget_increase: float | None
    temp_budget_expiry: str | None


class MemberBudgetReset(BaseModel):
    """`/team/{team_id}/member/{user_id}/reset_budget`."""

    team_id: str
    user_id: str
    budget_id: str | None
    previous_budget_id: str | None
    budget_source: str | None


class MemberSpendReset(BaseModel):
    """`/team/{team_id}/member/{user_id}/reset_spend`."""

    team_id: str
    user_id: str
    spend: float
    previous_spend: float
