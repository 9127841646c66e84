"""Calls through a proxy or to an HTTP/2-only upstream, carried by httpx2 (the `http2` extra).

Off the hot path: about ten times the CPU of our own pool, and imported only where a deployment needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from routeiq.core.snapshot import Deployment
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import PoolLimits
from routeiq.transport.task import TaskCarrier

if TYPE_CHECKING:
    import httpx2

MISSING = "upstreams behind a proxy or with HTTP/2 need the extra: pip install 'routeiq[http2]'"

STREAMS = 100
"""What httpx2 has under way at most on an HTTP/2 connection: the next one waits there, and no second is opened."""


class LibraryClient:
    """One httpx2 client for each way out: proxy, HTTP version, trust; with HTTP/2 one for each connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: PoolLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._clients: dict[tuple[object, ...], httpx2.AsyncClient] = {}
        self._streams: Counter[tuple[object, ...]] = Counter()

    def prepare(self, deployments: Iterable[Deployment]) -> None:
        """Import and set up what these will need, which takes too long for a request to wait for."""
        for deployment in deployments:
            if deployment.proxy is not None or deployment.http2:
                with contextlib.suppress(UpstreamBroken, OSError):  # told to the request that meets it
                    self.client(deployment, self.way(deployment))

    def send(self, call: Call, deployment: Deployment, head: bytes) -> None:
        """Send `call.payload` under the rendered head; the outcome comes through the call."""
        carrier = _Carried(call)
        carrier.start(self._loop, self.carry(call, deployment, head, carrier.gate))

    def way(self, deployment: Deployment) -> tuple[object, ...]:
        """What names a deployment's client: with HTTP/2 the first with room for a stream, else the last allowed."""
        way = (deployment.proxy, deployment.http2, deployment.verify_tls, deployment.ca_file)
        if not deployment.http2:
            return way
        origin = (*way, deployment.scheme, deployment.host, deployment.port)
        number = 0
        while self._streams[*origin, number] >= STREAMS and number + 1 < self._limits.per_host:
            number += 1
        return (*origin, number)

    def client(self, deployment: Deployment, way: tuple[object, ...]) -> httpx2.AsyncClient:
        """The client for a deployment's way out. Raises `UpstreamBroken` without the extra."""
        client = self._clients.get(way)
        if client is None:
            try:
                import httpx2
            except ImportError:
                raise UpstreamBroken("library", MISSING) from None
            import ssl

            trust: ssl.SSLContext | bool = deployment.verify_tls
            if deployment.verify_tls and deployment.ca_file is not None:
                trust = ssl.create_default_context(cafile=deployment.ca_file)
            client = self._clients[way] = httpx2.AsyncClient(
                proxy=deployment.proxy,
                http1=not deployment.http2,
                http2=deployment.http2,
                verify=trust,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(None, connect=self._limits.connect_seconds),
                limits=httpx2.Limits(max_connections=self._limits.per_host),
            )
        return client

    async def carry(self, call: Call, deployment: Deployment, head: bytes, open_gate: asyncio.Event) -> None:
        """Run one call from request to last byte."""
        way = self.way(deployment)
        try:
            client = self.client(deployment, way)
        except (OSError, ImportError) as error:
            raise UpstreamBroken("tls", str(error)) from None
        import httpx2

        method, path, headers = _parsed(head)
        self._streams[way] += 1
        url = f"{deployment.scheme}://{deployment.host}:{deployment.port}{path}"
        try:
            async with client.stream(method, url, headers=headers, content=b"".join(call.payload)) as response:
                call.on_head(response.status_code, [(name.lower(), value) for name, value in response.headers.raw])
                async for data in response.aiter_raw():
                    await open_gate.wait()
                    call.on_data(data)
        except httpx2.ConnectTimeout:
            raise UpstreamBroken("connect_timeout", f"no connection to {deployment.host} in time") from None
        except httpx2.ProxyError as error:
            raise UpstreamBroken("proxy", str(error)) from None
        except httpx2.ConnectError as error:
            raise UpstreamBroken("refused", str(error)) from None
        except httpx2.TransportError as error:
            raise UpstreamBroken("reset", str(error) or type(error).__name__) from None
        finally:
            self._streams[way] -= 1


class _Carried(TaskCarrier):
    """The carrier of one call; when it is paused, httpx2's flow control does the rest."""

    def broken(self, error: BaseException) -> UpstreamBroken:
        if isinstance(error, UpstreamBroken):
            return error
        return UpstreamBroken("protocol", f"{type(error).__name__}: {error}")


def _parsed(head: bytes) -> tuple[str, str, list[tuple[bytes, bytes]]]:
    """(method, path, headers without Host) of a rendered request head."""
    lines = head.split(b"\r\n")
    method, path, _ = lines[0].decode("latin-1").split(" ", 2)
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b": ")
        if colon and name.lower() != b"host":
            headers.append((name, value))
    return method, path, headers
