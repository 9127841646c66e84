"""Records as answers show them, in LiteLLM's names."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from routeiq.control.management import limits, object_permissions, routing
from routeiq.store.compiled import effective

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routeiq.store.records import (
        Budget,
        EndUser,
        Organization,
        OrganizationMember,
        Record,
        Team,
        TeamMember,
        User,
        VirtualKey,
    )


def moment(seconds: float | None) -> str | None:
    """Unix seconds in ISO 8601, UTC."""
    if not seconds:
        return None
    at = datetime.datetime.fromtimestamp(round(seconds, 3), datetime.UTC)
    return at.isoformat().replace("+00:00", "Z")


def written(record: Record) -> dict[str, Any]:
    """Who wrote a record when."""
    return {
        "metadata": record.metadata,
        "created_at": moment(record.created_at),
        "created_by": record.created_by or None,
        "updated_at": moment(record.updated_at or record.created_at),
        "updated_by": record.updated_by or record.created_by or None,
    }


def budget(record: Budget | None) -> dict[str, Any] | None:
    """A shared budget."""
    if record is None:
        return None
    own = limits.shown(record.limits)
    return {
        "budget_id": record.budget_id,
        **own,
        "allowed_models": list(record.allowed_models) or None,
        "temp_budget_increase": limits.dollars(record.limits.temp_budget_increase or None),
        "temp_budget_expiry": moment(record.limits.temp_budget_expiry),
        **written(record),
    }


def key(record: VirtualKey, spend: int, reset_at: float | None, shared: Budget | None) -> dict[str, Any]:
    """A virtual key, without its digest."""
    own = limits.shown(effective(record.limits, shared))
    per_model = {name: own.pop(name) for name in ("model_rpm_limit", "model_tpm_limit")}
    who = written(record)
    # LiteLLM has in the metadata what came after its tables were made.
    more = {name: value for name, value in per_model.items() if value}
    if record.tags:
        more["tags"] = list(record.tags)
    types = {name: getattr(record, name) or None for name in ("rpm_limit_type", "tpm_limit_type")}
    more |= {name: value for name, value in types.items() if value}
    if record.limits.temp_budget_increase:
        more["temp_budget_increase"] = limits.dollars(record.limits.temp_budget_increase)
        more["temp_budget_expiry"] = moment(record.limits.temp_budget_expiry)
    who["metadata"] = {**record.metadata, **more}
    return {
        "key_name": record.name or None,
        "key_alias": record.alias or None,
        "spend": limits.dollars(spend),
        **own,
        "expires": moment(record.expires),
        "models": list(record.models),
        "aliases": record.aliases,
        "router_settings": routing.shown(record.routing),
        **types,
        "config": {},
        "permissions": {},
        "user_id": record.user_id or None,
        "team_id": record.team_id or None,
        "organization_id": record.organization_id or None,
        "org_id": record.organization_id or None,
        "project_id": record.project_id or None,
        "agent_id": record.agent_id or None,
        "budget_id": record.budget_id or None,
        "workspace_id": record.workspace_id or None,
        "litellm_budget_table": budget(shared),
        "budget_reset_at": moment(reset_at),
        "blocked": record.blocked,
        "allowed_routes": list(record.allowed_routes),
        "key_type": record.key_type,
        "access_group_ids": list(record.access_group_ids) or None,
        "object_permission": object_permissions.shown(record.object_permission),
        "auto_rotate": False,
        "rotation_count": record.rotation_count,
        "last_rotation_at": moment(record.last_rotation_at),
        **per_model,
        **who,
    }


def user(record: User, spend: int, reset_at: float | None, teams: Iterable[str]) -> dict[str, Any]:
    """An internal user."""
    return {
        "user_id": record.user_id,
        "user_alias": record.alias or None,
        "user_email": record.email or None,
        "user_role": record.role or None,
        "sso_user_id": record.sso_user_id or None,
        "teams": sorted(teams),
        "models": list(record.models),
        "spend": limits.dollars(spend),
        **limits.shown(record.limits),
        "budget_reset_at": moment(reset_at),
        "blocked": record.blocked,
        **written(record),
    }


def member(record: TeamMember, emails: Mapping[str, str]) -> dict[str, Any]:
    """A member as a team lists it."""
    return {
        "user_id": record.user_id,
        # Who leads a team is not told the address of a user it knows the id of only.
        "user_email": emails.get(record.user_id) or record.user_email if record.user_email else None,
        "role": record.role,
    }


def membership(record: TeamMember, spend: int, shared: Budget | None) -> dict[str, Any]:
    """What a member may use of its team."""
    return {
        "user_id": record.user_id,
        "team_id": record.team_id,
        "budget_id": record.budget_id or None,
        "spend": limits.dollars(spend),
        "total_spend": limits.dollars(spend),
        "litellm_budget_table": budget(shared),
    }


def team(
    record: Team, spend: int, reset_at: float | None, members: Iterable[TeamMember], emails: Mapping[str, str]
) -> dict[str, Any]:
    """A team with its members."""
    own = limits.shown(record.limits)
    per_model = {name: own.pop(name) for name in ("model_rpm_limit", "model_tpm_limit")}
    who = written(record)
    more = {name: value for name, value in per_model.items() if value}
    if record.member_budget_id:
        more["team_member_budget_id"] = record.member_budget_id
    if record.tags:
        more["tags"] = list(record.tags)
    types = {name: getattr(record, name) or None for name in ("rpm_limit_type", "tpm_limit_type")}
    more |= {name: value for name, value in types.items() if value}
    who["metadata"] = {**record.metadata, **more}
    listed = list(members)
    return {
        "team_id": record.team_id,
        "team_alias": record.alias or None,
        "organization_id": record.organization_id or None,
        "admins": [],
        "members": [],
        "members_with_roles": [member(it, emails) for it in listed],
        "team_member_permissions": list(record.member_permissions) if record.member_permissions is not None else [],
        "models": list(record.models),
        "blocked": record.blocked,
        "spend": limits.dollars(spend),
        **own,
        "budget_reset_at": moment(reset_at),
        "access_group_ids": list(record.access_group_ids) or None,
        "litellm_model_table": {"model_aliases": record.model_aliases} if record.model_aliases else None,
        "router_settings": routing.shown(record.routing),
        **types,
        "object_permission": object_permissions.shown(record.object_permission),
        **who,
    }


def organization_member(record: OrganizationMember, email: str | None, shared: Budget | None) -> dict[str, Any]:
    """A user in an organization."""
    return {
        "user_id": record.user_id,
        "organization_id": record.organization_id,
        "user_role": record.role,
        "user_email": email or None,
        "budget_id": record.budget_id or None,
        "litellm_budget_table": budget(shared),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at or record.created_at),
    }


def organization(record: Organization, spend: int, shared: Budget | None) -> dict[str, Any]:
    """An organization without its teams and members."""
    per_model = {
        name: value
        for name, value in limits.shown(record.limits).items()
        if name in ("model_rpm_limit", "model_tpm_limit") and value
    }
    return {
        "organization_id": record.organization_id,
        "organization_alias": record.alias or None,
        "budget_id": record.budget_id or None,
        "spend": limits.dollars(spend),
        "models": list(record.models),
        "blocked": record.blocked,
        "model_spend": {},
        "object_permission": object_permissions.shown(record.object_permission),
        "litellm_budget_table": budget(shared),
        **written(record),
        "metadata": {**record.metadata, **per_model},
    }


def end_user(record: EndUser, spend: int, shared: Budget | None) -> dict[str, Any]:
    """A customer."""
    return {
        "user_id": record.user_id,
        "alias": record.alias or None,
        "blocked": record.blocked,
        "spend": limits.dollars(spend),
        "models": list(record.models),
        "default_model": record.default_model or None,
        "allowed_model_region": record.allowed_model_region or None,
        "budget_id": record.budget_id or None,
        "litellm_budget_table": budget(shared),
    }
