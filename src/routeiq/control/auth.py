"""Who asks the control plane. Everything is refused that is not allowed by name."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import time
from collections.abc import Callable, Coroutine, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from routeiq.control.access import Access, Caller, Standing, check, reaches
from routeiq.control.plane import Plane
from routeiq.core.access_groups import expand
from routeiq.core.errors import Forbidden, Unauthorized, UnknownPath
from routeiq.core.keys import ORG_ADMIN, PROXY_ADMIN, Key

if TYPE_CHECKING:
    from routeiq.core.snapshot import Auth, Deployment
    from routeiq.store.standing import Memberships

Guard = Callable[[Request], Coroutine[Any, Any, None]]
INTERNAL_PREFIX = b"/internal/"
ADMIN_HEADER = b"x-admin-api-key"
"""Takes admin keys only, and wins over every other header."""
OPEN = Caller(digest="", name="open", open=True)
"""The caller where the configuration asks for no key."""


def require(access: Access, plane: Plane, *, path: str = "", operation: str = "", serve_open: bool = False) -> Guard:
    """What lets a request through or raises; leaves a `Caller` in `request.state.caller`."""

    async def guard(request: Request) -> None:
        if access is Access.INTERNAL:
            # As sent, undecoded: `/%69nternal/…` is not what a worker refuses to pass on, so it is refused here.
            if not request.scope.get("raw_path", b"").startswith(INTERNAL_PREFIX):
                raise UnknownPath("There is no such path here.")
            return
        auth = plane.current().auth
        if access is Access.METRICS and auth.metrics_public:
            return
        caller = await identify(request, plane, auth, access)
        if caller.open:
            if access is not Access.KEY and not serve_open:
                raise Forbidden(
                    "This gateway asks for no key, so nobody can be known to be its admin. Set "
                    "general_settings.master_key (or LITELLM_MASTER_KEY) to manage it.",
                    code="control_plane_not_configured",
                )
        else:
            if access is Access.MANAGE and caller.user_id:
                found = await run_in_threadpool(plane.accounts.memberships, caller.user_id)
                caller = dataclasses.replace(caller, standing=_standing(found))
            check(caller, access, operation)
            asked = request.scope["path"]
            if not reaches(caller.routes, asked, path, access, operation):
                raise Forbidden(f"This key's allowed_routes do not have {asked[:200]}.", code="route_not_allowed")
        request.state.caller = caller

    return guard


def _standing(found: Memberships) -> Standing:
    return Standing(
        teams=frozenset(found.teams),
        admin_teams=frozenset(id for id, role in found.teams.items() if role == "admin"),
        organizations=frozenset(found.organizations),
        admin_organizations=frozenset(id for id, role in found.organizations.items() if role == ORG_ADMIN),
    )


def admin_name(digest: str, auth: Auth) -> str | None:
    """The name of the admin's key with this hex SHA-256, where the configuration has it as one."""
    # All of them are compared, so that nothing tells which.
    found = [hmac.compare_digest(digest, known) for known in auth.admin_keys]
    if auth.master_key is not None and hmac.compare_digest(digest, auth.master_key):
        return "master"
    return "admin" if any(found) else None


def has_admin(auth: Auth) -> bool:
    """Whether anybody could be an admin by what the configuration says."""
    return bool(auth.master_key or auth.admin_keys or auth.lookup or any(key.admin for key in auth.keys.values()))


async def identify(request: Request, plane: Plane, auth: Auth, access: Access = Access.KEY) -> Caller:
    """The caller of a request. Raises `Unauthorized` or `Forbidden`."""
    if auth.open:
        return OPEN
    headers = request.scope["headers"]
    stated = next((value.strip() for name, value in headers if name == ADMIN_HEADER), None)
    for_admins = stated is not None or access in (Access.ADMIN, Access.ADMIN_VIEW, Access.METRICS)
    if for_admins and not has_admin(auth):
        raise Forbidden(
            "No admin key is configured. Set general_settings.master_key, LITELLM_MASTER_KEY or ADMIN_API_KEYS.",
            code="control_plane_not_configured",
        )
    token = token_of(headers, auth.key_header) if stated is None else stated
    if not token:
        code = "admin_key_required" if for_admins else "no_api_key"
        raise Unauthorized("Authentication Error, No api key passed in.", code=code)
    digest = hashlib.sha256(token).hexdigest()
    name = admin_name(digest, auth)
    if name is not None:
        return Caller(digest=digest, name=name, role=PROXY_ADMIN)
    if stated is not None:
        raise Unauthorized("The key in X-Admin-API-Key is not an admin key.", code="invalid_admin_key")
    key = auth.keys.get(digest)
    if key is None and auth.lookup:
        key = await run_in_threadpool(plane.keys.find, digest)
    if key is None or not hmac.compare_digest(digest, key.digest):
        code = "invalid_admin_key" if for_admins else Unauthorized.code
        raise Unauthorized("Authentication Error, Invalid api key.", code=code)
    if key.blocked:
        raise Forbidden("This key is blocked.", code="key_blocked")
    if key.expires is not None and time.time() >= key.expires:
        raise Unauthorized("This key has expired.", type="expired_key", code="expired_key")
    if key.refused is not None:
        raise Forbidden(key.refused.message, code=key.refused.code)
    return caller_of(key, plane.current().access_groups)


def caller_of(key: Key, groups: Mapping[str, tuple[str, ...]]) -> Caller:
    """What a key says about who uses it; `groups` are access groups, which its rules may name."""
    rules = (msgspec.structs.replace(rule, models=expand(rule.models, groups)) for rule in key.rules)
    return Caller(
        digest=key.id,
        name=key.name,
        role=PROXY_ADMIN if key.admin else key.role,
        user_id=key.user_id,
        team_id=key.team_id,
        organization_id=key.organization_id,
        rules=tuple(rules),
        routes=key.routes,
    )


def token_of(headers: list[tuple[bytes, bytes]], key_header: str | None) -> bytes:
    """The key in the headers: the configured one, `x-litellm-api-key`, `Authorization: Bearer`, `x-api-key`, `api-key`,
    `x-goog-api-key`.
    """
    found = dict(reversed(headers))
    own = found.get(key_header.lower().encode("latin-1")) if key_header is not None else None
    value = own or found.get(b"x-litellm-api-key") or found.get(b"authorization")
    if value is not None:
        return (value[7:] if value[:7].lower() == b"bearer " else value).strip()
    return (found.get(b"x-api-key") or found.get(b"api-key") or found.get(b"x-goog-api-key") or b"").strip()


def shows(caller: Caller, deployment: Deployment) -> bool:
    """Whether a caller may see a deployment: a team's are its own."""
    if deployment.team:
        return caller.sees_all or deployment.team in (caller.team_id, *caller.standing.teams)
    return may_see(caller, deployment.group)


def may_see(caller: Caller, name: str) -> bool:
    """Whether all of a caller's rules have this public name or a pattern for it."""
    if caller.sees_all:
        return True
    return all(
        any(fnmatchcase(name, pattern) for pattern in rule.models)
        and not any(fnmatchcase(name, pattern) for pattern in rule.denied)
        for rule in caller.rules
    )
