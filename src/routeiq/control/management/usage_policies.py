"""`/api/v1/routeiq/usage-policies`: what the requests that fit may come to, each group of them by itself."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, Field, StringConstraints, field_validator

from routeiq.config.stored import moment
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.management.bodies import Body, Words
from routeiq.control.management.desk import missing, taken
from routeiq.control.routes import Route
from routeiq.control.shelf import by, serve
from routeiq.core.policies import Action, Attribute, LimitPeriod, LimitType, UsagePolicy

if TYPE_CHECKING:
    from routeiq.control.plane import Plane

_PATH = "/api/v1/routeiq/usage-policies"
PolicyId = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
Pattern = Annotated[str, StringConstraints(max_length=255)]
Patterns = dict[Attribute, Pattern | Annotated[list[Pattern], Field(min_length=1, max_length=1000)]]


class PolicyFields(Body):
    """What may be said about a policy. One of a list of patterns has to fit, for every attribute that is named."""

    name: Words | None = None
    enabled: bool | None = None
    conditions: Patterns | None = None
    exclusions: Patterns | None = None
    group_by: Annotated[list[Attribute], Field(max_length=9)] | None = None
    limit_type: LimitType | None = None
    limit_value: Annotated[float, Field(ge=0, le=1e9)] | None = None
    limit_period: LimitPeriod | None = None
    action: Action | None = None
    alert_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    priority: Annotated[int, Field(ge=0, le=1_000_000)] | None = None

    @field_validator("group_by")
    @classmethod
    def _once(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("must name each attribute once")
        return value


class NewPolicy(PolicyFields):
    """`POST`; without an id one is made."""

    policy_id: PolicyId | None = None


class PolicyInfo(BaseModel):
    """A policy of usage."""

    policy_id: str
    name: str | None
    enabled: bool
    conditions: dict[str, list[str]]
    exclusions: dict[str, list[str]]
    group_by: list[str]
    limit_type: LimitType
    limit_value: float
    limit_period: LimitPeriod
    action: Action
    alert_threshold: float
    priority: int
    created_at: str
    created_by: str | None
    updated_at: str
    updated_by: str | None


class PolicyList(BaseModel):
    """All of them, in the order they are asked."""

    usage_policies: list[PolicyInfo]


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of policies. An answer means that every worker serves by it."""

    def create(request: Request, body: NewPolicy) -> Response:
        """Make a policy."""
        id = body.policy_id or uuid.uuid4().hex
        if plane.shelf.repository.policy(id) is not None:
            raise taken("usage policy", id, "policy_id")
        return _put(_changed(UsagePolicy(policy_id=id, created_by=by(request.state.caller)), body))

    def listed() -> Response:
        """All policies."""
        found = sorted(plane.shelf.repository.policies(), key=lambda it: (it.priority, it.policy_id))
        return json_answer({"usage_policies": [_shown(policy) for policy in found]})

    def get(policy_id: str) -> Response:
        """One policy."""
        return json_answer(_shown(_existing(policy_id)))

    def update(request: Request, policy_id: str, body: PolicyFields) -> Response:
        """Change what a request names; null goes back to what a new policy has."""
        changed = _changed(_existing(policy_id), body)
        return _put(msgspec.structs.replace(changed, updated_by=by(request.state.caller)))

    def delete(policy_id: str) -> Response:
        """Forget a policy."""
        policy = _existing(policy_id)
        plane.shelf.repository.remove_policy(policy_id)
        serve(plane)
        return json_answer(_shown(policy))

    def _existing(id: str) -> UsagePolicy:
        found = plane.shelf.repository.policy(id)
        if found is None:
            raise missing("usage policy", id)
        return found

    def _put(policy: UsagePolicy) -> Response:
        kept = plane.shelf.repository.put_policy(policy)
        serve(plane)
        return json_answer(_shown(kept))

    one = f"{_PATH}/{{policy_id}}"
    write, read = "usage_policy:write", "usage_policy:read"
    return (
        Route("POST", _PATH, Access.MANAGE, create, write, PolicyInfo),
        Route("GET", _PATH, Access.MANAGE, listed, read, PolicyList),
        Route("GET", one, Access.MANAGE, get, read, PolicyInfo),
        Route("PATCH", one, Access.MANAGE, update, write, PolicyInfo),
        Route("DELETE", one, Access.MANAGE, delete, write, PolicyInfo),
    )


def _changed(policy: UsagePolicy, body: PolicyFields) -> UsagePolicy:
    default = UsagePolicy(policy_id="")
    new: dict[str, Any] = {}
    for name in PolicyFields.model_fields:
        if body.has(name):
            value = getattr(body, name)
            new[name] = getattr(default, name) if value is None else value
    for name in ("conditions", "exclusions"):
        if name in new:
            new[name] = {key: (it,) if isinstance(it, str) else tuple(it) for key, it in new[name].items()}
    if "group_by" in new:
        new["group_by"] = tuple(new["group_by"])
    return msgspec.structs.replace(policy, **new)


def _shown(policy: UsagePolicy) -> dict[str, Any]:
    return {
        **{name: getattr(policy, name) for name in PolicyInfo.model_fields},
        "name": policy.name or None,
        "created_at": moment(policy.created_at),
        "created_by": policy.created_by or None,
        "updated_at": moment(policy.updated_at),
        "updated_by": policy.updated_by or policy.created_by or None,
    }
