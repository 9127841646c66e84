"""Name resolution with a cache, so that a new connection costs no thread."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from routeiq.transport.call import UpstreamBroken

Lookup = Callable[[str, int], Awaitable[list[str]]]


async def system_lookup(host: str, port: int) -> list[str]:
    """The system resolver's addresses, in its order. Raises `OSError`."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class Resolver:
    """Caches answers for `ttl` seconds, and serves a stale one while the resolver is failing.

    Simultaneous look-ups of one name share one query. At most `size` names are kept, oldest out first.
    """

    def __init__(self, *, ttl: float, lookup: Lookup = system_lookup, size: int = 1024) -> None:
        self.ttl = ttl
        self._lookup = lookup
        self._size = size
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asking: dict[str, asyncio.Task[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """IP addresses of `host`. Raises `UpstreamBroken("dns")`."""
        if _is_address(host):
            return [host]
        now = asyncio.get_running_loop().time()
        known = self._known.get(host)
        if known is not None and known[0] > now:
            return known[1]
        task = self._asking.get(host)
        if task is None:
            task = asyncio.ensure_future(self._lookup_once(host, port))
            self._asking[host] = task
            task.add_done_callback(lambda _: self._asking.pop(host, None))
        try:
            addresses = await asyncio.shield(task)
        except (OSError, ValueError) as error:  # ValueError: a name that can't be one
            if known is not None:
                return known[1]
            reason = getattr(error, "strerror", None) or error
            raise UpstreamBroken("dns", f"{host} does not resolve ({reason})") from None
        if not addresses:
            raise UpstreamBroken("dns", f"{host} has no address")
        self._known.pop(host, None)
        if len(self._known) >= self._size:
            self._known.pop(next(iter(self._known)))
        self._known[host] = (now + self.ttl, addresses)
        return addresses

    async def _lookup_once(self, host: str, port: int) -> list[str]:
        return await self._lookup(host, port)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
