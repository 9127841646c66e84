"""`/budget/*`: limits that several may share by name. https://docs.litellm.ai/docs/proxy/rate_limit_tiers"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from fastapi import Request, Response
from pydantic import Field
from sqlalchemy import true

from routeiq.control.access import Access
from routeiq.control.management import shown
from routeiq.control.management.bodies import Body, Id, LimitFields, Names, Until
from routeiq.control.management.described.common import BudgetField, BudgetInfo
from routeiq.control.management.desk import Desk, answer, by, missing, taken
from routeiq.control.management.limits import changed
from routeiq.control.routes import Route
from routeiq.control.shelf import serve
from routeiq.core.errors import BadRequest
from routeiq.store.records import Budget, Limits

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session

MOST_LISTED = 10_000


class BudgetFields(LimitFields):
    """`/budget/new`, `/budget/update`."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("tpd_limit",))

    budget_id: Id | None = None
    budget_reset_at: Until | None = None
    """Taken for the sake of LiteLLM's clients: when a period ends follows from its duration."""
    allowed_models: Names | None = None


class BudgetIds(Body):
    """`/budget/info`."""

    budgets: list[Id] = Field(max_length=1000)


class BudgetId(Body):
    """`/budget/delete`."""

    id: Id


_KINDS = {
    "max_budget": "Float", "soft_budget": "Float", "budget_duration": "String", "tpm_limit": "Integer",
    "rpm_limit": "Integer", "max_parallel_requests": "Integer", "model_max_budget": "Object",
}  # fmt: skip


def make(db: Session, caller: Caller, limits: Limits, now: float, budget_id: str = "") -> Budget:
    """A new budget that is in the database. Raises `BadRequest` where its id is taken."""
    record = Budget(
        budget_id=budget_id or str(uuid.uuid4()), limits=limits, created_at=now, updated_at=now, created_by=by(caller)
    )
    if not db.budgets.add(record):
        raise taken("budget", budget_id, "budget_id")
    return record


def revised(db: Session, caller: Caller, budget_id: str, body: LimitFields, now: float) -> Budget:
    """A budget that is there, with what a request says about its limits. Raises `UnknownPath`."""
    record = db.budgets.lock(budget_id)
    if record is None:
        raise missing("budget", budget_id)
    new: dict[str, Any] = {"limits": changed(record.limits, body), "updated_at": now, "updated_by": by(caller)}
    if isinstance(body, BudgetFields) and body.has("allowed_models"):
        new["allowed_models"] = tuple(body.allowed_models or ())
    record = msgspec.structs.replace(record, **new)
    db.budgets.put(record)
    return record


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of budgets."""
    desk = Desk(plane)

    def new(request: Request, body: BudgetFields) -> Response:
        """Make a budget."""
        with desk.accounts.write() as db:
            record = make(db, request.state.caller, changed(Limits(), body), desk.now(), body.budget_id or "")
            if body.allowed_models:
                record = msgspec.structs.replace(record, allowed_models=tuple(body.allowed_models))
                db.budgets.put(record)
        return answer(shown.budget(record))

    def update(request: Request, body: BudgetFields) -> Response:
        """Change a budget for all who share it."""
        if body.budget_id is None:
            raise BadRequest("budget_id: is needed", param="budget_id")
        with desk.accounts.write() as db:
            record = revised(db, request.state.caller, body.budget_id, body, desk.now())
            names = db.budget_users(record.budget_id)
        desk.published(subjects=names)
        if any(name.startswith("tag:") for name in names):
            plane.shelf.repository.budget_changed()
            serve(plane)
        return answer(shown.budget(record))

    def info(body: BudgetIds) -> Response:
        """Budgets by their ids."""
        with desk.accounts.read() as db:
            found = db.budgets.many(body.budgets)
        return answer([shown.budget(found[id]) for id in dict.fromkeys(body.budgets) if id in found])

    def list_budgets() -> Response:
        """All budgets."""
        with desk.accounts.read() as db:
            return answer([shown.budget(record) for record in db.budgets.all(true(), MOST_LISTED)])

    def settings(budget_id: Id) -> Response:
        """The fields of a budget, with what they are set to."""
        with desk.accounts.read() as db:
            record = db.budgets.get(budget_id)
        if record is None:
            raise missing("budget", budget_id)
        values = shown.budget(record) or {}
        return answer(
            [
                {
                    "field_name": name,
                    "field_type": kind,
                    "field_description": f"{name} of a budget",
                    "field_value": values[name],
                    "stored_in_db": values[name] is not None,
                    "field_default_value": None,
                }
                for name, kind in _KINDS.items()
            ]
        )

    def delete(body: BudgetId) -> Response:
        """Forget a budget nobody has."""
        with desk.accounts.write() as db:
            record = db.budgets.lock(body.id)
            if record is None:
                raise missing("budget", body.id)
            users = db.budget_users(body.id)
            if users:
                raise BadRequest(
                    f"id: {len(users)} have this budget, such as {users[0]}; give them another one first", param="id"
                )
            db.budgets.remove_one(body.id)
        return answer(shown.budget(record))

    write, read = "budget:write", "budget:read"
    return (
        Route("POST", "/budget/new", Access.MANAGE, new, write, BudgetInfo),
        Route("POST", "/budget/update", Access.MANAGE, update, write, BudgetInfo),
        Route("POST", "/budget/info", Access.MANAGE, info, read, list[BudgetInfo]),
        Route("GET", "/budget/list", Access.MANAGE, list_budgets, read, list[BudgetInfo]),
        Route("GET", "/budget/settings", Access.MANAGE, settings, read, list[BudgetField]),
        Route("POST", "/budget/delete", Access.MANAGE, delete, write, BudgetInfo),
    )
