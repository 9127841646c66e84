"""What the agents process asks about tasks that are kept: each question names the key it is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from routeiq.control.plane import Plane
from routeiq.core import a2a_tasks
from routeiq.core.a2a import A2a
from routeiq.core.errors import UnknownPath

_encode = msgspec.json.Encoder().encode


def endpoints(plane: Plane) -> tuple[tuple[str, str, Callable[..., Any]], ...]:
    """(method, path, endpoint); synchronous ones run in a thread."""

    def seconds() -> float:
        return (plane.current().a2a or A2a()).task_seconds

    async def put(request: Request) -> Response:
        """Keep some; for each whether it is kept: not where it is another owner's."""
        tasks = a2a_tasks.decode_tasks(await request.body())
        done = await run_in_threadpool(plane.a2a_tasks.put, tasks, seconds())
        return Response(_encode(done), media_type="application/json")

    async def search(request: Request) -> Response:
        """One owner's, the newest first."""
        query = a2a_tasks.decode_query(await request.body())
        page = await run_in_threadpool(plane.a2a_tasks.list, query)
        return Response(_encode(page), media_type="application/json")

    def get(agent: str, id: str, owner: str = "") -> Response:
        """One as it was last heard of."""
        kept = plane.a2a_tasks.find(agent, owner, id)
        if kept is None:
            raise UnknownPath("There is no such task.")
        return Response(_encode(kept), media_type="application/json")

    def keep_context(agent: str, id: str, owner: str = "") -> Response:
        """An agent has named a conversation."""
        plane.a2a_tasks.keep_context(agent, owner, id, seconds())
        return Response(status_code=204)

    def has_context(agent: str, id: str, owner: str = "") -> Response:
        """Whether it has: 204 or 404."""
        return Response(status_code=204 if plane.a2a_tasks.has_context(agent, owner, id) else 404)

    return (
        ("PUT", "/internal/a2a/tasks", put),
        ("POST", "/internal/a2a/tasks/search", search),
        ("GET", "/internal/a2a/tasks", get),
        ("PUT", "/internal/a2a/contexts", keep_context),
        ("GET", "/internal/a2a/contexts", has_context),
    )
