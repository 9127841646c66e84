"""`/customer/*` and `/end_user/*`: whom the gateway's users serve. https://docs.litellm.ai/docs/proxy/customers"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from fastapi import Query, Request, Response
from pydantic import Field
from sqlalchemy import true

from routeiq.control.access import Access
from routeiq.control.management import budgets, shown
from routeiq.control.management.bodies import Body, Dollars, Id, LimitFields, Names, Words, nano
from routeiq.control.management.described.customers import (
    CustomerInfo,
    CustomersBlocked,
    CustomersDeleted,
    CustomersUnblocked,
)
from routeiq.control.management.desk import Desk, answer, by, missing, taken
from routeiq.control.management.limits import changed
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.records import EndUser, Limits
from routeiq.store.tables_accounts import end_users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session
    from routeiq.store.records import Budget


class CustomerFields(LimitFields):
    """`/customer/new`, `/customer/update`: with limits, a budget of its own is made."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("tpd_limit", "budget_reset_at", "object_permission", "allowed_model_region", "default_model")
    )

    user_id: Id
    alias: Words | None = None
    blocked: bool | None = None
    budget_id: Id | None = None
    spend: Dollars | None = None
    models: Names | None = None


class CustomerIds(Body):
    """`/customer/delete`, `/customer/block`, `/customer/unblock`."""

    user_ids: list[Id] = Field(min_length=1, max_length=1000)


_LIMITS = tuple(LimitFields.model_fields)


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of end users."""
    desk = Desk(plane)

    def infos(db: Session, records: Iterable[EndUser]) -> list[dict[str, Any]]:
        listed = list(records)
        default = desk.settings.max_end_user_budget_id
        shared = db.budgets.many(it.budget_id or default for it in listed)
        found = {it.user_id: shared.get(it.budget_id or default) for it in listed}
        spent = desk.spent_many("end_user", ((it.user_id, _limits(found[it.user_id]), it.spending) for it in listed))
        return [shown.end_user(it, spent[it.user_id], found[it.user_id]) for it in listed]

    def _applied(db: Session, caller: Caller, record: EndUser, body: CustomerFields) -> EndUser:
        new: dict[str, Any] = {"updated_at": desk.now(), "updated_by": by(caller)}
        if body.has("alias"):
            new["alias"] = body.alias or ""
        if body.blocked is not None:
            new["blocked"] = body.blocked
        if body.has("models"):
            new["models"] = tuple(body.models or ())
        limited = any(body.has(name) for name in _LIMITS)
        if body.has("budget_id"):
            if limited:
                raise BadRequest("budget_id: either name a budget or give limits, not both", param="budget_id")
            if body.budget_id is not None and db.budgets.get(body.budget_id) is None:
                raise missing("budget", body.budget_id)
            new["budget_id"] = body.budget_id or ""
        elif limited:
            held = db.budgets.get(record.budget_id) if record.budget_id else None
            limits = changed(_limits(held), body)
            new["budget_id"] = budgets.make(db, caller, limits, desk.now()).budget_id
        return msgspec.structs.replace(record, **new)

    def _told(caller: Caller, body: CustomerFields, record: EndUser) -> Response:
        """The customer, once the workers know of the change."""
        if body.spend is not None:
            desk.set_spent("end_user", body.user_id, by(caller), nano(body.spend))
        desk.published(subjects=[f"end_user:{body.user_id}"])
        with desk.accounts.read() as db:
            return answer(infos(db, [record])[0])

    def new(request: Request, body: CustomerFields) -> Response:
        """Make an end user that has limits of its own."""
        caller, now = request.state.caller, desk.now()
        with desk.accounts.write() as db:
            if db.end_users.get(body.user_id) is not None:
                raise taken("customer", body.user_id, "user_id")
            made = EndUser(user_id=body.user_id, created_at=now, created_by=by(caller))
            record = _applied(db, caller, made, body)
            db.end_users.put(record)
        return _told(caller, body, record)

    def update(request: Request, body: CustomerFields) -> Response:
        """Change what a request names."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            before = db.end_users.lock(body.user_id)
            if before is None:
                raise missing("customer", body.user_id)
            record = _applied(db, caller, before, body)
            db.end_users.put(record)
        return _told(caller, body, record)

    def info(end_user_id: Annotated[str, Query(min_length=1, max_length=255)]) -> Response:
        """One end user."""
        with desk.accounts.read() as db:
            record = db.end_users.get(end_user_id)
            if record is None:
                raise missing("customer", end_user_id)
            return answer(infos(db, [record])[0])

    def list_customers(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        size: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    ) -> Response:
        """End users that are known here."""
        with desk.accounts.read() as db:
            found = db.end_users.page(true(), page=page, size=size)
            return answer(infos(db, found.records))

    def delete(body: CustomerIds) -> Response:
        """Forget end users, and so what limits them."""
        with desk.accounts.write() as db:
            known = db.end_users.many(body.user_ids)
            _all_known(body.user_ids, known)
            count = db.end_users.remove(end_users.c.user_id.in_(sorted(known)))
        desk.published(subjects=[f"end_user:{id}" for id in known])
        return answer({"deleted_customers": count, "message": f"Deleted {count} customers"})

    def _block(request: Request, body: CustomerIds, name: str, *, blocked: bool) -> Response:
        caller, now = request.state.caller, desk.now()
        with desk.accounts.write() as db:
            records = []
            for id in dict.fromkeys(body.user_ids):
                record = db.end_users.lock(id) or EndUser(user_id=id, created_at=now, created_by=by(caller))
                record = msgspec.structs.replace(record, blocked=blocked, updated_at=now, updated_by=by(caller))
                db.end_users.put(record)
                records.append(record)
        desk.published(subjects=[f"end_user:{record.user_id}" for record in records])
        with desk.accounts.read() as db:
            return answer({name: infos(db, records)})

    def block(request: Request, body: CustomerIds) -> Response:
        """Refuse requests that name these end users; those nobody knows yet are made."""
        return _block(request, body, "blocked_users", blocked=True)

    def unblock(request: Request, body: CustomerIds) -> Response:
        """Take their requests again."""
        return _block(request, body, "unblocked_users", blocked=False)

    write, read = "customer:write", "customer:read"
    table: tuple[tuple[str, str, Any, str, Any], ...] = (
        ("POST", "new", new, write, CustomerInfo),
        ("POST", "update", update, write, CustomerInfo),
        ("GET", "info", info, read, CustomerInfo),
        ("GET", "list", list_customers, read, list[CustomerInfo]),
        ("POST", "delete", delete, write, CustomersDeleted),
        ("POST", "block", block, write, CustomersBlocked),
        ("POST", "unblock", unblock, write, CustomersUnblocked),
    )
    return tuple(
        Route(method, f"/{prefix}/{name}", Access.MANAGE, endpoint, operation, response)
        for prefix in ("customer", "end_user")
        for method, name, endpoint, operation, response in table
    )


def _limits(budget: Budget | None) -> Limits:
    return budget.limits if budget is not None else Limits()


def _all_known(ids: list[str], known: dict[str, EndUser]) -> None:
    for id in ids:
        if id not in known:
            raise missing("customer", id)
