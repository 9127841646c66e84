"""What is kept of keys, users, teams, organizations, end users and budgets: one struct each, stored as JSON.

Money is in nano-dollars, times are Unix seconds. `""` and `()` mean that nothing was said, `None` that there is no
limit.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.keys import ObjectPermission, Routing


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be spent in one period."""

    max_budget: int
    budget_duration: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What anybody may be limited by."""

    max_budget: int | None = None
    soft_budget: int | None = None
    budget_duration: str = ""
    budget_limits: tuple[Window, ...] = ()
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None
    model_rpm_limit: dict[str, int] = {}
    model_tpm_limit: dict[str, int] = {}
    model_max_budget: dict[str, Window] = {}
    temp_budget_increase: int = 0
    temp_budget_expiry: float = 0.0

    def over(self, budget: Limits) -> Limits:
        """These, and where they say nothing those of a shared budget. An amount and its duration go together."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) not in (None, {})}
        if self.max_budget is None:
            given.pop("budget_duration")
        for name in ("budget_limits", "temp_budget_increase", "temp_budget_expiry"):
            if not given[name]:
                given.pop(name)
        return msgspec.structs.replace(budget, **given)


class Spending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is counted besides the ledger, after a reset or a change of the key."""

    carry: dict[str, int] = {}
    """By duration of a budget: to be added to what the ledger has since the period's beginning, when `at` is in it."""
    at: float = 0.0
    previous: tuple[str, ...] = ()
    """Digests the key had before."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all of them have."""

    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""
    metadata: dict[str, Any] = {}


class Budget(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Limits that several may share by name. Each of them has all of it."""

    budget_id: str
    limits: Limits = Limits()
    allowed_models: tuple[str, ...] = ()


class Organization(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A tenant."""

    organization_id: str
    alias: str = ""
    budget_id: str = ""
    limits: Limits = Limits()
    """Per model; everything else is in its budget."""
    models: tuple[str, ...] = ()
    blocked: bool = False
    object_permission: ObjectPermission | None = None
    spending: Spending = Spending()


class Workspace(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Keys that are held together, whoever has them."""

    workspace_id: str
    name: str = ""
    organization_id: str = ""
    limits: Limits = Limits()
    allowed_models: tuple[str, ...] = ()
    """Public names, patterns and access groups, as `@name` or plain; none allow all."""
    blocked_models: tuple[str, ...] = ()
    """The same; they go before what is allowed."""
    blocked: bool = False


class OrganizationMember(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A user in an organization."""

    organization_id: str
    user_id: str
    role: str = "internal_user"
    budget_id: str = ""


class Team(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Users who share keys, models and limits."""

    team_id: str
    alias: str = ""
    organization_id: str = ""
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    blocked: bool = False
    tags: tuple[str, ...] = ()
    member_budget_id: str = ""
    """Of members without a budget of their own."""
    member_permissions: tuple[str, ...] | None = None
    """Management routes that members may use for the team's keys."""
    access_group_ids: tuple[str, ...] = ()
    model_aliases: dict[str, str] = {}
    routing: Routing | None = None
    rpm_limit_type: str = ""
    tpm_limit_type: str = ""
    object_permission: ObjectPermission | None = None
    spending: Spending = Spending()


class TeamMember(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A user in a team."""

    team_id: str
    user_id: str
    role: str = "user"
    """`admin` or `user`."""
    user_email: str = ""
    budget_id: str = ""
    own: bool = False
    """The budget is this member's alone."""
    spending: Spending = Spending()


class User(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who owns keys."""

    user_id: str
    alias: str = ""
    email: str = ""
    role: str = "internal_user"
    sso_user_id: str = ""
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    blocked: bool = False
    spending: Spending = Spending()


class EndUser(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A customer of the gateway's users: the `user` of a request."""

    user_id: str
    alias: str = ""
    blocked: bool = False
    budget_id: str = ""
    models: tuple[str, ...] = ()
    default_model: str = ""
    allowed_model_region: str = ""
    spending: Spending = Spending()


class VirtualKey(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A key, by its digest."""

    digest: str
    """Lower-case hex SHA-256."""
    name: str = ""
    """`sk-...wxyz`."""
    alias: str = ""
    user_id: str = ""
    team_id: str = ""
    organization_id: str = ""
    project_id: str = ""
    agent_id: str = ""
    budget_id: str = ""
    workspace_id: str = ""
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    expires: float | None = None
    blocked: bool = False
    tags: tuple[str, ...] = ()
    key_type: str = "default"
    allowed_routes: tuple[str, ...] = ()
    access_group_ids: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    routing: Routing | None = None
    rpm_limit_type: str = ""
    tpm_limit_type: str = ""
    object_permission: ObjectPermission | None = None
    last_rotation_at: float | None = None
    rotation_count: int = 0
    admin: bool = False
    """May manage everything: only of rows that an older version wrote."""
    spending: Spending = Spending()
