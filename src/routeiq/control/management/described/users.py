"""Answers of `/user/*`."""

from __future__ import annotations

from pydantic import BaseModel

from routeiq.control.management.described.common import Bulk, LimitsInfo, Written
from routeiq.control.management.described.keys import ListedKey
from routeiq.control.management.described.teams import TeamInfo


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


class UserAnswer(BaseModel):
    """`/user/info`."""

    user_id: str | None
    user_info: UserInfo | None
    keys: list[ListedKey]
    teams: list[TeamInfo]
