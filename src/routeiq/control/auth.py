"""Who may ask the control plane what. Everything is refused that is not allowed by name."""

from __future__ import annotations

import enum
import hashlib
import hmac
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from routeiq.control.plane import Plane
from routeiq.core.errors import Forbidden, Unauthorized, UnknownPath
from routeiq.core.snapshot import Key

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from routeiq.core.snapshot import Auth

INTERNAL_PREFIX = b"/internal/"


class Scope(enum.Enum):
    """What a route asks of its caller."""

    INTERNAL = "internal"
    """Only processes of ours, which reach the socket directly; workers pass nothing on that begins so."""
    METRICS = "metrics"
    """An admin, or anyone where `auth.metrics_public`."""
    ADMIN = "admin"
    KEY = "key"
    """Any valid key."""


OPEN = Key(id="", name="open", admin=True)
"""The caller where the configuration asks for no key."""


def require(scope: Scope, plane: Plane) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency that lets a request through or raises; leaves the caller in `request.state.key`."""

    async def guard(request: Request) -> None:
        if scope is Scope.INTERNAL:
            # As sent, undecoded: `/%69nternal/…` is not what a worker refuses to pass on, so it is refused here.
            if not request.scope.get("raw_path", b"").startswith(INTERNAL_PREFIX):
                raise UnknownPath("There is no such path here.")
            return
        auth = plane.current().auth
        if scope is Scope.METRICS and auth.metrics_public:
            return
        key = await authenticate(request, plane, auth)
        if scope is not Scope.KEY and not key.admin:
            raise Forbidden("This needs an admin key.", code="admin_required")
        request.state.key = key

    return guard


async def authenticate(request: Request, plane: Plane, auth: Auth) -> Key:
    """The caller's key. Raises `Unauthorized` or `Forbidden`."""
    if auth.open:
        return OPEN
    token = token_of(request.scope["headers"], auth.key_header)
    if not token:
        raise Unauthorized("Authentication Error, No api key passed in.", code="no_api_key")
    digest = hashlib.sha256(token).hexdigest()
    if auth.master_key is not None and hmac.compare_digest(digest, auth.master_key):
        return Key(id=digest, name="master", admin=True)
    key = auth.keys.get(digest)
    if key is None and auth.lookup:
        key = await run_in_threadpool(plane.keys.find, digest)
    if key is None or not hmac.compare_digest(digest, key.id):
        raise Unauthorized("Authentication Error, Invalid api key.")
    if key.blocked:
        raise Forbidden("This key is blocked.", code="key_blocked")
    if key.expires is not None and time.time() >= key.expires:
        raise Unauthorized("This key has expired.", code="expired_key")
    return key


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


def may_see(key: Key, name: str) -> bool:
    """Whether a key's list of models has this name or a pattern for it."""
    return not key.models or key.admin or any(fnmatchcase(name, pattern) for pattern in key.models)
