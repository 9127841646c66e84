"""The face of the process to the workers: OpenAI's language on a Unix socket, as an ASGI application.

POST /chat, /embedding      X-RouteIQ-Deployment: ID
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from routeiq.core.errors import GatewayError, Overloaded
from routeiq.core.snapshot import CHAT, EMBEDDING
from routeiq.longtail.calls import Answer, Caller

ADOPT_SECONDS = 2.0
"""How long a request waits for the Snapshot that has its deployment: a worker may have been told of it before."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_OPERATIONS = {f"/{operation}": operation for operation in (CHAT, EMBEDDING)}


class Face:
    """`callers` by deployment id; those of the Snapshot before are kept for requests that began with it."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._before: dict[str, Caller] = {}
        self._adopted = asyncio.Event()

    def adopt(self, callers: dict[str, Caller]) -> None:
        """Serve these from now on."""
        self._before, self._callers = self._callers, callers
        self._adopted.set()
        self._adopted = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; the caller's going away ends the call."""
        body = await _body(receive)
        if body is None:
            return
        work = asyncio.create_task(self._serve(scope, body, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
            await asyncio.wait([work, gone])
        if not work.cancelled():
            work.result()

    async def _serve(self, scope: Message, body: bytes, send: Send) -> None:
        operation = _OPERATIONS.get(scope["path"])
        headers = dict(scope["headers"])
        ident = unquote(headers.get(b"x-routeiq-deployment", b"").decode("ascii", "replace"))
        caller = await self._find(ident)
        if operation is None or caller is None:
            error = GatewayError("There is no such operation.", status=404)
            if operation is not None:
                error = Overloaded("The deployment is not known here yet.", code="longtail_unavailable")
            answer = Answer(error.status, [(b"content-type", b"application/json")], error.body())
        else:
            answer = await caller.answer(operation, body)
        headers_out = list(answer.headers)
        if answer.events is None:
            headers_out.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers_out})
        if answer.events is not None:
            async for event in answer.events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": answer.body})

    async def _find(self, ident: str) -> Caller | None:
        caller = self._callers.get(ident) or self._before.get(ident)
        if caller is None:
            try:
                await asyncio.wait_for(self._adopted.wait(), ADOPT_SECONDS)
            except TimeoutError:
                return None
            caller = self._callers.get(ident)
        return caller


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or `None` when its sender has gone."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _gone(receive: Receive) -> None:
    """Until the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
