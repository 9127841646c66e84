"""Requests of the stateless revision over HTTP.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Coroutine
from typing import Any

from routeiq.agents.envelope import check_modern
from routeiq.agents.responder import Responder
from routeiq.governance.keys import Caller
from routeiq.mcp import wire
from routeiq.mcp.events import KEEP_ALIVE, event
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.subscriptions import Listen
from routeiq.mcp.turn import ModernTurn
from routeiq.mcp.upstream.link import GATEWAY
from routeiq.mcp.view import Place
from routeiq.mcp.wire import INVALID_PARAMS, METHOD_NOT_FOUND, McpError, Message, encode
from routeiq.process.heads import Request

KEEP_ALIVE_SECONDS = 15.0
PARKED_SECONDS = 600.0
"""How long a server's question waits for the client's next request."""
GATHER_SECONDS = 0.01
"""How long it is waited for what else a server asks at the same time."""
MOST_PARKED = 10_000
STATE = "routeiq."
"""What the gateway's own `requestState` begins with."""
RESUMABLE = ("tools/call", "prompts/get", "resources/read")
_SERVER = {wire.META_SERVER: GATEWAY}


class Reply:
    """The answer to one request: JSON, or events once something comes before the result."""

    def __init__(self, responder: Responder, ident: Any) -> None:
        self.ident = ident
        self._responder = responder
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._keep_alive)

    def tell(self, message: Message) -> None:
        """A notification."""
        self._responder.begin()
        self._responder.write(event(encode(message)))

    def result(self, result: Message) -> None:
        """The end."""
        self._end(wire.answer(self.ident, result), 200)

    def refuse(self, error: McpError) -> None:
        """The end."""
        self._end(wire.refusal(self.ident, error), error.status or wire.STATUSES.get(error.code, 200))

    def close(self) -> None:
        """No more of it."""
        self._timer.cancel()

    def _end(self, message: Message, status: int) -> None:
        self._timer.cancel()
        if self._responder.began:
            self._responder.end(event(encode(message)))
        else:
            self._responder.respond(status, encode(message))

    def _keep_alive(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._keep_alive)
        self._responder.begin()
        self._responder.write(KEEP_ALIVE)


class Work:
    """A request that a server works at, over as many HTTP requests as it has questions for the client."""

    def __init__(self, stateless: Stateless, turn: ModernTurn, digest: bytes, reply: Reply) -> None:
        self.turn = turn
        self.digest = digest
        """Of what was asked: another request can't go on with it."""
        self.until = 0.0
        """When nobody is waited for any more, monotonic seconds."""
        self.over = False
        self._stateless = stateless
        self._reply = reply
        self._task = asyncio.current_task()
        self._waiter: asyncio.Future[None] | None = None
        turn.on_asked = self.asked

    async def run(self, work: Coroutine[Any, Any, Message]) -> None:
        """Answer with what comes of `work`."""
        try:
            result = _complete(await work)
        except McpError as error:
            self._reply.refuse(error)
        else:
            self._reply.result(result)
        finally:
            self.over = True
            self._reply.close()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    async def resume(self, reply: Reply, responses: Any) -> None:
        """Go on with the client's answers."""
        self._reply = reply
        self._waiter = asyncio.get_running_loop().create_future()
        self.turn.resume(reply.tell)
        if not self.turn.give(responses):
            self.asked()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.cancel()
            raise

    def asked(self) -> None:
        """The server has a question: what else it asks at once goes along."""
        asyncio.get_running_loop().call_later(GATHER_SECONDS, self._park)

    def cancel(self) -> None:
        """The client does not want it any more."""
        if self._task is not None:
            self._task.cancel()

    def _park(self) -> None:
        turn = self.turn
        if not turn.wanted or turn.out is None or self.over:
            return
        turn.out = None
        state = self._stateless.park(self)
        wanted = dict(turn.wanted)
        self._reply.result({"resultType": "input_required", "inputRequests": wanted, "requestState": state})
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Stateless:
    """All requests of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._parked: dict[str, Work] = {}
        self._listening: dict[Listen, Reply] = {}

    async def serve(
        self, request: Request, responder: Responder, caller: Caller, place: Place, message: Message
    ) -> None:
        """Answer one POST."""
        reply = Reply(responder, message.get("id"))
        try:
            check_modern(message, request.headers, request.fields)
            if "id" not in message:
                responder.respond(202, b"")
                return
            await self._answer(request.fields, reply, responder, caller, place, message)
        except McpError as error:
            reply.refuse(error)
        finally:
            reply.close()

    async def _answer(
        self,
        fields: dict[bytes, bytes],
        reply: Reply,
        responder: Responder,
        caller: Caller,
        place: Place,
        message: Message,
    ) -> None:
        method, params = message["method"], message["params"]
        turn = ModernTurn(caller, place, fields, params)
        turn.out = reply.tell
        if method in wire.LISTS:
            view = await self._gateway.view(turn)
            reply.result(
                {**self._gateway.page(view, turn, method, params), "resultType": "complete", "ttlMs": view.ttl,
                 "cacheScope": "private", "_meta": _SERVER}
            )  # fmt: skip
        elif method == "server/discover":
            reply.result(await self._discover(turn))
        elif method == "completion/complete":
            reply.result(_complete(await self._gateway.complete(turn, params)))
        elif method == "subscriptions/listen":
            await self._listen(turn, reply, responder, params)
        elif method in RESUMABLE:
            state = params.get("requestState")
            if isinstance(state, str) and state.startswith(STATE):
                await self._resume(state, caller, method, params, reply)
            else:
                await self._begin(turn, method, params, reply)
        else:
            raise McpError(METHOD_NOT_FOUND, f"Method not found: {method[:100]}")

    async def _discover(self, turn: ModernTurn) -> Message:
        view = await self._gateway.view(turn)
        result: Message = {
            "resultType": "complete",
            "supportedVersions": [wire.MODERN],
            "capabilities": view.capabilities,
            "ttlMs": view.ttl,
            "cacheScope": "private",
            "_meta": _SERVER,
        }
        if view.instructions:
            result["instructions"] = view.instructions
        return result

    async def _listen(self, turn: ModernTurn, reply: Reply, responder: Responder, params: Message) -> None:
        listen = Listen(self._gateway, turn, reply.ident, params, reply.tell)
        try:
            await listen.begin()
            self._listening[listen] = reply
            await asyncio.get_running_loop().create_future()  # until the client goes, or the gateway
        except asyncio.CancelledError:
            if responder.over:
                raise
            reply.result(listen.result())
        finally:
            self._listening.pop(listen, None)
            listen.end()

    # what servers with sessions ask on the way

    async def _begin(self, turn: ModernTurn, method: str, params: Message, reply: Reply) -> None:
        work = Work(self, turn, _digest(method, params), reply)
        if method == "tools/call":
            await work.run(self._gateway.call(turn, params))
        elif method == "prompts/get":
            await work.run(self._gateway.prompt(turn, params))
        else:
            await work.run(self._gateway.resource(turn, params))

    async def _resume(self, state: str, caller: Caller, method: str, params: Message, reply: Reply) -> None:
        """Go on with what waits: only its own caller, with the same request."""
        work = self._parked.get(state)
        if (
            work is None
            or work.over
            or work.turn.caller.key.id != caller.key.id
            or work.digest != _digest(method, params)
        ):
            raise McpError(INVALID_PARAMS, "requestState is not one that waits for this request.")
        del self._parked[state]
        await work.resume(reply, params.get("inputResponses"))

    def park(self, work: Work) -> str:
        """Keep a request for when its client comes back; the oldest go when there are too many."""
        while len(self._parked) >= MOST_PARKED:
            self._parked.pop(next(iter(self._parked))).cancel()
        state = STATE + secrets.token_urlsafe(24)
        work.until = self._gateway.services.now() + PARKED_SECONDS
        self._parked[state] = work
        return state

    def tidy(self, now: float) -> None:
        """Let go of what nobody came back for."""
        for state, work in list(self._parked.items()):
            if work.over or work.until < now:
                del self._parked[state]
                work.cancel()

    def close(self) -> None:
        """End what has no end by itself."""
        for work in self._parked.values():
            work.cancel()
        self._parked.clear()
        for listen, reply in list(self._listening.items()):
            reply.result(listen.result())
            listen.end()


def _complete(result: Message) -> Message:
    """A result of a revision that does not say what kind of result it is."""
    return result if "resultType" in result else {"resultType": "complete", **result}


def _digest(method: str, params: Message) -> bytes:
    """Of what stays the same when a request comes again."""
    told = [method, {name: value for name, value in params.items() if name in ("name", "uri", "arguments")}]
    return hashlib.sha256(encode(told)).digest()
