"""Asks inference engines how full they are, for strategies that look at it.

vLLM: https://docs.vllm.ai/en/latest/design/metrics/, SGLang: https://docs.sglang.io/references/production_metrics.html
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from routeiq.core.routing import Choosing
from routeiq.core.snapshot import Snapshot
from routeiq.pipeline.services import Services
from routeiq.process.ask import ask
from routeiq.routing.target import Health
from routeiq.transport.pool import Address, Origin

WANTED_BY = "llmrouter-kv-cache-aware"
SECONDS = 1.0
"""Between two questions, and how long an answer may take."""
CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
"""Shares of the KV cache in use: vLLM's present and older name, SGLang's."""
WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs")


class Engines:
    """The engines of a Snapshot whose deployments tell where their metrics are."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._engines: list[tuple[Origin, str, str, Health]] = []
        self._asked_at = 0.0
        self._open: set[asyncio.Task[None]] = set()

    def adopt(self, snapshot: Snapshot) -> None:
        """Ask the engines of this Snapshot from now on; none where no strategy looks at them."""
        self._engines = []
        choosings = [auto.choosing for auto in snapshot.auto_models.values()]
        choosings += [group.choosing for group in snapshot.groups.values() if group.choosing is not None]
        if not any(map(_looks, choosings)):
            return
        for deployment in snapshot.deployments:
            url = urlsplit(deployment.traits.metrics_url)
            if url.hostname is None:
                continue
            tls = url.scheme == "https"
            port = url.port or (443 if tls else 80)
            address = Address(url.scheme, url.hostname, port, deployment.verify_tls, deployment.ca_file)
            path = url.path + (f"?{url.query}" if url.query else "")
            health = self._services.health(deployment.id)
            self._engines.append((self._services.pool.origin(address), url.netloc.rpartition("@")[2], path, health))

    def tick(self, now: float) -> None:
        """Ask again when it is time; `now` is monotonic."""
        if not self._engines or self._open or now < self._asked_at + SECONDS:
            return
        self._asked_at = now
        for engine in self._engines:
            task = self._services.start(self._ask(*engine))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _ask(self, origin: Origin, host: str, path: str, health: Health) -> None:
        try:
            status, body = await ask(origin, path or "/metrics", SECONDS, host=host)
        except OSError:
            status, body = 0, b""
        found = read(body.decode("utf-8", "replace")) if status == 200 else {}
        health.kv_cache = _first(found, CACHE)
        health.waiting = _first(found, WAITING)


def read(text: str) -> dict[str, float]:
    """The values of a Prometheus page by metric, without labels: of several series the highest."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith(("vllm:", "sglang:")):
            continue
        rest = line.rpartition("}")[2] if "}" in line else line.partition(" ")[2]
        name = line.partition("{")[0].partition(" ")[0]
        try:
            value = float(rest.split()[0])
        except (ValueError, IndexError):
            continue
        if value == value:
            found[name] = max(found.get(name, value), value)
    return found


def _first(found: dict[str, float], names: tuple[str, ...]) -> float | None:
    return next((found[name] for name in names if name in found), None)


def _looks(choosing: Choosing) -> bool:
    return choosing.strategy == WANTED_BY or any(map(_looks, choosing.within))
