"""From records to what a worker enforces: `core.keys.Key` with the subjects its requests count for.

    key ── user ── member ── team ── organization      each with its own limits, else those of its shared budget

What LiteLLM makes of them: https://docs.litellm.ai/docs/proxy/users and https://docs.litellm.ai/docs/proxy/virtual_keys
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from routeiq.core.keys import (
    PROXY_ADMIN,
    UNLIMITED,
    BudgetLimit,
    EndUser,
    Key,
    ModelRule,
    ObjectPermission,
    Refusal,
    Routing,
    Subject,
)
from routeiq.core.own_tags import RESERVED, own_tag
from routeiq.core.periods import Period
from routeiq.store.records import Budget, Limits, Organization, Spending, Team, TeamMember, User, VirtualKey, Workspace
from routeiq.store.records import EndUser as EndUserRecord

ALL_TEAM_MODELS = "all-team-models"
ALL_PROXY_MODELS = "all-proxy-models"
NO_DEFAULT_MODELS = "no-default-models"
LLM_ROUTES = frozenset(("llm_api_routes", "openai_routes", "anthropic_routes", "/*"))
"""`allowed_routes` that let a key call models."""

Expand = Callable[[tuple[str, ...]], tuple[str, ...]]


def as_they_are(models: tuple[str, ...]) -> tuple[str, ...]:
    """Where there are no access groups."""
    return models


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about accounts."""

    user_budget_for_teams: bool = False
    """`general_settings.apply_user_budget_to_team_keys`."""
    default_end_user_budget: str = ""
    """`litellm_settings.max_end_user_budget_id`."""
    zone: str = "UTC"
    expand: Expand = field(default=as_they_are)
    """Names of access groups among models, replaced by what is in them."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A key and all it belongs to."""

    digest: str
    """The key that was asked for: of a regenerated one, the old."""
    key: VirtualKey
    user: User | None
    member: TeamMember | None
    team: Team | None
    organization: Organization | None
    budgets: Mapping[str, Budget]
    workspace: Workspace | None = None

    def budget_of(self, id: str) -> Budget | None:
        """A shared budget."""
        return self.budgets.get(id) if id else None


def budget_ids(
    key: VirtualKey, member: TeamMember | None, team: Team | None, organization: Organization | None
) -> set[str]:
    """The shared budgets a chain refers to."""
    found = {key.budget_id}
    if team is not None:
        found.add(member.budget_id if member is not None and member.budget_id else team.member_budget_id)
    if organization is not None:
        found.add(organization.budget_id)
    return found - {""}


def effective(limits: Limits, budget: Budget | None) -> Limits:
    """A record's own limits, and those of its budget where it has none."""
    return limits.over(budget.limits) if budget is not None else limits


def compile_key(chain: Chain, rules: Rules, now: float) -> Key:
    """What a worker is to know. `now` in Unix seconds."""
    key, user, team, organization = chain.key, chain.user, chain.team, chain.organization
    role = user.role if user is not None else (PROXY_ADMIN if key.admin else "")
    calls = not key.allowed_routes or not LLM_ROUTES.isdisjoint(key.allowed_routes)
    return Key(
        id=key.digest,
        asked=chain.digest if chain.digest != key.digest else "",
        name=key.alias or key.name,
        admin=role == PROXY_ADMIN,
        role=role,
        rules=tuple(_rules(chain, rules)),
        permissions=tuple(_permissions(chain)),
        aliases=_aliases(key, team),
        routing=_routing(key, team),
        expires=key.expires,
        blocked=key.blocked,
        refused=_refusal(user, team, organization) or _workspace_refusal(chain),
        calls=calls,
        routes=key.allowed_routes,
        tags=tuple(_tags(key, team)),
        user_id=key.user_id,
        team_id=key.team_id,
        organization_id=organization.organization_id if organization is not None else key.organization_id,
        subjects=tuple(_subjects(chain, rules, now)),
    )


def _tags(key: VirtualKey, team: Team | None) -> Iterator[str]:
    """Its own and its team's, and one the ledger knows its workspace by."""
    said = dict.fromkeys((*key.tags, *(team.tags if team is not None else ())))
    yield from (tag for tag in said if not tag.startswith(RESERVED))
    if key.workspace_id:
        yield own_tag("workspace", key.workspace_id)


def compile_end_user(id: str, record: EndUserRecord | None, budget: Budget | None, rules: Rules, now: float) -> EndUser:
    """What a worker is to know of an end user; without a record, of one that only has the default budget."""
    limits = budget.limits if budget is not None else Limits()
    spending = record.spending if record is not None else Spending()
    subjects = tuple(subjects_of("end_user", id, limits, spending, rules.zone, now))
    models = rules.expand(record.models) if record is not None else ()
    return EndUser(
        id=id,
        blocked=record is not None and record.blocked,
        subjects=subjects,
        rules=(ModelRule(kind="customer", models=models),) if models else (),
    )


def _workspace_refusal(chain: Chain) -> Refusal | None:
    if chain.workspace is None:
        gone = Refusal(message="The workspace of this key is gone.", code="workspace_gone")
        return gone if chain.key.workspace_id else None
    if chain.workspace.blocked:
        return Refusal(message="The workspace of this key is blocked.", code="workspace_blocked")
    return None


def _refusal(user: User | None, team: Team | None, organization: Organization | None) -> Refusal | None:
    if organization is not None and organization.blocked:
        return Refusal(message="The organization of this key is blocked.", code="organization_blocked")
    if team is not None and team.blocked:
        return Refusal(message="The team of this key is blocked.", code="team_blocked")
    if user is not None and user.blocked:
        return Refusal(message="The user of this key is blocked.", code="user_blocked")
    return None


def _rules(chain: Chain, rules: Rules) -> Iterator[ModelRule]:
    key, user, team, organization = chain.key, chain.user, chain.team, chain.organization
    if ALL_TEAM_MODELS not in key.models:
        yield from _rule("key", (*key.models, *key.access_group_ids), rules)
    if team is None and user is not None:
        yield from _rule("user", user.models, rules)
    if team is not None:
        yield from _rule("team", (*team.models, *team.access_group_ids), rules)
        member = chain.member
        own = chain.budget_of(member.budget_id if member is not None and member.budget_id else team.member_budget_id)
        if own is not None and chain.member is not None:
            yield from _rule("user", own.allowed_models, rules)
    if organization is not None:
        yield from _rule("organization", organization.models, rules)
    workspace = chain.workspace
    if workspace is not None and (workspace.allowed_models or workspace.blocked_models):
        yield ModelRule(
            kind="workspace",
            models=_named(workspace.allowed_models, rules) if workspace.allowed_models else ("*",),
            denied=_named(workspace.blocked_models, rules),
        )


def _routing(key: VirtualKey, team: Team | None) -> Routing | None:
    """The key's own, else its team's."""
    return key.routing or (team.routing if team is not None else None)


def _aliases(key: VirtualKey, team: Team | None) -> dict[str, str]:
    """The team's, those of the settings that count, the key's: the last that has a name says what it stands for."""
    routing = _routing(key, team)
    return {
        **(team.model_aliases if team is not None else {}),
        **(routing.model_group_alias if routing is not None else {}),
        **key.aliases,
    }


def _permissions(chain: Chain) -> Iterator[ObjectPermission]:
    for kind, owner in (("key", chain.key), ("team", chain.team), ("organization", chain.organization)):
        if owner is not None and owner.object_permission is not None:
            yield msgspec.structs.replace(owner.object_permission, kind=kind)


def _named(models: tuple[str, ...], rules: Rules) -> tuple[str, ...]:
    """Models of a workspace: `@name` is an access group, and nothing where there is none."""
    found: dict[str, None] = {}
    for name in models:
        inside = rules.expand((name.removeprefix("@"),))
        # A group's own name stays beside what is in it.
        if not name.startswith("@") or len(inside) > 1:
            found.update(dict.fromkeys(inside))
    return tuple(found)


def _rule(kind: str, models: tuple[str, ...], rules: Rules) -> Iterator[ModelRule]:
    if models and ALL_PROXY_MODELS not in models:
        # Alone, `no-default-models` leaves an empty list: nothing is allowed.
        named = tuple(name for name in models if name not in (NO_DEFAULT_MODELS, ALL_TEAM_MODELS))
        yield ModelRule(kind=kind, models=rules.expand(named))


def _subjects(chain: Chain, rules: Rules, now: float) -> Iterator[Subject]:
    key, user, member, team, organization = chain.key, chain.user, chain.member, chain.team, chain.organization
    limits = effective(key.limits, chain.budget_of(key.budget_id))
    yield from subjects_of("key", key.digest, limits, key.spending, rules.zone, now)
    if user is not None:
        counted = team is None or rules.user_budget_for_teams
        limits = user.limits if counted else without_money(user.limits)
        yield from subjects_of("user", user.user_id, limits, user.spending, rules.zone, now)
    elif key.user_id:
        yield Subject(kind="user", id=key.user_id)
    if team is not None:
        if member is not None:
            budget = chain.budget_of(member.budget_id or team.member_budget_id)
            own = budget.limits if budget is not None else Limits()
            id = f"{member.team_id}/{member.user_id}"
            yield from subjects_of("member", id, own, member.spending, rules.zone, now)
        yield from subjects_of("team", team.team_id, team.limits, team.spending, rules.zone, now)
    if organization is not None:
        limits = effective(organization.limits, chain.budget_of(organization.budget_id))
        id = organization.organization_id
        yield from subjects_of("organization", id, limits, organization.spending, rules.zone, now)
    if chain.workspace is not None:
        yield from subjects_of(
            "workspace", chain.workspace.workspace_id, chain.workspace.limits, Spending(), rules.zone, now
        )


def without_money(limits: Limits) -> Limits:
    """The rates alone."""
    return Limits(
        tpm_limit=limits.tpm_limit,
        rpm_limit=limits.rpm_limit,
        max_parallel_requests=limits.max_parallel_requests,
        model_rpm_limit=limits.model_rpm_limit,
        model_tpm_limit=limits.model_tpm_limit,
    )


def subjects_of(kind: str, id: str, limits: Limits, spending: Spending, zone: str, now: float) -> Iterator[Subject]:
    """One for all requests, and one for each model that has limits of its own."""
    yield Subject(
        kind=kind,
        id=id,
        rpm=limits.rpm_limit,
        tpm=limits.tpm_limit,
        max_parallel_requests=limits.max_parallel_requests,
        budgets=tuple(_budgets(limits, spending, zone, now)),
    )
    for model in dict.fromkeys((*limits.model_rpm_limit, *limits.model_tpm_limit, *limits.model_max_budget)):
        window = limits.model_max_budget.get(model)
        yield Subject(
            kind=kind,
            id=id,
            share=model,
            rpm=limits.model_rpm_limit.get(model),
            tpm=limits.model_tpm_limit.get(model),
            budgets=(BudgetLimit(amount=window.max_budget, duration=window.budget_duration),) if window else (),
        )


def _budgets(limits: Limits, spending: Spending, zone: str, now: float) -> Iterator[BudgetLimit]:
    windows: list[tuple[int, str]] = []
    soft = limits.soft_budget or 0
    if limits.max_budget is not None or soft:
        windows.append((limits.max_budget if limits.max_budget is not None else UNLIMITED, limits.budget_duration))
    windows += [(window.max_budget, window.budget_duration) for window in limits.budget_limits]
    for index, (amount, duration) in enumerate(windows):
        extra, until = 0, float("inf")
        if index == 0 and limits.max_budget is not None and now < limits.temp_budget_expiry:
            extra, until = limits.temp_budget_increase, limits.temp_budget_expiry
        carried = spending.carry.get(duration, 0)
        if carried:
            begin, end = Period(duration, zone).bounds(now)
            if spending.at >= begin:
                extra, until = extra - carried, min(until, end)
        yield BudgetLimit(
            amount=amount,
            duration=duration,
            soft=soft if index == 0 else 0,
            extra=extra,
            extra_until=min(until, FOR_EVER) if extra else 0.0,
        )


FOR_EVER = 253_402_300_800.0
"""The year 10000: JSON knows no infinity."""


def durations(limits: Limits) -> Iterable[str]:
    """The periods a reset has to be remembered for."""
    return dict.fromkeys((limits.budget_duration, *(window.budget_duration for window in limits.budget_limits)))
