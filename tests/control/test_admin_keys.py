"""`ADMIN_API_KEYS` and `X-Admin-API-Key`: who may manage without being able to call."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from routeiq.control.access import Access
from routeiq.control.auth import require
from routeiq.core.errors import GatewayError
from routeiq.core.keys import Key
from routeiq.core.snapshot import Auth, Snapshot

PLAIN, OTHER, MASTER, STATIC = "0123456789abcdef-one", "0123456789abcdef-two", "sk-master-0123456789", "sk-static-1"
ADMIN_ROUTES = (Access.ADMIN, Access.ADMIN_VIEW, Access.METRICS)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


KEYS = tuple(sha(form) for key in (PLAIN, OTHER) for form in (key, f"sk-riq-{key}"))
AUTH = Auth(master_key=sha(MASTER), admin_keys=KEYS, keys={sha(STATIC): Key(id=sha(STATIC))})


async def ask(auth: Auth, access: Access, operation: str = "", **headers: str) -> Any:
    """The caller, or the (status, code) of the refusal."""
    snapshot = Snapshot(revision="r", created=0.0, deployments=(), groups={}, auth=auth)
    plane: Any = SimpleNamespace(current=lambda: snapshot)
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "path": "/x", "raw_path": b"/x", "headers": raw, "state": {}})
    try:
        await require(access, plane, operation=operation)(request)
    except GatewayError as error:
        return error.status, error.code
    return request.state.caller


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("key", [PLAIN, f"sk-riq-{PLAIN}", OTHER, f"sk-riq-{OTHER}", MASTER])
@pytest.mark.parametrize("header", ["x_admin_api_key", "authorization", "x_api_key"])
async def test_each_key_in_either_form_is_an_admin(key: str, header: str) -> None:
    for access in ADMIN_ROUTES:
        caller = await ask(AUTH, access, **{header: f"Bearer {key}" if header == "authorization" else key})
        assert caller.admin
        assert caller.name == ("master" if key == MASTER else "admin")


@pytest.mark.anyio
async def test_what_is_missing_or_wrong_is_told_as_it_is() -> None:
    for access in ADMIN_ROUTES:
        assert await ask(AUTH, access) == (401, "admin_key_required")
        assert await ask(AUTH, access, x_admin_api_key="") == (401, "admin_key_required")
        for wrong in ("x", sha(PLAIN), PLAIN[:-1], f"sk-{PLAIN}", f"sk-riq-sk-riq-{PLAIN}", PLAIN.upper()):
            assert await ask(AUTH, access, x_admin_api_key=wrong) == (401, "invalid_admin_key")
            assert await ask(AUTH, access, authorization=f"Bearer {wrong}") == (401, "invalid_admin_key")
        assert await ask(AUTH, access, authorization=f"Bearer {STATIC}") == (403, "admin_required")
    assert await ask(AUTH, Access.KEY) == (401, "no_api_key")
    assert await ask(AUTH, Access.KEY, authorization="Bearer x") == (401, "invalid_api_key")


@pytest.mark.anyio
async def test_the_admin_header_takes_admin_keys_only_and_wins() -> None:
    for access in (*ADMIN_ROUTES, Access.KEY):
        assert await ask(AUTH, access, x_admin_api_key=STATIC) == (401, "invalid_admin_key")
        assert await ask(AUTH, access, x_admin_api_key="x", authorization=f"Bearer {MASTER}") == (
            401, "invalid_admin_key",
        )  # fmt: skip
        assert (await ask(AUTH, access, x_admin_api_key=PLAIN, authorization="Bearer x")).admin


@pytest.mark.anyio
@pytest.mark.parametrize("auth", [Auth(), Auth(keys=AUTH.keys)])
async def test_without_any_admin_nothing_can_be_managed(auth: Auth) -> None:
    for access in ADMIN_ROUTES:
        for headers in ({}, {"authorization": f"Bearer {STATIC}"}, {"x_admin_api_key": PLAIN}):
            assert await ask(auth, access, **headers) == (403, "control_plane_not_configured")
