"""Messages both ways over one stream: stdio, WebSocket, and HTTP+SSE. Responses are told apart by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from routeiq.mcp.upstream.channel import Headers, Receive
from routeiq.mcp.wire import META_SUBSCRIPTION, Message, Unavailable, is_id, meta_of

Write = Callable[[Message], Awaitable[None]]


def _dropped(_: Message) -> None:
    """Before a link takes messages."""


class Duplex:
    """`Channel` over a stream that somebody else reads: each message is given to `take`, its end to `fail`.

    What a server says of a request is told by its progress token or subscription; what names neither is taken to be of
    the newest request.
    """

    def __init__(self, write: Write, idle_seconds: float, end: Callable[[], Awaitable[None]]) -> None:
        """`end` lets go of the stream."""
        self.receive: Receive = _dropped
        self._write = write
        self._idle_seconds = idle_seconds
        self._end = end
        self._waiting: dict[object, tuple[asyncio.Future[Message], Receive]] = {}
        self._tokens: dict[object, tuple[object, Receive]] = {}
        self._heard = 0.0
        self._broken: Unavailable | None = None

    @property
    def broken(self) -> bool:
        """Whether the stream has ended."""
        return self._broken is not None

    async def request(self, message: Message, headers: Headers, receive: Receive, patient: bool = False) -> Message:
        """Send a request and wait for its response."""
        if self._broken is not None:
            raise self._broken
        loop = asyncio.get_running_loop()
        ident = message["id"]
        answer: asyncio.Future[Message] = loop.create_future()
        self._waiting[ident] = answer, receive
        token = meta_of(message.get("params")).get("progressToken")
        if token is not None:
            # Callers who share the stream may have chosen the same.
            self._tokens[ident] = token, receive
            params = message["params"]
            message = {**message, "params": {**params, "_meta": {**params["_meta"], "progressToken": ident}}}
        try:
            await self._write(message)
            while True:
                before = self._heard
                done, _ = await asyncio.wait([answer], timeout=None if patient else self._idle_seconds)
                if done:
                    return answer.result()
                if self._heard == before:
                    raise Unavailable(f"The server has said nothing for {self._idle_seconds:g} s.")
        finally:
            self._waiting.pop(ident, None)
            self._tokens.pop(ident, None)

    async def send(self, message: Message, headers: Headers) -> None:
        """Send what is not answered."""
        if self._broken is not None:
            raise self._broken
        await self._write(message)

    def agreed(self, version: str) -> None:
        """Nothing more is said of it."""

    def restart(self) -> None:
        """The session is the stream."""

    def follow(self) -> None:
        """All of it comes over the one stream."""

    async def close(self) -> None:
        """Let go of the stream."""
        self.fail(Unavailable("The connection to the server was closed."))
        await self._end()

    def take(self, message: object) -> None:
        """One message the server sent."""
        if not isinstance(message, dict):
            return
        self._heard = asyncio.get_running_loop().time()
        if "method" in message:
            self._of(message)(message)
        elif is_id(message.get("id")):
            waiting = self._waiting.get(message["id"])
            if waiting is not None and not waiting[0].done():
                waiting[0].set_result(message)

    def fail(self, error: Unavailable) -> None:
        """The stream has ended."""
        if self._broken is None:
            self._broken = error
        for answer, _ in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(error)

    def _of(self, message: Message) -> Receive:
        """Who is told; a progress token becomes what the caller called it."""
        params = message.get("params")
        if isinstance(params, dict):
            token = params.get("progressToken")
            if is_id(token) and token in self._tokens:
                params["progressToken"], receive = self._tokens[token]
                return receive
            subscription = meta_of(params).get(META_SUBSCRIPTION)
            if is_id(subscription) and subscription in self._waiting:
                return self._waiting[subscription][1]
        if self._waiting and message["method"] not in _OF_ALL:
            return next(reversed(self._waiting.values()))[1]
        return self.receive


_OF_ALL = frozenset(
    f"notifications/{name}"
    for name in ("tools/list_changed", "prompts/list_changed", "resources/list_changed", "resources/updated")
)
"""Notifications that are of no request."""
