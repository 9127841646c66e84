"""Keep-alive connections by origin.

A call takes an idle connection, or opens one, or (at the origin's limit) waits its turn. What a caller must know:
`send` never raises and never blocks; the outcome comes through the `Call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import time
from collections import deque
from dataclasses import dataclass

from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.connection import UpstreamConnection
from routeiq.transport.dns import Resolver
from routeiq.transport.guard import is_public
from routeiq.transport.outbox import Outbox

PATIENCE_STEP = 0.1
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where connections of one kind go. `path` is a Unix socket's, and then the rest does not count."""

    scheme: str = "http"
    host: str = ""
    port: int = 80
    verify: bool = True
    ca_file: str | None = None
    path: str | None = None
    guarded: bool = False
    """Whether only addresses of the open network are connected to: somebody else has chosen the host."""
    bound: bool = True
    """Whether `PoolLimits.per_host` holds: not where streams are open for as long as clients like."""
    patience: float = 0.0
    """Seconds a Unix socket is tried again on which nobody listens: its process is being started."""


@dataclass(slots=True)
class PoolLimits:
    """Seconds and counts; read at each use, so a new Snapshot changes them in place."""

    connect_seconds: float = 10.0
    per_host: int = 1000
    idle_seconds: float = 60.0


def tls_context(address: Address) -> ssl.SSLContext:
    """A client context that offers HTTP/1.1. Raises `UpstreamBroken` when the CA file can't be read."""
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UpstreamBroken("tls", f"can't read the CA file {address.ca_file}: {error}") from None
    if not address.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _same(connection: UpstreamConnection) -> UpstreamConnection:
    """The protocol factory for a connection that already exists."""
    return connection


class Origin:
    """The connections to one address."""

    __slots__ = ("_limits", "_resolver", "_tasks", "_tls", "address", "idle", "open", "outbox", "waiting")

    def __init__(self, address: Address, resolver: Resolver, limits: PoolLimits, outbox: Outbox) -> None:
        self.address = address
        self.outbox = outbox
        self.idle: list[UpstreamConnection] = []
        """Last used last: the youngest is taken first and the old ones age out."""
        self.open = 0
        self.waiting: deque[Call] = deque()
        self._resolver = resolver
        self._limits = limits
        self._tls: ssl.SSLContext | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, call: Call) -> None:
        """Put a call on its way."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if transport is not None and not transport.is_closing():
                connection.start(call)
                return
        if self.open < self._limits.per_host or not self.address.bound:
            self.connect(call)
        else:
            self.waiting.append(call)

    def connect(self, call: Call) -> None:
        """Open a connection for this call, whatever is idle."""
        self.open += 1
        task = asyncio.get_running_loop().create_task(self._connect(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release(self, connection: UpstreamConnection) -> None:
        """A connection is free again."""
        while self.waiting:
            call = self.waiting.popleft()
            if not call.cancelled:
                connection.start(call)
                return
        connection.idle_since = time.monotonic()
        self.idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self.open -= 1
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)
        self._next()

    def _next(self) -> None:
        """There is room for another connection: who waits for one?"""
        while self.waiting and self.open < self._limits.per_host:
            call = self.waiting.popleft()
            if not call.cancelled:
                self.connect(call)

    def expire(self, now: float) -> None:
        """Close connections idle for too long."""
        idle = self.idle
        while idle and now - idle[0].idle_since > self._limits.idle_seconds:
            connection = idle.pop(0)
            if connection.transport is not None:
                connection.transport.close()

    def close(self) -> None:
        """Close what is idle; calls under way go on."""
        for connection in self.idle:
            if connection.transport is not None:
                connection.transport.close()
        self.idle.clear()

    async def _connect(self, call: Call) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                connection = await self._open()
        except UpstreamBroken as failure:
            self._failed(call, failure)
        except TimeoutError:
            self._failed(call, UpstreamBroken("connect_timeout", f"no connection to {self._name()} in time"))
        except ssl.SSLError as error:
            self._failed(call, UpstreamBroken("tls", f"{self._name()}: {error.reason or error}"))
        except OSError as error:
            self._failed(call, UpstreamBroken("refused", f"{self._name()}: {error.strerror or error}"))
        else:
            transport = connection.transport
            if transport is None or transport.is_closing():
                if not call.cancelled:
                    call.on_failure(UpstreamBroken("closed", f"{self._name()} closed the connection at once"))
            elif call.cancelled:
                self.release(connection)
            else:
                connection.start(call)

    async def _open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        address = self.address
        connection = UpstreamConnection(self)
        if address.path is not None:
            end = loop.time() + address.patience
            while True:
                try:
                    await loop.create_unix_connection(functools.partial(_same, connection), address.path)
                except (ConnectionRefusedError, FileNotFoundError):
                    if loop.time() >= end:
                        raise
                    await asyncio.sleep(PATIENCE_STEP)
                else:
                    return connection
        if address.scheme == "https" and self._tls is None:
            self._tls = tls_context(address)
        addresses = await self._resolver.resolve(address.host, address.port)
        if address.guarded:
            addresses = [ip for ip in addresses if is_public(ip)]
            if not addresses:
                raise UpstreamBroken("refused", f"{address.host} is not on the open network")
        for position, ip in enumerate(addresses):
            try:
                await loop.create_connection(
                    functools.partial(_same, connection),
                    ip,
                    address.port,
                    ssl=self._tls,
                    server_hostname=address.host if self._tls is not None else None,
                )
            except ssl.SSLError:
                raise
            except OSError:
                if position == len(addresses) - 1:
                    raise
                connection = UpstreamConnection(self)
            else:
                break
        return connection

    def _failed(self, call: Call, failure: UpstreamBroken) -> None:
        self.open -= 1
        self._next()
        if not call.cancelled:
            call.on_failure(failure)

    def _name(self) -> str:
        return self.address.path or f"{self.address.host}:{self.address.port}"


class Pool:
    """All origins of one process."""

    def __init__(self, resolver: Resolver, limits: PoolLimits, outbox: Outbox) -> None:
        self.resolver = resolver
        self.limits = limits
        self.outbox = outbox
        self._origins: dict[Address, Origin] = {}

    def origin(self, address: Address) -> Origin:
        """The origin for an address, made when new."""
        origin = self._origins.get(address)
        if origin is None:
            origin = self._origins[address] = Origin(address, self.resolver, self.limits, self.outbox)
        return origin

    def expire(self, now: float) -> None:
        """Close idle connections past their time; call about once a second."""
        # An origin is kept: plans refer to it, and a second one for its address would have a limit of its own.
        for origin in self._origins.values():
            origin.expire(now)

    def open_connections(self) -> dict[str, int]:
        """Open connections by `host:port`."""
        return {
            f"{address.host}:{address.port}": origin.open
            for address, origin in self._origins.items()
            if address.path is None
        }

    def close(self) -> None:
        """Close every idle connection."""
        for origin in self._origins.values():
            origin.close()
