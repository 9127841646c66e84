"""Keeps tasks of agents, and webhooks of their clients, with the control plane."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from routeiq.core import a2a_push, a2a_tasks
from routeiq.core.a2a_push import Delivery, KeptHook
from routeiq.core.a2a_tasks import KeptTask, TaskPage, TaskQuery
from routeiq.core.errors import GatewayError
from routeiq.process.patient import Patient
from routeiq.transport.pool import Origin

MOST = 256
"""Tasks that are put at once."""


class ControlTasks:
    """`a2a.tasks.TaskStore` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = Patient(control, "tasks")
        self._waiting: list[tuple[KeptTask, asyncio.Future[bool]]] = []
        self._putting: asyncio.Task[None] | None = None

    async def put(self, task: KeptTask) -> bool:
        """Keep one: together with all others that are to be kept while the control plane is busy with those before."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, done))
        if self._putting is None:
            self._putting = asyncio.create_task(self._put())
        return await done

    async def _put(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                try:
                    body = a2a_tasks.encode([task for task, _ in batch])
                    kept = a2a_tasks.decode_kept(await self._control.ask("PUT", "/internal/a2a/tasks", body) or b"[]")
                except GatewayError as error:
                    for _, done in batch:
                        if not done.done():
                            done.set_exception(error)
                else:
                    for (_, done), well in zip(batch, kept, strict=True):
                        if not done.done():
                            done.set_result(well)
        finally:
            self._putting = None

    async def find(self, agent: str, owner: str, ident: str) -> KeptTask | None:
        """One of this owner's."""
        body = await self._control.ask("GET", _path("tasks", agent, owner, ident))
        return a2a_tasks.decode(body) if body is not None else None

    async def list(self, query: TaskQuery) -> TaskPage:
        """Those of one owner, the newest first."""
        body = await self._control.ask("POST", "/internal/a2a/tasks/search", a2a_tasks.encode(query))
        return a2a_tasks.decode_page(body or b"{}")

    async def keep_context(self, agent: str, owner: str, context: str) -> None:
        """The agent has named a conversation."""
        await self._control.ask("PUT", _path("contexts", agent, owner, context))

    async def has_context(self, agent: str, owner: str, context: str) -> bool:
        """Whether it has."""
        return await self._control.ask("GET", _path("contexts", agent, owner, context)) is not None


class ControlPushes:
    """`a2a.relay.PushStore` over the same."""

    def __init__(self, control: Origin) -> None:
        self._control = Patient(control, "webhooks")

    async def put_hook(self, hook: KeptHook) -> None:
        """Keep one."""
        await self._control.ask("PUT", "/internal/a2a/hooks", a2a_push.encode(hook))

    async def hooks(self, agent: str, owner: str, task: str) -> list[KeptHook]:
        """Those of one task."""
        query = urlencode({"agent": agent, "owner": owner, "task": task})
        return a2a_push.decode_hooks(await self._control.ask("GET", f"/internal/a2a/hooks?{query}") or b"[]")

    async def hook(self, token: str) -> KeptHook | None:
        """The one an agent calls for."""
        body = await self._control.ask("GET", f"/internal/a2a/hooks/{token}")
        return a2a_push.decode_hook(body) if body is not None else None

    async def remove_hook(self, token: str) -> None:
        """Forget one."""
        await self._control.ask("DELETE", f"/internal/a2a/hooks/{token}")

    async def add(self, delivery: Delivery) -> None:
        """Something to be told."""
        await self._control.ask("PUT", "/internal/a2a/deliveries", a2a_push.encode(delivery))

    async def due(self) -> list[Delivery]:
        """Take what is due."""
        return a2a_push.decode_deliveries(await self._control.ask("POST", "/internal/a2a/deliveries/due") or b"[]")

    async def done(self, ident: str, again: float | None) -> None:
        """How one has ended: told, or again in so many seconds."""
        query = "" if again is None else f"?again={again:g}"
        await self._control.ask("POST", f"/internal/a2a/deliveries/{ident}/done{query}")


def _path(kind: str, agent: str, owner: str, ident: str) -> str:
    return f"/internal/a2a/{kind}?{urlencode({'agent': agent, 'owner': owner, 'id': ident[:1000]})}"
