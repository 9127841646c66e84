"""Who may do what, as far as roles decide it."""

from __future__ import annotations

import pytest

from routeiq.control.access import OPERATIONS, Access, Caller, Standing, check
from routeiq.control.routes import Route
from routeiq.core.errors import Forbidden
from routeiq.core.keys import ROLES


def may(caller: Caller, access: Access, operation: str = "") -> bool:
    try:
        check(caller, access, operation)
    except Forbidden:
        return False
    return True


def test_a_route_says_who_may_use_it() -> None:
    Route("GET", "/x", Access.MANAGE, len, "key:read")
    for access, operation in ((Access.MANAGE, ""), (Access.MANAGE, "key:reed"), (Access.ADMIN, "key:read")):
        with pytest.raises(ValueError, match="/x does not say"):
            Route("GET", "/x", access, len, operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_viewers_change_nothing_and_admins_may_do_all(operation: str) -> None:
    assert may(Caller("a", role="proxy_admin"), Access.MANAGE, operation)
    everywhere = frozenset(("t1",))
    standing = Standing(teams=everywhere, admin_teams=everywhere, admin_organizations=everywhere)
    for role in ("proxy_admin_viewer", "internal_user_viewer"):
        caller = Caller("a", role=role, user_id="u", standing=standing)
        reads = may(caller, Access.MANAGE, operation)
        assert not reads or operation.endswith(":read")
    for role in (*ROLES, ""):
        assert may(Caller("a", role=role), Access.ADMIN) == (role == "proxy_admin")
        assert may(Caller("a", role=role), Access.ADMIN_VIEW) == role.startswith("proxy_admin")


def test_standing_in_a_team_or_an_organization_gives_its_role() -> None:
    plain = Caller("a", role="internal_user", user_id="u")
    assert may(plain, Access.MANAGE, "key:write")
    assert not may(plain, Access.MANAGE, "team:members")
    leads = Caller("a", role="internal_user", user_id="u", standing=Standing(admin_teams=frozenset(("t",))))
    assert may(leads, Access.MANAGE, "team:members")
    assert not may(leads, Access.MANAGE, "team:create")
    heads = Caller("a", role="internal_user", user_id="u", standing=Standing(admin_organizations=frozenset(("o",))))
    assert may(heads, Access.MANAGE, "team:create")
    assert not may(heads, Access.MANAGE, "organization:create")
    service = Caller("a", team_id="t")
    assert may(service, Access.MANAGE, "key:read")
    assert not may(service, Access.MANAGE, "key:write")
