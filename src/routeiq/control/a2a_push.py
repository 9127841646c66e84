"""What the agents process asks about webhooks of clients, and what is still to be told there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from routeiq.control.plane import Plane
from routeiq.core import a2a_push
from routeiq.core.a2a import A2a
from routeiq.core.errors import UnknownPath

MOST = 50
"""Deliveries that are taken at once."""


def endpoints(plane: Plane) -> tuple[tuple[str, str, Callable[..., Any]], ...]:
    """(method, path, endpoint); synchronous ones run in a thread."""
    pushes = plane.a2a_tasks.pushes

    async def put_hook(request: Request) -> Response:
        """Keep one."""
        hook = a2a_push.decode_hook(await request.body())
        await run_in_threadpool(pushes.put_hook, hook, (plane.current().a2a or A2a()).task_seconds)
        return Response(status_code=204)

    def hooks(agent: str, task: str, owner: str = "") -> Response:
        """Those of one task."""
        return _json(pushes.hooks(agent, owner, task))

    def hook(token: str) -> Response:
        """The one an agent calls for."""
        found = pushes.hook(token)
        if found is None:
            raise UnknownPath("There is no such webhook.")
        return _json(found)

    def remove_hook(token: str) -> Response:
        """Forget one."""
        pushes.remove_hook(token)
        return Response(status_code=204)

    async def add(request: Request) -> Response:
        """Something to be told."""
        await run_in_threadpool(pushes.add, a2a_push.decode_delivery(await request.body()))
        return Response(status_code=204)

    def due() -> Response:
        """Take what is due."""
        return _json(pushes.due(MOST))

    def done(id: str, again: float | None = None) -> Response:
        """How one has ended."""
        pushes.done(id, again)
        return Response(status_code=204)

    return (
        ("PUT", "/internal/a2a/hooks", put_hook),
        ("GET", "/internal/a2a/hooks", hooks),
        ("GET", "/internal/a2a/hooks/{token}", hook),
        ("DELETE", "/internal/a2a/hooks/{token}", remove_hook),
        ("PUT", "/internal/a2a/deliveries", add),
        ("POST", "/internal/a2a/deliveries/due", due),
        ("POST", "/internal/a2a/deliveries/{id}/done", done),
    )


def _json(found: Any) -> Response:
    return Response(a2a_push.encode(found), media_type="application/json")
