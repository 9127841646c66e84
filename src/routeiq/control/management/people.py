"""Users as members: found by their id or their address, and made where nobody knows them yet."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from routeiq.control.management.desk import by, denied, missing
from routeiq.core.errors import BadRequest
from routeiq.store.records import User
from routeiq.store.tables_accounts import users

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.store.accounts import Session


def known(db: Session, user_id: str | None, email: str | None) -> User | None:
    """A user by its id, or else its address. Raises `BadRequest` where several have the address."""
    if user_id:
        return db.users.get(user_id)
    found = db.users.all(users.c.email == (email or "").lower(), 2)
    if len(found) > 1:
        raise BadRequest("user_email: several users have this address; name the user_id", param="user_email")
    return found[0] if found else None


def member_id(db: Session, user_id: str | None, email: str | None) -> str:
    """The id of a user somebody names. Raises `BadRequest`, `UnknownPath`."""
    if user_id:
        return user_id
    if not email:
        raise BadRequest("user_id: is needed, or a user_email", param="user_id")
    user = known(db, None, email)
    if user is None:
        raise missing("user", email)
    return user.user_id


def found_or_made(db: Session, caller: Caller, user_id: str | None, email: str | None, now: float) -> tuple[User, bool]:
    """A user, and whether it was made now."""
    user = known(db, user_id, email)
    if user is not None:
        return user, False
    made = User(
        user_id=user_id or str(uuid.uuid4()), email=email or "", created_at=now, updated_at=now, created_by=by(caller)
    )
    if not db.users.add(made):
        raise denied("This user was made by somebody else just now; try again.", "user_id")
    return made, True
