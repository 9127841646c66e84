"""Keys as answers show them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from routeiq.control.management import shown
from routeiq.control.management.rights import may_key
from routeiq.store.compiled import effective

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

    from routeiq.control.access import Caller
    from routeiq.control.management.desk import Desk
    from routeiq.store.accounts import Session
    from routeiq.store.records import VirtualKey

MOST = 1000
"""Keys of a team or a user in one answer."""


def new_secret() -> str:
    """A key nobody can guess: 128 bits, as LiteLLM's are written."""
    return "sk-" + secrets.token_urlsafe(16)


def short(secret: str) -> str:
    """What a key is called by where it must not be shown."""
    return f"sk-...{secret[-4:]}" if len(secret) > 12 else "sk-..."


def generated(desk: Desk, db: Session, record: VirtualKey, secret: str) -> dict[str, Any]:
    """A new key, shown this once."""
    return {"key": secret, "token": record.digest, "token_id": record.digest, **info(desk, db, record)}


def info(desk: Desk, db: Session, record: VirtualKey) -> dict[str, Any]:
    """A key as answers show it."""
    return infos(desk, db, [record])[0]


def listed(desk: Desk, db: Session, records: Iterable[VirtualKey]) -> list[dict[str, Any]]:
    """Keys in a list, each with its hash."""
    keys = list(records)
    return [{"token": key.digest, **entry} for key, entry in zip(keys, infos(desk, db, keys), strict=True)]


def listed_of(desk: Desk, db: Session, caller: Caller, where: ColumnElement[bool]) -> list[dict[str, Any]]:
    """Those for which this holds and which the caller may see, up to a thousand: `/key/list` has the rest."""
    return listed(desk, db, (key for key in db.keys.all(where, MOST) if may_key(db, caller, key, "/key/list")))


def infos(desk: Desk, db: Session, records: Iterable[VirtualKey]) -> list[dict[str, Any]]:
    """The same for many."""
    listed = list(records)
    budgets = db.budgets.many(record.budget_id for record in listed)
    limits = {record.digest: effective(record.limits, budgets.get(record.budget_id)) for record in listed}
    spent = desk.spent_many("key", ((it.digest, limits[it.digest], it.spending) for it in listed))
    return [
        shown.key(it, spent[it.digest], desk.reset_at(limits[it.digest]), budgets.get(it.budget_id)) for it in listed
    ]
