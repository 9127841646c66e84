"""What workers ask about whom requests count for: each answer says where to count."""

from __future__ import annotations

import re

import msgspec
from fastapi import Response

from routeiq.control.access import Access
from routeiq.control.plane import Plane
from routeiq.control.routes import Route
from routeiq.core.errors import UnknownPath
from routeiq.core.keys import BudgetLimit, Subject
from routeiq.core.policies import DURATIONS
from routeiq.store.spend import MEASURES

_DIGEST = re.compile(r"[0-9a-f]{64}")
_encode = msgspec.json.Encoder().encode


def routes(plane: Plane) -> tuple[Route, ...]:
    """Asked for by name; the names are the clients' own."""

    def get_key(digest: str) -> Response:
        """A virtual key by its hex SHA-256."""
        key = plane.keys.find(digest) if _DIGEST.fullmatch(digest) else None
        if key is None:
            raise UnknownPath("There is no such key.")
        return _json(plane.leases.grant(key, plane.current().auth.timezone) if plane.leases is not None else key)

    def get_principal(user_id: str = "", team_id: str = "") -> Response:
        """What stands for the user and the team of a token."""
        key = plane.keys.find_principal(user_id, team_id)
        if key is None:
            raise UnknownPath("There is nobody so called.")
        return _json(plane.leases.grant(key, plane.current().auth.timezone) if plane.leases is not None else key)

    def get_end_user(id: str) -> Response:
        """An end user with limits; 404 for one nobody has limited."""
        found = plane.keys.find_end_user(id)
        if found is None:
            raise UnknownPath("There is no such end user.")
        return _json(plane.leases.grant(found, plane.current().auth.timezone) if plane.leases is not None else found)

    def get_run(name: str) -> Response:
        """A run of an agent by its key and its own name, begun if there is none."""
        limits = plane.current().runs
        if limits is None or plane.leases is None:
            raise UnknownPath("Runs have no limits.")
        return _json(plane.leases.grant_run(name, limits))

    def get_policy(name: str) -> Response:
        """A group of a policy of usage: `<what is counted>:<duration>:<policy_id>/<values>`."""
        what, _, rest = name.partition(":")
        duration, _, id = rest.partition(":")
        if plane.leases is None or what not in MEASURES or duration not in DURATIONS.values() or not id:
            raise UnknownPath("There is nothing to count.")
        subject = Subject(kind="policy", id=id, counts=what, budgets=(BudgetLimit(amount=0, duration=duration),))
        return _json(plane.leases.grant_subject(subject, plane.current().auth.timezone))

    return (
        Route("GET", "/internal/keys/{digest}", Access.INTERNAL, get_key),
        Route("GET", "/internal/principals", Access.INTERNAL, get_principal),
        Route("GET", "/internal/end_users", Access.INTERNAL, get_end_user),
        Route("GET", "/internal/runs", Access.INTERNAL, get_run),
        Route("GET", "/internal/policies", Access.INTERNAL, get_policy),
    )


def _json(data: msgspec.Struct) -> Response:
    return Response(_encode(data), media_type="application/json")
