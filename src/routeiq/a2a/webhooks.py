"""Where clients have agents tell of tasks: addresses that somebody else has chosen.

https://a2a-protocol.org/latest/specification/#133-push-notification-security
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from routeiq.a2a.wire import INVALID_PARAMS, A2aError, Json
from routeiq.transport.call import UpstreamBroken
from routeiq.transport.dns import Resolver
from routeiq.transport.guard import is_public

_PORTS = {"http": 80, "https": 443}


def webhook_of(params: Json) -> Any:
    """The webhook in the configuration of a message, of either version; `None` where there is none."""
    configuration = params.get("configuration")
    if not isinstance(configuration, dict):
        return None
    return configuration.get("taskPushNotificationConfig") or configuration.get("pushNotificationConfig")


async def check(webhook: Any, resolver: Resolver, *, private: bool) -> None:
    """Raise `A2aError` for an address that leads anywhere but to the open network, unless `private` ones may be."""
    url = webhook.get("url") if isinstance(webhook, dict) else None
    if not isinstance(url, str):
        raise A2aError(INVALID_PARAMS, "The webhook needs a url.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise A2aError(INVALID_PARAMS, "The webhook's url is not a URL.") from None
    if parts.scheme not in _PORTS or not host or parts.username is not None:
        raise A2aError(INVALID_PARAMS, "The webhook's url must be http or https, without a user name.")
    if private:
        return
    try:
        addresses = await resolver.resolve(host, port or _PORTS[parts.scheme])
    except UpstreamBroken:
        addresses = []
    if not addresses or not all(is_public(address) for address in addresses):
        raise A2aError(INVALID_PARAMS, "The webhook's url does not lead to the open network.")
