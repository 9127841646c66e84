"""Who may do what: the access every route declares, and LiteLLM's roles by operation.

    route ── Access ── INTERNAL, METRICS, KEY, ADMIN_VIEW, ADMIN
                  └─── MANAGE ── operation ── OPERATIONS ── roles        (then, in the endpoint: on which objects)

Roles are those of https://docs.litellm.ai/docs/proxy/access_control: of a user everywhere, of an administrator of an
organization or a team in there.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from routeiq.core.errors import Forbidden
from routeiq.core.keys import (
    CUSTOMER,
    INTERNAL_USER,
    INTERNAL_USER_VIEWER,
    ORG_ADMIN,
    PROXY_ADMIN,
    PROXY_ADMIN_VIEWER,
    TEAM,
    ModelRule,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TEAM_ADMIN = "team_admin"
"""A user with role `admin` in some team."""
TEAM_MEMBER = "team_member"
"""A user with role `user` in some team."""
SERVICE = "service"
"""A key without a user."""


class Access(enum.Enum):
    """What a route asks of its caller."""

    INTERNAL = "internal"
    """Only processes of ours, which reach the socket directly; workers pass nothing on that begins so."""
    METRICS = "metrics"
    """An admin or a viewer, or anyone where `auth.metrics_public`."""
    KEY = "key"
    """Any valid key."""
    MANAGE = "manage"
    """A role that `OPERATIONS` names for the route's operation; on which objects is for the endpoint to see."""
    ADMIN_VIEW = "admin_view"
    """An admin, or a `proxy_admin_viewer`."""
    ADMIN = "admin"
    """The master key, admin keys, keys of a `proxy_admin`."""


VIEWERS = frozenset((PROXY_ADMIN_VIEWER, INTERNAL_USER_VIEWER))
"""Who changes nothing, whatever else it is."""
_ADMIN = frozenset((PROXY_ADMIN,))
_ADMIN_VIEW = _ADMIN | {PROXY_ADMIN_VIEWER}
_ORGANIZATION = _ADMIN | {ORG_ADMIN}
_TEAM = _ORGANIZATION | {TEAM_ADMIN}
_SELF = _TEAM | {INTERNAL_USER, TEAM_MEMBER}
_READ = _SELF | VIEWERS | {TEAM, SERVICE}

OPERATIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "key:read": _READ,
        "key:write": _SELF,
        "user:read": _READ,
        "user:write": _SELF,
        "user:create": _ORGANIZATION,
        "team:read": _READ,
        "team:create": _ORGANIZATION,
        "team:write": _TEAM,
        "team:members": _TEAM,
        "organization:read": _READ,
        "organization:create": _ADMIN,
        "organization:write": _ORGANIZATION,
        "organization:members": _ORGANIZATION,
        "customer:read": _ADMIN_VIEW,
        "customer:write": _ADMIN,
        "workspace:read": _READ,
        "workspace:write": _ORGANIZATION,
        "usage_policy:read": _ADMIN_VIEW,
        "usage_policy:write": _ADMIN,
        "budget:read": _ADMIN_VIEW,
        "budget:write": _ADMIN,
        "spend:read": _READ,
        "decision:read": _READ,
        "decision:judge": _SELF | {TEAM, SERVICE},
        "model:read": _READ | {CUSTOMER},
        "model:write": _ADMIN,
        "mcp_server:write": _ADMIN,
        "agent:write": _ADMIN,
        "credential:read": _ADMIN_VIEW,
        "credential:write": _ADMIN,
        "tag:read": _READ,
        "tag:write": _ADMIN,
        "access_group:read": _READ,
        "access_group:write": _ADMIN,
        "project:read": _READ,
        "project:write": _TEAM,
    }
)
"""The roles that may try an operation at all."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a user is where, from the database."""

    teams: frozenset[str] = frozenset()
    """It is a member of."""
    admin_teams: frozenset[str] = frozenset()
    """It administers."""
    organizations: frozenset[str] = frozenset()
    """It is a member of."""
    admin_organizations: frozenset[str] = frozenset()
    """It administers."""


NOBODY = Standing()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks the control plane: `request.state.caller`."""

    digest: str
    """Hex SHA-256 of its key; empty where no key is asked for."""
    name: str = ""
    role: str = ""
    """One of `core.keys.ROLES`; empty for a key without a user."""
    user_id: str = ""
    team_id: str = ""
    """Of its key."""
    organization_id: str = ""
    """Of its key."""
    rules: tuple[ModelRule, ...] = ()
    """Its key's, about models; none allow all."""
    routes: tuple[str, ...] = ()
    """Its key's `allowed_routes`; empty are all that the role may."""
    standing: Standing = NOBODY
    """Filled for `Access.MANAGE`."""
    open: bool = False
    """The configuration asks for no key: whoever reaches the port."""

    @property
    def admin(self) -> bool:
        """May do everything."""
        return self.role == PROXY_ADMIN

    @property
    def sees_all(self) -> bool:
        """May read everything."""
        return self.role in _ADMIN_VIEW

    @property
    def roles(self) -> frozenset[str]:
        """All it is somewhere."""
        if self.role in VIEWERS:
            return frozenset((self.role,))
        found = {self.role or SERVICE}
        if self.standing.admin_organizations:
            found.add(ORG_ADMIN)
        if self.standing.admin_teams:
            found.add(TEAM_ADMIN)
        if self.standing.teams:
            found.add(TEAM_MEMBER)
        return frozenset(found)

    def may(self, operation: str) -> bool:
        """Whether one of its roles may try this operation. Raises `KeyError` for one that is not in the table."""
        return not self.roles.isdisjoint(OPERATIONS[operation])


LLM_ROUTES = "llm_api_routes"
MANAGEMENT_ROUTES = "management_routes"
INFO_ROUTES = "info_routes"
SPEND_ROUTES = "spend_tracking_routes"
ROUTE_GROUPS = (LLM_ROUTES, "openai_routes", "anthropic_routes", MANAGEMENT_ROUTES, INFO_ROUTES, SPEND_ROUTES)
"""LiteLLM's names for many routes at once, in a key's `allowed_routes`."""
_PATH = re.compile(
    r"/(\*|(v2/)?(key|user|team|organization|customer|end_user|budget|spend|global|model|credentials|tag|project"
    r"|access_group|health|metrics|api/v1/routeiq)(/[\w{}.*-]+)*)"
)


def allowed_by(route: str) -> bool:
    """Whether a key can be held to this entry of `allowed_routes`: a group, or a path of this API."""
    return route in ROUTE_GROUPS or _PATH.fullmatch(route) is not None


_LOOKING = (Access.METRICS, Access.KEY, Access.ADMIN_VIEW)


def reaches(routes: tuple[str, ...], path: str, template: str, access: Access, operation: str) -> bool:
    """Whether `allowed_routes` have a path of the management API; empty have all. They give nothing to a role."""
    if not routes:
        return True
    reading = access in _LOOKING or operation.endswith(":read")
    if (MANAGEMENT_ROUTES in routes) or (reading and INFO_ROUTES in routes):
        return True
    if operation == "spend:read" and SPEND_ROUTES in routes:
        return True
    return any(route == template or fnmatchcase(path, route) for route in routes if route.startswith("/"))


def check(caller: Caller, access: Access, operation: str) -> None:
    """Raises `Forbidden` unless the caller may use a route that declares this."""
    if access is Access.ADMIN and not caller.admin:
        raise Forbidden("This needs an admin key.", code="admin_required")
    if access in (Access.ADMIN_VIEW, Access.METRICS) and not caller.sees_all:
        raise Forbidden("This needs an admin key.", code="admin_required")
    if access is Access.MANAGE and not caller.may(operation):
        roles = ", ".join(sorted(OPERATIONS[operation]))
        raise Forbidden(
            f"This key's role ({caller.role or SERVICE}) may not do this ({operation}); these may: {roles}.",
            code="role_not_allowed",
        )
