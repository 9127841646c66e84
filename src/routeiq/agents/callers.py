"""Who calls: the same keys as everywhere."""

from __future__ import annotations

from routeiq.core.snapshot import Auth
from routeiq.governance.keys import Caller
from routeiq.pipeline.authenticate import admitted, token_of
from routeiq.pipeline.services import Services


async def caller_of(services: Services, auth: Auth, fields: dict[bytes, bytes]) -> Caller:
    """The caller of a request's key. Raises `Unauthorized`, `Forbidden`, and `Overloaded` when nobody can be asked."""
    if auth.open:
        return services.keys.anonymous
    now = services.now()
    recent = services.keys.recent(fields, now)
    if recent is not None:
        return recent
    token = token_of(fields, auth)
    if auth.lookup:
        known, again, caller = services.keys.known(token, now)
        if not known:
            caller = await services.keys.look_up(token, now)
        elif again:
            services.start(services.keys.refresh(token, now))
    else:
        caller = services.keys.find(token)
    found = admitted(caller, services.wall())
    services.keys.note(fields, found, now)
    return found
