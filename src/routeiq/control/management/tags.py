"""Tags of the management API: what requests with a tag may come to.

https://docs.litellm.ai/docs/proxy/tag_budgets
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from fastapi import Request, Response
from pydantic import Field

from routeiq.config.stored import moment
from routeiq.control.access import Access
from routeiq.control.answers import json_answer
from routeiq.control.management.bodies import Body, BudgetDuration, Count, Dollars, Id, Names, Words, nano
from routeiq.control.management.desk import missing
from routeiq.control.routes import Route
from routeiq.control.shelf import by, serve
from routeiq.core.errors import BadRequest
from routeiq.core.money import NANO_PER_DOLLAR
from routeiq.core.periods import Period
from routeiq.core.stored import StoredTag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane

_TEXTS = ("description", "budget_duration", "budget_id")


class TagBody(Body):
    """`/tag/new` and `/tag/update`, which changes what is said; null takes a limit away."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("model_max_budget",))

    name: Id
    description: Words | None = None
    models: Names | None = None
    max_budget: Dollars | None = None
    soft_budget: Dollars | None = None
    budget_duration: BudgetDuration | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    max_parallel_requests: Count | None = None
    budget_id: Id | None = None


class TagName(Body):
    """`/tag/delete`."""

    name: Id


class TagNames(Body):
    """`/tag/info`."""

    names: list[Id] = Field(max_length=1000)


def routes(plane: Plane) -> tuple[Route, ...]:
    """The endpoints."""

    def new(request: Request, body: TagBody) -> Response:
        """Make a tag."""
        if plane.shelf.repository.tag(body.name) is not None:
            raise BadRequest(f"There is a tag called {body.name} already.", param="name")
        who = by(request.state.caller)
        _check_budget(plane, body)
        kept = plane.shelf.repository.put_tag(_changed(StoredTag(name=body.name, created_by=who), body), who)
        serve(plane)
        return json_answer(
            {
                "message": f"Tag {kept.name} created successfully",
                "tag": _shown(plane.shelf.repository.effective([kept])[0]),
            }
        )

    def update(request: Request, body: TagBody) -> Response:
        """Change a tag."""
        _check_budget(plane, body)
        made = _changed(_existing(plane, body.name), body)
        kept = plane.shelf.repository.put_tag(made, by(request.state.caller))
        serve(plane)
        return json_answer(
            {
                "message": f"Tag {kept.name} updated successfully",
                "tag": _shown(plane.shelf.repository.effective([kept])[0]),
            }
        )

    def delete(body: TagName) -> Response:
        """Forget a tag and its limits; requests may still have it."""
        if not plane.shelf.repository.remove_tag(body.name):
            raise _missing(body.name)
        serve(plane)
        return json_answer({"message": f"Tag {body.name} deleted successfully"})

    def info(request: Request, body: TagNames) -> Response:
        """Some tags, by name."""
        found = [_existing(plane, name) for name in dict.fromkeys(body.names)]
        return json_answer({entry["name"]: entry for entry in _with_spend(plane, request.state.caller, found)})

    def listed(request: Request) -> Response:
        """All tags that were made."""
        return json_answer(_with_spend(plane, request.state.caller, plane.shelf.repository.tags()))

    write, read = "tag:write", "tag:read"
    return (
        Route("POST", "/tag/new", Access.MANAGE, new, write),
        Route("POST", "/tag/update", Access.MANAGE, update, write),
        Route("POST", "/tag/delete", Access.MANAGE, delete, write),
        Route("POST", "/tag/info", Access.MANAGE, info, read),
        Route("GET", "/tag/list", Access.MANAGE, listed, read),
    )


def _changed(tag: StoredTag, body: TagBody) -> StoredTag:
    new: dict[str, Any] = {name: getattr(body, name) or "" for name in _TEXTS if body.has(name)}
    for name in ("max_budget", "soft_budget"):
        if body.has(name):
            amount = getattr(body, name)
            new[name] = nano(amount) if amount is not None else None
    for name, said in (
        ("rpm", "rpm_limit"), ("tpm", "tpm_limit"), ("max_parallel_requests", "max_parallel_requests")
    ):  # fmt: skip
        if body.has(said):
            new[name] = getattr(body, said)
    if body.has("models"):
        new["models"] = tuple(body.models or ())
    return msgspec.structs.replace(tag, **new)


def _check_budget(plane: Plane, body: TagBody) -> None:
    """Raises `UnknownPath` for a budget that is not there."""
    if body.budget_id:
        with plane.accounts.read() as db:
            if db.budgets.get(body.budget_id) is None:
                raise missing("budget", body.budget_id)


def _existing(plane: Plane, name: str) -> StoredTag:
    found = plane.shelf.repository.tag(name)
    if found is None:
        raise _missing(name)
    return found


def _missing(name: str) -> BadRequest:
    return BadRequest(f"There is no tag called {name}.", status=404, param="name")


def _shown(tag: StoredTag) -> dict[str, Any]:
    budget = {
        "max_budget": _dollars(tag.max_budget),
        "soft_budget": _dollars(tag.soft_budget),
        "budget_duration": tag.budget_duration or None,
        "tpm_limit": tag.tpm,
        "rpm_limit": tag.rpm,
        "max_parallel_requests": tag.max_parallel_requests,
    }
    if tag.budget_id:
        budget["budget_id"] = tag.budget_id
    return {
        "name": tag.name,
        "description": tag.description or None,
        "models": tag.models,
        "created_at": moment(tag.created_at),
        "created_by": tag.created_by,
        "updated_at": moment(tag.updated_at),
        "budget_id": tag.budget_id or None,
        "litellm_budget_table": budget,
    }


def _with_spend(plane: Plane, caller: Caller, tags: Iterable[StoredTag]) -> list[dict[str, Any]]:
    """Tags with what they have spent in the period of their budget, for who may see everybody's spend."""
    listed = plane.shelf.repository.effective(tags)
    spent: dict[str, int] = {}
    if caller.sees_all:
        zone, now = plane.current().auth.timezone, time.time()
        for duration in {tag.budget_duration for tag in listed}:
            names = [tag.name for tag in listed if tag.budget_duration == duration]
            spent |= plane.spend.spent_many("tag", names, Period(duration, zone).bounds(now)[0])
    return [{**_shown(tag), "spend": _dollars(spent.get(tag.name))} for tag in listed]


def _dollars(amount: int | None) -> float | None:
    return amount / NANO_PER_DOLLAR if amount is not None else None
