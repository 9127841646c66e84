"""A caller may only grant what it has: models, limits, routes, users and teams of the keys it makes or changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routeiq.control.access import allowed_by
from routeiq.control.management import limits as limiting
from routeiq.control.management import object_permissions
from routeiq.control.management.desk import denied, missing
from routeiq.control.management.rights import (
    DEFAULT_PERMISSIONS,
    SPECIAL,
    administers,
    heads,
    seen_team,
    sees_team,
    subset,
)
from routeiq.core.errors import BadRequest
from routeiq.store.compiled import ALL_TEAM_MODELS, effective
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import organization_memberships

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.store.accounts import Session
    from routeiq.store.records import Limits, Team, VirtualKey, Workspace

KEY_TYPES = {
    "default": (),
    "llm_api": ("llm_api_routes",),
    "management": ("management_routes",),
    "read_only": ("info_routes",),
}
"""Routes by `key_type`: https://docs.litellm.ai/docs/proxy/virtual_keys"""


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody makes or changes a key."""

    db: Session
    caller: Caller
    permission: str
    """What a plain member of the key's team needs."""

    def check(self, key: VirtualKey, before: VirtualKey | None = None) -> None:
        """Raises `Forbidden`, `BadRequest` or `UnknownPath` unless the caller may leave this key behind."""
        team = self._team(key, before)
        self._organization(key, before, team)
        self._owner(key, before, team)
        self._budget(key, before)
        self._workspace(key, before)
        if key.allowed_routes and (before is None or key.allowed_routes != before.allowed_routes):
            check_routes(key.allowed_routes)
        self._within(key, team)
        if not self.caller.admin:
            self._objects(key, before, team)
            self._not_more_than_caller(key)
            if before is not None:
                self._not_more_than_before(key, before, team)

    def _team(self, key: VirtualKey, before: VirtualKey | None) -> Team | None:
        if not key.team_id:
            if before is not None and before.team_id and not self.caller.admin:
                raise denied("Only an admin may take a key out of its team.", "team_id")
            return None
        caller = self.caller
        if before is not None and before.team_id == key.team_id:
            return self.db.teams.get(key.team_id)
        team = seen_team(self.db, caller, key.team_id)
        if caller.admin or administers(caller, team):
            return team
        granted = team.member_permissions if team.member_permissions is not None else DEFAULT_PERMISSIONS
        if before is not None or team.team_id not in caller.standing.teams or self.permission not in granted:
            raise denied(
                f"Members of this team may not do this: its team_member_permissions lack {self.permission}.", "team_id"
            )
        return team

    def _organization(self, key: VirtualKey, before: VirtualKey | None, team: Team | None) -> None:
        left = before.organization_id if before is not None and not key.organization_id and team is None else ""
        if left and not heads(self.caller, left):
            raise denied("Only an admin may take a key out of its organization.", "organization_id")
        if not key.organization_id or (before is not None and before.organization_id == key.organization_id):
            return
        caller = self.caller
        if team is not None and team.organization_id != key.organization_id:
            raise BadRequest("organization_id: the key's team is in another organization", param="organization_id")
        member = key.organization_id in caller.standing.organizations
        if self.db.organizations.get(key.organization_id) is None or not (
            heads(caller, key.organization_id) or member or (team is not None and sees_team(caller, team))
        ):
            raise missing("organization", key.organization_id)

    def _owner(self, key: VirtualKey, before: VirtualKey | None, team: Team | None) -> None:
        caller = self.caller
        if caller.admin or (before is not None and before.user_id == key.user_id):
            return
        if key.user_id == caller.user_id and (key.user_id or team is not None):
            return
        if team is not None and administers(caller, team):
            if not key.user_id or self.db.team_members.get((team.team_id, key.user_id)) is not None:
                return
            raise denied(f"{key.user_id!r} is no member of this team.", "user_id")
        if team is not None and not key.user_id and self.permission == "/key/service-account/generate":
            return
        if caller.standing.admin_organizations and key.user_id:
            where = organization_memberships.c
            headed = where.organization_id.in_(sorted(caller.standing.admin_organizations))
            if self.db.organization_members.count(headed & (where.user_id == key.user_id)):
                return
        raise denied("Only an admin may make or change keys of other users.", "user_id")

    def _budget(self, key: VirtualKey, before: VirtualKey | None) -> None:
        if not key.budget_id or (before is not None and before.budget_id == key.budget_id):
            return
        if not self.caller.admin:
            raise denied("Only an admin may give a key a shared budget.", "budget_id")
        if self.db.budgets.get(key.budget_id) is None:
            raise missing("budget", key.budget_id)

    def _workspace(self, key: VirtualKey, before: VirtualKey | None) -> None:
        if before is None and not self.caller.admin:
            own = self._own_workspace()
            if own and own != key.workspace_id:
                raise denied("workspace_id: the key that asks is in a workspace itself", "workspace_id")
        held = before.workspace_id if before is not None else ""
        moved = before is not None and before.organization_id != key.organization_id
        if key.workspace_id == held and not moved:
            return
        if key.workspace_id:
            workspace = self.db.workspaces.get(key.workspace_id)
            if workspace is None or not (self._puts_into(workspace) or self._own_workspace() == key.workspace_id):
                raise missing("workspace", key.workspace_id)
            if workspace.organization_id and workspace.organization_id != key.organization_id:
                raise BadRequest("workspace_id: the workspace is another organization's", param="workspace_id")
        if held and key.workspace_id != held:
            left = self.db.workspaces.get(held)
            if not heads(self.caller, left.organization_id if left is not None else ""):
                raise denied("Only an admin may take a key out of its workspace.", "workspace_id")

    def _puts_into(self, workspace: Workspace) -> bool:
        return heads(self.caller, workspace.organization_id)

    def _own_workspace(self) -> str:
        own = self.db.keys.get(self.caller.digest)
        return own.workspace_id if own is not None else ""

    def _within(self, key: VirtualKey, team: Team | None) -> None:
        """What was asked for, beside what the team, or else the user, has."""
        if team is not None:
            if key.models and not set(key.models) <= SPECIAL and not subset(key.models, team.models):
                raise denied(f"models: the key's team may use {', '.join(team.models)} only", "models")
            self._fits(key, limiting.over(key.limits, team.limits), "team")
            self._guaranteed(key, team)
            return
        user = self.db.users.get(key.user_id) if key.user_id else None
        if user is not None and not self.caller.admin:
            named = tuple(name for name in user.models if name not in SPECIAL)
            if key.models and named and not set(key.models) <= SPECIAL and not subset(key.models, named):
                raise denied("models: the key's user may not use all of them", "models")
            self._fits(key, limiting.over(key.limits, user.limits), "user")

    def _guaranteed(self, key: VirtualKey, team: Team) -> None:
        """What is guaranteed is not given away twice: all keys of the team together stay within its limits."""
        kinds = limiting.guaranteed(key)
        if not kinds:
            return
        self.db.teams.lock(team.team_id)
        others = self.db.keys.all((virtual_keys.c.team_id == team.team_id) & (virtual_keys.c.digest != key.digest))
        name = limiting.overallocated(key.limits, (other.limits for other in others), team.limits, kinds)
        if name is not None:
            raise BadRequest(f"{name}: the team's keys together would be guaranteed more than it has", param=name)

    def _fits(self, key: VirtualKey, name: str | None, whose: str) -> None:
        if name is not None:
            raise BadRequest(
                f"{name}: {getattr(key.limits, name) if 'budget' not in name else 'this'} is over the limit of the "
                f"key's {whose}",
                param=name,
            )

    def _objects(self, key: VirtualKey, before: VirtualKey | None, team: Team | None) -> None:
        """MCP servers and agents: those of the team may be given away, without a team none."""
        asked = key.object_permission
        if before is not None and asked == before.object_permission and key.team_id == before.team_id:
            return
        if not object_permissions.within(asked, team.object_permission if team is not None else None):
            raise denied("object_permission: the key's team may not reach all of it", "object_permission")

    def _not_more_than_caller(self, key: VirtualKey) -> None:
        caller = self.caller
        if caller.digest == key.digest:
            return
        if any(rule.kind == "key" and not _no_more(_named(key), rule.models) for rule in caller.rules):
            raise denied("models: the key that asks may not use all of them", "models")
        if caller.routes and not (key.allowed_routes and set(key.allowed_routes) <= set(caller.routes)):
            raise denied("allowed_routes: the key that asks may not use all of them", "allowed_routes")
        own = self.db.keys.get(caller.digest)
        if own is None:
            return
        if _reaches_more(key, own):
            raise denied("object_permission: the key that asks may not reach all of it", "object_permission")
        name = limiting.wider(self._limits(key), self._limits(own))
        if name is None and own.limits.max_budget is not None and key.limits.temp_budget_increase:
            name = "temp_budget_increase"
        if name is not None:
            raise denied(f"{name}: the key that asks has less itself", name)
        if own.expires is not None and (key.expires is None or key.expires > own.expires):
            raise denied("duration: the key that asks expires earlier itself", "duration")

    def _limits(self, key: VirtualKey) -> Limits:
        """Its own, and where it has none those of its shared budget."""
        return effective(key.limits, self.db.budgets.get(key.budget_id) if key.budget_id else None)

    def _not_more_than_before(self, key: VirtualKey, before: VirtualKey, team: Team | None) -> None:
        """Who did not make a key, and does not lead its team, may not loosen it."""
        caller = self.caller
        if team is not None and administers(caller, team):
            return
        if caller.user_id and caller.digest != key.digest and before.created_by == caller.user_id:
            return
        name = limiting.wider(self._limits(key), self._limits(before))
        if name is None and _more_for_a_while(key.limits, before.limits):
            name = "temp_budget_increase"
        if name is not None:
            raise denied(f"{name}: only an admin may raise it", name)
        held = _named(before)
        if held and _named(key) != held and not _no_more(_named(key), held):
            name = "models" if key.models != before.models else "access_group_ids"
            raise denied(f"{name}: only an admin may add to them", name)
        if _reaches_more(key, before):
            raise denied("object_permission: only an admin may add to it", "object_permission")
        if not set(before.tags) <= set(key.tags):
            raise denied("tags: only an admin may take one away, which may have a budget", "tags")
        if before.expires is not None and (key.expires is None or key.expires > before.expires):
            raise denied("duration: only an admin may let this key live longer", "duration")
        if before.allowed_routes and not (key.allowed_routes and set(key.allowed_routes) <= set(before.allowed_routes)):
            raise denied("allowed_routes: only an admin may add to them", "allowed_routes")
        if before.blocked and not key.blocked:
            raise denied("blocked: only an admin may unblock a key", "blocked")


def _named(key: VirtualKey) -> tuple[str, ...]:
    """The models and groups a key is held to."""
    return (*key.models, *key.access_group_ids)


def _reaches_more(key: VirtualKey, held: VirtualKey) -> bool:
    """Whether a key may reach servers or agents that another one may not: without a permission it has its team's."""
    own = held.object_permission
    return own is not None and (
        key.object_permission is None or not object_permissions.within(key.object_permission, own)
    )


def _no_more(asked: tuple[str, ...], held: tuple[str, ...]) -> bool:
    """Whether a key held to `asked` may use no more than one held to `held`; a team's models are all."""
    return (ALL_TEAM_MODELS not in asked or ALL_TEAM_MODELS in held) and subset(asked, held)


def _more_for_a_while(new: Limits, held: Limits) -> bool:
    return new.temp_budget_increase > 0 and (
        new.temp_budget_increase > held.temp_budget_increase or new.temp_budget_expiry > held.temp_budget_expiry
    )


def check_routes(routes: tuple[str, ...]) -> None:
    """Raises `BadRequest` for routes that can't be held to."""
    for route in routes:
        if not allowed_by(route):
            raise BadRequest(
                f"allowed_routes: {route!r} is no group of routes and no path of the management API; for calls of "
                "models write llm_api_routes",
                param="allowed_routes",
            )
