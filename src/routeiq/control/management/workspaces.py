"""`/api/v1/routeiq/workspaces`: keys that are held together by limits and models, whoever has them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import and_, or_, select, true

from routeiq.control.access import Access
from routeiq.control.management.bodies import Body, BudgetDuration, Count, Dollars, Id, Metadata, Names, Words, nano
from routeiq.control.management.described.common import Written
from routeiq.control.management.desk import Desk, answer, by, denied, missing, taken
from routeiq.control.management.limits import dollars
from routeiq.control.management.rights import heads, visible_keys
from routeiq.control.management.shown import moment, written
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.records import Limits, Spending, Workspace
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_governance import workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session

_PATH = "/api/v1/routeiq/workspaces"
_LIMITS = {"rpm": "rpm_limit", "tpm": "tpm_limit", "max_parallel_requests": "max_parallel_requests"}


class WorkspaceFields(Body):
    """What may be said about a workspace; null takes a limit away."""

    name: Words | None = None
    organization_id: Id | None = None
    allowed_models: Names | None = None
    blocked_models: Names | None = None
    max_budget: Dollars | None = None
    budget_duration: BudgetDuration | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    max_parallel_requests: Count | None = None
    blocked: bool | None = None
    metadata: Metadata | None = None


class NewWorkspace(WorkspaceFields):
    """`POST`; without an id one is made."""

    workspace_id: Id | None = None


class WorkspaceInfo(Written):
    """A workspace."""

    workspace_id: str
    name: str | None
    organization_id: str | None
    allowed_models: list[str]
    blocked_models: list[str]
    max_budget: float | None
    budget_duration: str | None
    budget_reset_at: str | None
    spend: float
    rpm: int | None
    tpm: int | None
    max_parallel_requests: int | None
    blocked: bool


class WorkspaceList(BaseModel):
    """Some of them."""

    workspaces: list[WorkspaceInfo]
    total_count: int
    current_page: int
    total_pages: int


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of workspaces."""
    desk = Desk(plane)

    def create(request: Request, body: NewWorkspace) -> Response:
        """Make a workspace."""
        caller, now = request.state.caller, desk.now()
        id = body.workspace_id or str(uuid.uuid4())
        record = _applied(Workspace(workspace_id=id, created_at=now, created_by=by(caller)), body)
        with desk.accounts.write() as db:
            _check_organization(db, caller, record)
            if not db.workspaces.add(record):
                raise taken("workspace", id, "workspace_id")
        return answer(_shown(desk, [record])[0])

    def listed(
        request: Request,
        organization_id: str | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        size: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> Response:
        """Workspaces the caller may see."""
        parts = [_visible(request.state.caller)]
        if organization_id:
            parts.append(workspaces.c.organization_id == organization_id)
        with desk.accounts.read() as db:
            found = db.workspaces.page(and_(*parts), page=page, size=size)
        return answer(
            {
                "workspaces": _shown(desk, found.records),
                "total_count": found.total,
                "current_page": page,
                "total_pages": found.pages,
            }
        )

    def get(request: Request, workspace_id: str) -> Response:
        """One workspace."""
        with desk.accounts.read() as db:
            record = _seen(db, request.state.caller, workspace_id)
        return answer(_shown(desk, [record])[0])

    def update(request: Request, workspace_id: str, body: WorkspaceFields) -> Response:
        """Change what a request names."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            before = _led(db, caller, workspace_id)
            record = msgspec.structs.replace(_applied(before, body), updated_at=desk.now(), updated_by=by(caller))
            if record.organization_id != before.organization_id:
                _check_organization(db, caller, record)
                _check_keys(db, record)
            db.workspaces.put(record)
        _published(workspace_id)
        return answer(_shown(desk, [record])[0])

    def delete(request: Request, workspace_id: str) -> Response:
        """Forget a workspace no key is in."""
        with desk.accounts.write() as db:
            record = _led(db, request.state.caller, workspace_id)
            count = db.keys.count(virtual_keys.c.workspace_id == workspace_id)
            if count:
                raise BadRequest(
                    f"workspace_id: {count} keys are in this workspace; delete them or give them another one first",
                    param="workspace_id",
                )
            db.workspaces.remove_one(workspace_id)
        _published(workspace_id)
        return answer(_shown(desk, [record])[0])

    def _published(id: str) -> None:
        desk.published(subjects=[f"workspace:{id}"])

    write, read = "workspace:write", "workspace:read"
    one = f"{_PATH}/{{workspace_id}}"
    return (
        Route("POST", _PATH, Access.MANAGE, create, write, WorkspaceInfo),
        Route("GET", _PATH, Access.MANAGE, listed, read, WorkspaceList),
        Route("GET", one, Access.MANAGE, get, read, WorkspaceInfo),
        Route("PATCH", one, Access.MANAGE, update, write, WorkspaceInfo),
        Route("DELETE", one, Access.MANAGE, delete, write, WorkspaceInfo),
    )


def _applied(record: Workspace, body: WorkspaceFields) -> Workspace:
    new: dict[str, Any] = {}
    for field in ("name", "organization_id"):
        if body.has(field):
            new[field] = getattr(body, field) or ""
    for field in ("allowed_models", "blocked_models"):
        if body.has(field):
            new[field] = tuple(dict.fromkeys(getattr(body, field) or ()))
    if body.has("blocked"):
        new["blocked"] = bool(body.blocked)
    if body.has("metadata"):
        new["metadata"] = body.metadata or {}
    limits: dict[str, Any] = {name: getattr(body, field) for field, name in _LIMITS.items() if body.has(field)}
    if body.has("max_budget"):
        limits["max_budget"] = nano(body.max_budget) if body.max_budget is not None else None
    if body.has("budget_duration"):
        limits["budget_duration"] = body.budget_duration or ""
    return msgspec.structs.replace(record, limits=msgspec.structs.replace(record.limits, **limits), **new)


def _check_organization(db: Session, caller: Caller, record: Workspace) -> None:
    id = record.organization_id
    if not heads(caller, id):
        if not id:
            raise denied("organization_id: name an organization; only an admin goes without", "organization_id")
        raise missing("organization", id)
    if id and db.organizations.get(id) is None:
        raise missing("organization", id)


def _check_keys(db: Session, record: Workspace) -> None:
    """A workspace of an organization has no keys of others."""
    column = virtual_keys.c
    others = or_(column.organization_id.is_(None), column.organization_id != record.organization_id)
    if record.organization_id and db.keys.count(and_(column.workspace_id == record.workspace_id, others)):
        raise BadRequest("organization_id: keys that are in no such organization are here", param="organization_id")


def _own(caller: Caller) -> Any:
    """The workspaces of a caller's keys."""
    return select(virtual_keys.c.workspace_id).where(
        and_(visible_keys(caller, teams=False), virtual_keys.c.workspace_id.is_not(None))
    )


def _visible(caller: Caller) -> ColumnElement[bool]:
    if caller.sees_all:
        return true()
    headed = sorted(id for id in caller.standing.admin_organizations if heads(caller, id))
    return or_(workspaces.c.organization_id.in_(headed), workspaces.c.workspace_id.in_(_own(caller)))


def _seen(db: Session, caller: Caller, id: str) -> Workspace:
    found = db.workspaces.all(and_(workspaces.c.workspace_id == id, _visible(caller)), 1)
    if not found:
        raise missing("workspace", id)
    return found[0]


def _led(db: Session, caller: Caller, id: str) -> Workspace:
    """A workspace the caller may change, locked."""
    record = db.workspaces.lock(id)
    if record is None or not heads(caller, record.organization_id):
        _seen(db, caller, id)
        raise denied("Only an admin of the workspace's organization or of the gateway may do this.")
    return record


def _shown(desk: Desk, records: Iterable[Workspace]) -> list[dict[str, Any]]:
    listed = list(records)
    spent = desk.spent_many("workspace", ((it.workspace_id, it.limits, Spending()) for it in listed))
    return [_entry(it, spent[it.workspace_id], desk.reset_at(it.limits)) for it in listed]


def _entry(record: Workspace, spend: int, reset_at: float | None) -> dict[str, Any]:
    limits: Limits = record.limits
    return {
        "workspace_id": record.workspace_id,
        "name": record.name or None,
        "organization_id": record.organization_id or None,
        "allowed_models": list(record.allowed_models),
        "blocked_models": list(record.blocked_models),
        "max_budget": dollars(limits.max_budget),
        "budget_duration": limits.budget_duration or None,
        "budget_reset_at": moment(reset_at),
        "spend": dollars(spend),
        **{field: getattr(limits, name) for field, name in _LIMITS.items()},
        "blocked": record.blocked,
        **written(record),
    }
