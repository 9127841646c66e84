"""Who calls."""

from __future__ import annotations

from routeiq.core.errors import Unauthorized
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Auth, Snapshot
from routeiq.governance.keys import Caller
from routeiq.pipeline.plan import Stage
from routeiq.pipeline.services import Services
from routeiq.pipeline.waiting import wait


def choose(snapshot: Snapshot) -> Stage:
    """Ask for a key, unless the configuration is open."""
    return admit_anyone if snapshot.auth.open else authenticate


def admit_anyone(exchange: Exchange) -> bool:
    """An open gateway still knows who calls with a known key."""
    exchange.key = exchange.plan.services.keys.anonymous
    return False


def authenticate(exchange: Exchange) -> bool:
    """Find the caller of the key; what is unknown here is asked of the control plane, once."""
    plan = exchange.plan
    services: Services = plan.services
    headers = exchange.headers
    recent = services.keys.recent(headers, exchange.started)
    if recent is not None:
        exchange.key = recent
        return False
    auth: Auth = plan.snapshot.auth
    value = headers.get(b"authorization")
    if (
        value is not None
        and value.startswith(b"Bearer ")
        and auth.key_header is None
        and b"x-litellm-api-key" not in headers
    ):
        token = value[7:]
    else:
        token = token_of(headers, auth)
    if auth.lookup:
        known, again, caller = services.keys.known(token, exchange.started)
        if not known:
            services.start(wait(exchange, _look_up(exchange, token)))
            return True
        if again:
            services.start(services.keys.refresh(token, services.now()))
    else:
        caller = services.keys.find(token)
    exchange.key = admitted(caller, exchange.at / 1e6)
    services.keys.note(headers, exchange.key, exchange.started)
    return False


def token_of(headers: dict[bytes, bytes], auth: Auth) -> bytes:
    """The key in the headers: the configured header, `x-litellm-api-key`, `Authorization: Bearer`, `x-api-key`,
    `api-key`, `x-goog-api-key`. LiteLLM's own is for clients whose `Authorization` is another's.

    Raises `Unauthorized` without one.
    """
    value = headers.get(auth.key_header.encode()) if auth.key_header is not None else None
    value = value or headers.get(b"x-litellm-api-key") or headers.get(b"authorization")
    if value is not None:
        token = value[7:].strip() if value[:7].lower() == b"bearer " else value.strip()
    else:
        token = headers.get(b"x-api-key") or headers.get(b"api-key") or headers.get(b"x-goog-api-key") or b""
    if not token:
        raise Unauthorized("Authentication Error, No api key passed in.", code="no_api_key")
    return token


def admitted(caller: Caller | None, now: float) -> Caller:
    """The caller, if there is one and it may come in. `now` in Unix seconds."""
    if caller is None:
        raise Unauthorized("Authentication Error, Invalid api key: it is not known to this gateway.")
    key = caller.key
    if key.blocked or key.expires is not None or key.refused is not None or not key.calls:
        caller.check(now)
    return caller


async def _look_up(exchange: Exchange, token: bytes) -> bool:
    services: Services = exchange.plan.services
    caller = await services.keys.look_up(token, services.now())
    if not exchange.settled:
        exchange.key = admitted(caller, exchange.at / 1e6)
    return True
