"""What workers ask about responses that are kept: each question names the key it is for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.control.plane import Plane
from routeiq.core import responses
from routeiq.core.errors import UnknownPath
from routeiq.core.responses import KeptResponse

PURGE_SECONDS = 60.0
"""How often what has expired is looked for."""
_encode = msgspec.json.Encoder().encode
_decode_running = msgspec.json.Decoder(list[tuple[str, str]]).decode
log = logging.getLogger("routeiq.control")


async def purge(plane: Plane) -> None:
    """Forget what has expired, for as long as the process lives."""
    while True:
        try:
            await run_in_threadpool(plane.responses.purge)
            await run_in_threadpool(plane.a2a_tasks.purge)
        except SQLAlchemyError as error:
            log.warning("expired responses could not be forgotten now: %s", str(error).partition("\n")[0])
        except Exception:
            log.exception("expired responses could not be forgotten; trying again later")
        await asyncio.sleep(PURGE_SECONDS)


def endpoints(plane: Plane) -> tuple[tuple[str, str, Callable[..., Any]], ...]:
    """(method, path, endpoint); synchronous ones run in a thread."""

    async def put(request: Request) -> Response:
        """Keep one: 204, or 409 for what was cancelled in the meantime."""
        kept = responses.decode(await request.body())
        seconds = plane.current().responses.retention
        done = await run_in_threadpool(plane.responses.put, kept, seconds)
        return Response(status_code=204 if done else 409)

    def get(id: str, owner: str = "") -> Response:
        """One as it is now."""
        return _shown(plane.responses.find(owner, id))

    def conversation(id: str, owner: str = "") -> Response:
        """All that was said up to it."""
        snapshot = plane.current()
        found = plane.responses.conversation(owner, id, snapshot.responses.max_chain, snapshot.limits.max_body)
        if found is None:
            raise UnknownPath("There is no such response.")
        return Response(_encode(found), media_type="application/json")

    def remove(id: str, owner: str = "") -> Response:
        """Forget one."""
        if not plane.responses.remove(owner, id):
            raise UnknownPath("There is no such response.")
        return Response(status_code=204)

    def cancel(id: str, owner: str = "") -> Response:
        """End one that runs in the background."""
        return _shown(plane.responses.cancel(owner, id))

    async def alive(request: Request) -> Response:
        """The worker is still at these; which of them it may give up."""
        running = _decode_running(await request.body())
        return Response(_encode(await run_in_threadpool(plane.responses.alive, running)), media_type="application/json")

    return (
        ("PUT", "/internal/responses", put),
        ("POST", "/internal/responses/alive", alive),
        ("GET", "/internal/responses/{id}", get),
        ("GET", "/internal/responses/{id}/conversation", conversation),
        ("DELETE", "/internal/responses/{id}", remove),
        ("POST", "/internal/responses/{id}/cancel", cancel),
    )


def _shown(kept: KeptResponse | None) -> Response:
    if kept is None:
        raise UnknownPath("There is no such response.")
    return Response(responses.encode(kept), media_type="application/json")
