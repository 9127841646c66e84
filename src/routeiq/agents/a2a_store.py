"""Keeps tasks of agents with the control plane."""

from __future__ import annotations

from urllib.parse import urlencode

from routeiq.core import a2a_tasks
from routeiq.core.a2a_tasks import KeptTask, TaskPage, TaskQuery
from routeiq.process.patient import Patient
from routeiq.transport.pool import Origin


class ControlTasks:
    """`a2a.tasks.TaskStore` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = Patient(control, "tasks")

    async def put(self, task: KeptTask) -> bool:
        """Keep one."""
        return await self._control.ask("PUT", "/internal/a2a/tasks", a2a_tasks.encode(task), missing=409) is not None

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


def _path(kind: str, agent: str, owner: str, ident: str) -> str:
    return f"/internal/a2a/{kind}?{urlencode({'agent': agent, 'owner': owner, 'id': ident[:1000]})}"
