"""The listening socket every worker shares."""

from __future__ import annotations

import errno
import socket

BACKLOG = 4096


class CannotListen(RuntimeError):
    """The address can't be listened on; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """A non-blocking listening TCP socket. A host with a colon is IPv6; `::` takes IPv4 too. Raises `CannotListen`."""
    host = host.strip("[]")
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"can't listen on {where}: unknown host ({error})") from None
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host in ("::", "") else 1)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        reason = {
            errno.EADDRINUSE: "address already in use",
            errno.EACCES: "permission denied",
            errno.EADDRNOTAVAIL: "this machine has no such address",
        }.get(error.errno or 0, str(error))
        raise CannotListen(f"can't listen on {where}: {reason}") from None
    return made
