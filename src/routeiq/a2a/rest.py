"""The HTTP+JSON binding of 1.0: which request is which operation, both ways.

https://a2a-protocol.org/latest/specification/#11-httpjsonrest-protocol-binding
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from routeiq.a2a import wire
from routeiq.a2a.wire import INVALID_PARAMS, METHOD_NOT_FOUND, A2aError, Json

CONTENT = b"application/a2a+json"
_SEGMENT = r"([^/:]+)"
_CONFIGS = f"/tasks/{_SEGMENT}/pushNotificationConfigs"


class Route(NamedTuple):
    """A request. `names` are the parameters in the path."""

    method: str
    pattern: re.Pattern[str]
    operation: str
    names: tuple[str, ...] = ()


def _route(method: str, pattern: str, operation: str, *names: str) -> Route:
    return Route(method, re.compile(pattern), operation, names)


ROUTES = (
    _route("POST", "/message:send", wire.SEND),
    _route("POST", "/message:stream", wire.STREAM),
    _route("GET", "/tasks", wire.LIST),
    _route("GET", f"/tasks/{_SEGMENT}", wire.GET, "id"),
    _route("POST", f"/tasks/{_SEGMENT}:cancel", wire.CANCEL, "id"),
    _route("POST", f"/tasks/{_SEGMENT}:subscribe", wire.SUBSCRIBE, "id"),
    _route("GET", f"/tasks/{_SEGMENT}:subscribe", wire.SUBSCRIBE, "id"),
    _route("POST", _CONFIGS, wire.PUSH_CREATE, "taskId"),
    _route("GET", _CONFIGS, wire.PUSH_LIST, "taskId"),
    _route("GET", f"{_CONFIGS}/{_SEGMENT}", wire.PUSH_GET, "taskId", "id"),
    _route("DELETE", f"{_CONFIGS}/{_SEGMENT}", wire.PUSH_DELETE, "taskId", "id"),
    _route("GET", "/extendedAgentCard", wire.CARD),
)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise ValueError
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


_TYPES: dict[str, Callable[[str], Any]] = {
    "historyLength": _whole, "pageSize": _whole, "includeArtifacts": _flag,
}  # fmt: skip
"""Parameters in a query that are no text."""


def find(method: str, path: str) -> tuple[str, Json] | None:
    """The operation of a request and what its path tells; `None` where there is none. `path` is decoded.

    Raises `A2aError` for a path that has other methods.
    """
    known = False
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found is not None:
            if route.method == method:
                return route.operation, dict(zip(route.names, found.groups(), strict=True))
            known = True
    if known:
        raise A2aError(METHOD_NOT_FOUND, f"{method[:20]} is not a method of this path.", status=405)
    return None


def asked(query: str) -> Json:
    """Parameters of a query. Raises `A2aError`."""
    made: Json = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        try:
            made[name] = _TYPES.get(name, str)(value)
        except ValueError:
            raise A2aError(INVALID_PARAMS, f"{name} can't be {value[:40]!r}.") from None
    return made


def made_of(operation: str, params: Json) -> tuple[str, str, bytes]:
    """Method, target below the interface's path, and body of a request to an agent."""
    route = next(route for route in ROUTES if route.operation == operation)
    rest = {name: value for name, value in params.items() if name not in route.names}
    tenant = rest.pop("tenant", "")
    path = route.pattern.pattern
    for name in route.names:
        path = path.replace(_SEGMENT, quote(str(params.get(name, "")), safe=""), 1)
    target = f"/{quote(tenant, safe='')}{path}" if tenant else path
    if route.method == "POST":
        return "POST", target, wire.encode(rest)
    query = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in rest.items()
        if isinstance(value, (str, int, float))
    }
    return route.method, f"{target}?{urlencode(query)}" if query else target, b""


def told(status: int, body: Any) -> A2aError:
    """The error an agent answered."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return wire.Garbled(f"The agent answered with the status {status}.")
    details = error.get("details")
    details = details if isinstance(details, list) else []
    reasons = [one.get("reason") for one in details if isinstance(one, dict)]
    code = next((wire.CODES[reason] for reason in reasons if reason in wire.CODES), None)
    if code is None:
        code = {400: INVALID_PARAMS, 404: METHOD_NOT_FOUND}.get(status, wire.INTERNAL_ERROR)
    return A2aError(code, str(error.get("message", ""))[:2000], details or None)
