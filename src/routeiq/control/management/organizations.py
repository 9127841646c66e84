"""`/organization/*`: tenants. https://docs.litellm.ai/docs/proxy/multi_tenant_architecture"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from fastapi import Query, Request, Response
from pydantic import Field, model_validator
from sqlalchemy import and_, or_, true

from routeiq.control.access import Access
from routeiq.control.management import budgets, object_permissions, shown, team_answers, teams, users
from routeiq.control.management import limits as limiting
from routeiq.control.management.bodies import Body, Id, LimitFields, Metadata, Names, Words
from routeiq.control.management.described.organizations import (
    FullOrganization,
    OrganizationInfo,
    OrganizationMembersAdded,
    OrganizationMembership,
)
from routeiq.control.management.desk import Desk, answer, by, denied, missing, taken
from routeiq.control.management.holder_bodies import ObjectPermissionFields
from routeiq.control.management.people import found_or_made, known, member_id
from routeiq.control.management.rights import heads, manages_user, subset
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.compiled import effective
from routeiq.store.records import Limits, Organization, OrganizationMember
from routeiq.store.rows import contains
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import organization_memberships, organizations, team_memberships
from routeiq.store.tables_accounts import teams as team_table
from routeiq.store.tables_governance import workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.store.accounts import Session
    from routeiq.store.records import Budget

OrganizationRole = Literal["org_admin", "internal_user", "internal_user_viewer"]
_SHARED = frozenset(LimitFields.model_fields) - {"model_rpm_limit", "model_tpm_limit"}
"""Limits that are in the organization's budget."""


_OWN = frozenset(("organization_id", "organization_alias", "metadata", "models"))
"""What an organization's admin may change."""


class OrganizationFields(LimitFields):
    """What may be said about an organization when it is made and later."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(
        ("tpd_limit", "allowed_models", "temp_budget_increase", "temp_budget_expiry")
    )
    LIFTED: ClassVar[frozenset[str]] = frozenset(("model_rpm_limit", "model_tpm_limit"))

    organization_alias: Words | None = None
    models: Names | None = None
    metadata: Metadata | None = None
    budget_id: Id | None = None
    blocked: bool | None = None
    object_permission: ObjectPermissionFields | None = None


class NewOrganization(OrganizationFields):
    """`/organization/new`."""

    organization_id: Id | None = None
    organization_alias: Words


class UpdateOrganization(OrganizationFields):
    """`/organization/update`."""

    organization_id: Id


class OrganizationIds(Body):
    """`/organization/delete`."""

    organization_ids: list[Id] = Field(min_length=1, max_length=1000)


class Organizations(Body):
    """`POST /organization/info`."""

    organizations: list[Id] = Field(max_length=1000)


class Member(Body):
    """A user in an organization; one that nobody knows yet is made."""

    user_id: Id | None = None
    user_email: Words | None = None
    role: OrganizationRole = "internal_user"

    @model_validator(mode="after")
    def _somebody(self) -> Member:
        if not self.user_id and not self.user_email:
            raise ValueError("needs a user_id or a user_email")
        return self


class AddMember(Body):
    """`/organization/member_add`."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("max_budget_in_organization",))

    organization_id: Id
    member: Member | Annotated[list[Member], Field(min_length=1, max_length=1000)]


class UpdateMember(Body):
    """`/organization/member_update`."""

    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset(("max_budget_in_organization",))

    organization_id: Id
    user_id: Id | None = None
    user_email: Words | None = None
    role: OrganizationRole | None = None


class DeleteMember(Body):
    """`/organization/member_delete`."""

    organization_id: Id
    user_id: Id | None = None
    user_email: Words | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint of organizations."""
    desk = Desk(plane)

    def infos(db: Session, records: Iterable[Organization]) -> list[dict[str, Any]]:
        listed = list(records)
        shared = db.budgets.many(it.budget_id for it in listed)
        held = {it.organization_id: effective(it.limits, shared.get(it.budget_id)) for it in listed}
        spent = desk.spent_many(
            "organization", ((it.organization_id, held[it.organization_id], it.spending) for it in listed)
        )
        return [shown.organization(it, spent[it.organization_id], shared.get(it.budget_id)) for it in listed]

    def full(db: Session, record: Organization) -> dict[str, Any]:
        """With its members and teams."""
        id = record.organization_id
        members = db.organization_members.all(organization_memberships.c.organization_id == id, 10_000)
        people = db.users.many(member.user_id for member in members)
        shared = db.budgets.many(member.budget_id for member in members)
        inside = db.teams.all(team_table.c.organization_id == id, 10_000)
        emails = {user.user_id: user.email for user in people.values()}
        listed = [
            shown.organization_member(member, emails.get(member.user_id), shared.get(member.budget_id))
            for member in members
        ]
        return {**infos(db, [record])[0], "members": listed, "teams": team_answers.infos(desk, db, inside)}

    def _seen(db: Session, caller: Caller, id: str, *, lock: bool = False) -> Organization:
        record = (db.organizations.lock if lock else db.organizations.get)(id)
        if record is None or not (caller.sees_all or id in caller.standing.organizations):
            raise missing("organization", id)
        return record

    def _headed(db: Session, caller: Caller, id: str) -> Organization:
        record = _seen(db, caller, id, lock=True)
        if not heads(caller, id):
            raise denied("Only an admin of the organization or of the gateway may do this.", "organization_id")
        return record

    def _applied(db: Session, caller: Caller, record: Organization, body: OrganizationFields) -> Organization:
        new: dict[str, Any] = {"updated_at": desk.now(), "updated_by": by(caller)}
        if body.has("organization_alias"):
            new["alias"] = body.organization_alias or ""
        if body.has("models"):
            new["models"] = tuple(dict.fromkeys(body.models or ()))
        if body.has("metadata"):
            new["metadata"] = body.metadata or {}
        if body.blocked is not None:
            new["blocked"] = body.blocked
        if body.has("object_permission"):
            new["object_permission"] = object_permissions.changed(record.object_permission, body.object_permission)
        names = ("model_rpm_limit", "model_tpm_limit")
        per_model = {name: getattr(body, name) or {} for name in names if body.has(name)}
        new["limits"] = msgspec.structs.replace(record.limits, **per_model)
        given = {name: getattr(body, name) for name in _SHARED if body.has(name)}
        if body.budget_id is not None:
            if given:
                raise BadRequest("budget_id: either name a budget or give limits, not both", param="budget_id")
            if db.budgets.get(body.budget_id) is None:
                raise missing("budget", body.budget_id)
            new["budget_id"] = body.budget_id
        elif given or not record.budget_id:
            new["budget_id"] = _budget(db, caller, record, LimitFields(**given)).budget_id
        return msgspec.structs.replace(record, **new)

    def _budget(db: Session, caller: Caller, record: Organization, body: LimitFields) -> Budget:
        """The organization's budget with what a request says: its own, or a copy of one that others have, too."""
        held = db.budgets.get(record.budget_id) if record.budget_id else None
        if held is not None and db.budget_users(held.budget_id) == [f"organization:{record.organization_id}"]:
            return budgets.revised(db, caller, held.budget_id, body, desk.now())
        return budgets.make(
            db, caller, limiting.changed(held.limits if held is not None else Limits(), body), desk.now()
        )

    def new(request: Request, body: NewOrganization) -> Response:
        """Make an organization."""
        caller, now = request.state.caller, desk.now()
        made = Organization(
            organization_id=body.organization_id or str(uuid.uuid4()), created_at=now, created_by=by(caller)
        )
        with desk.accounts.write() as db:
            if db.organizations.get(made.organization_id) is not None:
                raise taken("organization", made.organization_id, "organization_id")
            record = _applied(db, caller, made, body)
            db.organizations.put(record)
        with desk.accounts.read() as db:
            return answer(infos(db, [record])[0])

    def update(request: Request, body: UpdateOrganization) -> Response:
        """Change what a request names. Limits are for an admin of the gateway to raise."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            before = _headed(db, caller, body.organization_id)
            if not caller.admin:
                for name in sorted(body.model_fields_set - _OWN):
                    raise denied(f"{name}: only an admin of the gateway may set it", name)
                if body.has("models") and before.models and not subset(tuple(body.models or ()), before.models):
                    raise denied("models: an admin of the organization may not add to them", "models")
            record = _applied(db, caller, before, body)
            db.organizations.put(record)
        desk.published(subjects=[f"organization:{record.organization_id}"])
        with desk.accounts.read() as db:
            return answer(infos(db, [record])[0])

    def delete(request: Request, body: OrganizationIds) -> Response:
        """Delete organizations with their teams, keys and memberships."""
        caller = request.state.caller
        gone: list[str] = []
        with desk.accounts.read() as db:
            entries = infos(db, [_seen(db, caller, id) for id in dict.fromkeys(body.organization_ids)])
        with desk.accounts.write() as db:
            for id in dict.fromkeys(body.organization_ids):
                _seen(db, caller, id, lock=True)
                for team in db.teams.all(team_table.c.organization_id == id):
                    gone += teams.remove(db, team, by(caller), desk.now())
                gone += db.keys.delete(db.keys.all(virtual_keys.c.organization_id == id), by(caller), desk.now())
                db.organization_members.remove(organization_memberships.c.organization_id == id)
                db.workspaces.remove(workspaces.c.organization_id == id)
                db.organizations.remove_one(id)
        desk.published(keys=gone)
        return answer(entries)

    def get_info(request: Request, organization_id: Annotated[str, Query(min_length=1, max_length=255)]) -> Response:
        """One organization with its teams and members."""
        caller = request.state.caller
        with desk.accounts.read() as db:
            record = _seen(db, caller, organization_id)
            if caller.sees_all or heads(caller, organization_id):
                return answer(full(db, record))
            return answer({**infos(db, [record])[0], "members": [], "teams": []})

    def infos_of(request: Request, body: Organizations) -> Response:
        """Organizations by their ids."""
        caller = request.state.caller
        with desk.accounts.read() as db:
            return answer(infos(db, [_seen(db, caller, id) for id in dict.fromkeys(body.organizations)]))

    def list_organizations(
        request: Request, org_id: str | None = None, org_alias: Annotated[str | None, Query(max_length=1024)] = None
    ) -> Response:
        """Organizations the caller may see."""
        caller = request.state.caller
        column = organizations.c
        parts: list[ColumnElement[bool]] = [
            true() if caller.sees_all else column.organization_id.in_(sorted(caller.standing.organizations))
        ]
        if org_id:
            parts.append(column.organization_id == org_id)
        if org_alias:
            parts.append(contains(column.alias, org_alias))
        with desk.accounts.read() as db:
            found = db.organizations.all(and_(*parts), 10_000)
            return answer(
                [
                    full(db, record)
                    if caller.sees_all or heads(caller, record.organization_id)
                    else {**infos(db, [record])[0], "members": [], "teams": []}
                    for record in found
                ]
            )

    def add(request: Request, body: AddMember) -> Response:
        """Take users into an organization; those nobody knows yet are made."""
        caller, now = request.state.caller, desk.now()
        listed = body.member if isinstance(body.member, list) else [body.member]
        id = body.organization_id
        people, added = [], []
        with desk.accounts.write() as db:
            _headed(db, caller, id)
            for member in listed:
                user, made = found_or_made(db, caller, member.user_id, member.user_email, now)
                if db.organization_members.get((id, user.user_id)) is not None:
                    raise BadRequest(
                        f"{user.user_id!r} is in this organization already.", param="member", code="already_exists"
                    )
                if not made and not manages_user(db, caller, user.user_id):
                    raise denied("Only an admin of the gateway may take in a user of others.", "member")
                record = OrganizationMember(
                    organization_id=id, user_id=user.user_id, role=member.role, created_at=now, created_by=by(caller)
                )
                db.organization_members.put(record)
                people.append(user)
                added.append(shown.organization_member(record, user.email, None))
        desk.published(subjects=[f"user:{user.user_id}" for user in people])
        with desk.accounts.read() as db:
            listed_users = users.infos(desk, db, people)
        return answer({"organization_id": id, "updated_users": listed_users, "updated_organization_memberships": added})

    def _member(db: Session, id: str, user_id: str | None, email: str | None) -> OrganizationMember:
        named = member_id(db, user_id, email)
        record = db.organization_members.lock((id, named))
        if record is None:
            raise missing("member", named)
        return record

    def update_member(request: Request, body: UpdateMember) -> Response:
        """Change a member's role."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            _headed(db, caller, body.organization_id)
            record = _member(db, body.organization_id, body.user_id, body.user_email)
            record = msgspec.structs.replace(record, role=body.role or record.role, updated_at=desk.now())
            db.organization_members.put(record)
            user = known(db, record.user_id, None)
        return answer(shown.organization_member(record, user.email if user is not None else None, None))

    def remove_member(request: Request, body: DeleteMember) -> Response:
        """Take a user out of an organization and of its teams, and delete the keys it has there."""
        caller = request.state.caller
        with desk.accounts.write() as db:
            _headed(db, caller, body.organization_id)
            record = _member(db, body.organization_id, body.user_id, body.user_email)
            inside = [team.team_id for team in db.teams.all(team_table.c.organization_id == body.organization_id)]
            where = (virtual_keys.c.user_id == record.user_id) & or_(
                virtual_keys.c.organization_id == body.organization_id, virtual_keys.c.team_id.in_(inside)
            )
            gone = db.keys.delete(db.keys.all(where), by(caller), desk.now())
            column = team_memberships.c
            db.team_members.remove((column.user_id == record.user_id) & column.team_id.in_(inside))
            db.organization_members.remove_one((body.organization_id, record.user_id))
        desk.published(keys=gone, subjects=[f"user:{record.user_id}"])
        return answer(shown.organization_member(record, None, None))

    read, write, members, create = (f"organization:{name}" for name in ("read", "write", "members", "create"))
    one, joined = OrganizationInfo, OrganizationMembership
    return (
        Route("POST", "/organization/new", Access.MANAGE, new, create, one),
        Route("PATCH", "/organization/update", Access.MANAGE, update, write, one),
        Route("DELETE", "/organization/delete", Access.MANAGE, delete, create, list[OrganizationInfo]),
        Route("GET", "/organization/info", Access.MANAGE, get_info, read, FullOrganization),
        Route("POST", "/organization/info", Access.MANAGE, infos_of, read, list[OrganizationInfo]),
        Route("GET", "/organization/list", Access.MANAGE, list_organizations, read, list[FullOrganization]),
        Route("POST", "/organization/member_add", Access.MANAGE, add, members, OrganizationMembersAdded),
        Route("PATCH", "/organization/member_update", Access.MANAGE, update_member, members, joined),
        Route("DELETE", "/organization/member_delete", Access.MANAGE, remove_member, members, joined),
    )
