"""`/key/update`, `/key/regenerate` and what else changes a key that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request, Response

from routeiq.control.access import Access
from routeiq.control.management import limits as limiting
from routeiq.control.management.bodies import lifetime, nano
from routeiq.control.management.described.keys import ChangedKey, GeneratedKey, KeySpend, KeysUpdated
from routeiq.control.management.desk import answer, by, denied, taken, unique
from routeiq.control.management.grants import Grant
from routeiq.control.management.key_answers import generated, info, new_secret, short
from routeiq.control.management.key_bodies import (
    BulkUpdateKeys,
    KeyFields,
    RegenerateKey,
    ResetSpend,
    UpdateKey,
    applied,
    digest_of,
)
from routeiq.control.management.key_defaults import with_defaults
from routeiq.control.management.rights import administers, changed_key
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest, GatewayError
from routeiq.store.compiled import effective
from routeiq.store.records import Spending

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.management.desk import Desk
    from routeiq.store.accounts import Session
    from routeiq.store.records import VirtualKey


def routes(desk: Desk) -> tuple[Route, ...]:
    """Every endpoint that changes a key."""

    def _changed(
        db: Session, caller: Caller, digest: str, body: KeyFields, permission: str
    ) -> tuple[VirtualKey, VirtualKey]:
        """(before, after), not written yet."""
        before = changed_key(db, caller, digest, permission)
        body = with_defaults(body, desk.settings, new=False)
        if body.spend is not None and not caller.admin:
            raise denied("Only an admin may set what was spent.", "spend")
        after = applied(before, body, desk.now())
        if after.team_id != before.team_id and not body.has("organization_id"):
            team = db.teams.get(after.team_id) if after.team_id else None
            after = msgspec.structs.replace(after, organization_id=team.organization_id if team is not None else "")
        after = msgspec.structs.replace(after, updated_at=desk.now(), updated_by=by(caller))
        Grant(db, caller, permission).check(after, before)
        if after.alias and after.alias != before.alias:
            other = db.keys.of_alias(after.alias)
            if other is not None and other.digest != before.digest:
                raise taken("key", after.alias, "key_alias")
        return before, after

    @unique("key")
    def update(request: Request, body: UpdateKey) -> Response:
        """Change what a request names; null takes it away."""
        caller = request.state.caller
        digest = digest_of(body.key)
        with desk.accounts.write() as db:
            _, record = _changed(db, caller, digest, body, "/key/update")
            db.keys.put(record)
            found = [digest, *db.keys.retired(digest)]
        _set_spend(caller, record, body)
        desk.published(keys=found)
        with desk.accounts.read() as db:
            return answer({"key": body.key, **info(desk, db, record)})

    def _set_spend(caller: Caller, record: VirtualKey, body: KeyFields) -> None:
        if body.spend is not None:
            _reset(caller, record, nano(body.spend))

    def _reset(caller: Caller, record: VirtualKey, amount: int) -> None:
        """The ledger's sum from now on; what predecessors of the key have spent counts no more."""
        with desk.accounts.write() as db:
            current = db.keys.lock(record.digest)
            if current is not None and current.spending.carry:
                db.keys.put(msgspec.structs.replace(current, spending=Spending(previous=current.spending.previous)))
        desk.set_spent("key", record.digest, by(caller), amount)

    def bulk_update(request: Request, body: BulkUpdateKeys) -> Response:
        """Change many keys; each on its own."""
        caller = request.state.caller
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for item in body.keys:
            try:
                single = UpdateKey.model_validate(item.model_dump(exclude_unset=True))
                with desk.accounts.write() as db:
                    _, record = _changed(db, caller, digest_of(item.key), single, "/key/bulk_update")
                    db.keys.put(record)
                    found = [record.digest, *db.keys.retired(record.digest)]
                desk.published(keys=found)
                with desk.accounts.read() as db:
                    done.append({"key": item.key, "key_info": info(desk, db, record)})
            except GatewayError as error:
                failed.append({"key": item.key, "failed_reason": error.message})
        return answer({"total_requested": len(body.keys), "successful_updates": done, "failed_updates": failed})

    def _carried(caller: Caller, digest: str) -> dict[str, int]:
        """What the key has spent in each period under way."""
        with desk.accounts.read() as db:
            record = changed_key(db, caller, digest, "/key/regenerate")
            shared = db.budgets.get(record.budget_id) if record.budget_id else None
        return desk.carried("key", digest, effective(record.limits, shared), record.spending)

    @unique("key")
    def regenerate(request: Request, body: RegenerateKey | None = None, key: str | None = None) -> Response:
        """A new key in place of an old one, which goes on working for `grace_period`."""
        caller = request.state.caller
        asked = body or RegenerateKey()
        name = key or asked.key
        digest = digest_of(name) if name else caller.digest
        secret = asked.new_key or new_secret()
        now = desk.now()
        # The ledger is asked before the transaction, which others wait for.
        carry = _carried(caller, digest)
        with desk.accounts.write() as db:
            before, after = _changed(db, caller, digest, asked, "/key/regenerate")
            new = digest_of(secret)
            if new == digest or desk.configured(new) or db.keys.get(new) is not None:
                raise BadRequest(
                    "new_key: this key can't be used; take another", param="new_key", code="already_exists"
                )
            after = msgspec.structs.replace(
                after,
                digest=new,
                name=short(secret),
                spending=Spending(carry=carry, at=now, previous=(*before.spending.previous, digest)[-100:]),
                rotation_count=before.rotation_count + 1,
                last_rotation_at=now,
            )
            db.keys.remove_one(digest)
            db.keys.put(after)
            older = db.keys.retired(digest)
            grace = asked.grace_period
            db.keys.retire(digest, new, now + lifetime(grace) if grace and grace != "-1" else now)
            found = [digest, new, *older]
        _set_spend(caller, after, asked)
        desk.published(keys=found)
        with desk.accounts.read() as db:
            return answer(generated(desk, db, after, secret))

    def reset_spend(request: Request, key: str, body: ResetSpend) -> Response:
        """Let what a key has spent be this much from now on."""
        caller = request.state.caller
        digest = digest_of(key)
        with desk.accounts.read() as db:
            record = changed_key(db, caller, digest, "/key/{key_id}/reset_spend")
            team = db.teams.get(record.team_id) if record.team_id else None
            if not (caller.admin or (team is not None and administers(caller, team))):
                raise denied("Only an admin of the key's team or of the gateway may do this.", "key")
            entry = info(desk, db, record)
        if nano(body.reset_to) > nano(entry["spend"]):
            raise BadRequest(f"reset_to: is over what was spent, {entry['spend']}", param="reset_to")
        _reset(caller, record, nano(body.reset_to))
        desk.published(keys=[digest], subjects=[f"key:{digest}"])
        return answer(
            {
                "key_hash": digest,
                "spend": body.reset_to,
                "previous_spend": entry["spend"],
                "max_budget": limiting.dollars(record.limits.max_budget),
                "budget_reset_at": entry["budget_reset_at"],
            }
        )

    write = "key:write"
    return (
        Route("POST", "/key/update", Access.MANAGE, update, write, ChangedKey),
        Route("POST", "/key/bulk_update", Access.MANAGE, bulk_update, write, KeysUpdated),
        Route("POST", "/key/regenerate", Access.MANAGE, regenerate, write, GeneratedKey),
        Route("POST", "/key/{key}/regenerate", Access.MANAGE, regenerate, write, GeneratedKey),
        Route("POST", "/key/{key}/reset_spend", Access.MANAGE, reset_spend, write, KeySpend),
    )
