"""Answers of the management API, as the description shows them: LiteLLM's names."""

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


class ObjectPermissionInfo(BaseModel):
    """MCP servers, tools and agents somebody may reach."""

    mcp_servers: list[str]
    mcp_access_groups: list[str]
    mcp_tool_permissions: dict[str, list[str]]
    mcp_toolsets: list[str]
    agents: list[str]
    agent_access_groups: list[str]


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


class UserInfo(Written, LimitsInfo):
    """An internal user."""

    user_id: str
    user_alias: str | None
    user_email: str | None
    user_role: str | None
    sso_user_id: str | None
    teams: list[str]
    models: list[str]
    spend: float
    budget_reset_at: str | None
    blocked: bool


class NewUserAnswer(UserInfo):
    """A new user, with its key unless none was asked for."""

    key: str | None
    token: str | None


class UserChanged(BaseModel):
    """`/user/update`."""

    user_id: str
    data: UserInfo


class Bulk(BaseModel):
    """What became of each."""

    results: list[dict[str, Any]]
    total_requested: int


class UsersUpdated(Bulk):
    """`/user/bulk_update`."""

    successful_updates: int
    failed_updates: int


class UsersDeleted(BaseModel):
    """`/user/delete`."""

    deleted_users: list[str]
    deleted_keys: int


class ListedUser(UserInfo):
    """A user in a list."""

    key_count: int


class UserList(BaseModel):
    """`/user/list`."""

    users: list[ListedUser]
    total: int
    page: int
    page_size: int
    total_pages: int


class RoleInfo(BaseModel):
    """A role of users."""

    ui_label: str
    description: str


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


class UserAnswer(BaseModel):
    """`/user/info`."""

    user_id: str | None
    user_info: UserInfo | None
    keys: list[ListedKey]
    teams: list[TeamInfo]


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


class CustomerInfo(BaseModel):
    """A customer."""

    user_id: str
    alias: str | None
    blocked: bool
    spend: float
    models: list[str]
    budget_id: str | None
    litellm_budget_table: BudgetInfo | None


class CustomersDeleted(BaseModel):
    """`/customer/delete`."""

    deleted_customers: int
    message: str


class CustomersBlocked(BaseModel):
    """`/customer/block`."""

    blocked_users: list[CustomerInfo]


class CustomersUnblocked(BaseModel):
    """`/customer/unblock`."""

    unblocked_users: list[CustomerInfo]
