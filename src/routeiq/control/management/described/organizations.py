"""Answers of `/organization/*`."""

from __future__ import annotations

from pydantic import BaseModel

from routeiq.control.management.described.common import BudgetInfo, ObjectPermissionInfo, Written
from routeiq.control.management.described.teams import TeamInfo
from routeiq.control.management.described.users import UserInfo


class OrganizationInfo(Written):
    """An organization."""

    organization_id: str
    organization_alias: str | None
    budget_id: str | None
    spend: float
    models: list[str]
    blocked: bool
    litellm_budget_table: BudgetInfo | None
    object_permission: ObjectPermissionInfo | None


class OrganizationMembership(BaseModel):
    """A user in an organization."""

    user_id: str
    organization_id: str
    user_role: str
    user_email: str | None
    created_at: str | None


class FullOrganization(OrganizationInfo):
    """An organization with its members and teams."""

    members: list[OrganizationMembership]
    teams: list[TeamInfo]


class OrganizationMembersAdded(BaseModel):
    """`/organization/member_add`."""

    organization_id: str
    updated_users: list[UserInfo]
    updated_organization_memberships: list[OrganizationMembership]
