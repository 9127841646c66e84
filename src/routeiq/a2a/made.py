"""Agents that speak no A2A, with the tasks the gateway makes for them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from routeiq.a2a import wire
from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, object_of, text_of
from routeiq.a2a.adapters.kinds import adapter
from routeiq.a2a.cards import Interface
from routeiq.a2a.exchange import Exchange
from routeiq.a2a.tasks import fold
from routeiq.a2a.upstream import Headers, Upstream
from routeiq.a2a.wire import ARTIFACT, STATUS, TASK, A2aError, Json, Unavailable, stamp, task_not_found
from routeiq.core.a2a import JSONRPC, NEW, A2a, Agent
from routeiq.core.errors import UpstreamError
from routeiq.providers.signing import CredentialSource
from routeiq.transport.pool import Origin

INTERFACE = Interface(NEW, JSONRPC, "")
EARLIER = "earlier"
"""In parameters of a message: the turns of the conversation before it."""
ARTIFACT_ID = "answer"
RUNNING = 10_000
"""Tasks at once."""
REMEMBERED = 1000
"""Conversations whose names at their provider are known."""
LINGER_SECONDS = 5.0
"""How long a task that is over is answered for here."""

Ended = Callable[[Json], object]


class Work:
    """One task under way: what has come of it, and who waits for more."""

    def __init__(self, message: Json) -> None:
        ident, context = str(uuid.uuid4()), message.get("contextId") or str(uuid.uuid4())
        self.task: Json = {
            "id": ident,
            "contextId": context,
            "status": _status("TASK_STATE_SUBMITTED"),
            "history": [{**message, "taskId": ident, "contextId": context}],
        }
        self.over = False
        self.running: asyncio.Task[None] | None = None
        self._events: list[Json] = []
        self._more = asyncio.Event()

    def tell(self, name: str, **members: Any) -> None:
        """One more event."""
        body = {"taskId": self.task["id"], "contextId": self.task["contextId"], **members}
        if name == STATUS:
            self.task["status"] = members["status"]
            self.over = members["status"]["state"] in wire.TERMINAL
        else:
            fold(self.task, body)
        self._events.append({name: body})
        self._more.set()
        self._more = asyncio.Event()

    def snapshot(self) -> Json:
        """The task as it is now, which nothing changes."""
        found: Json = wire.decode(wire.encode(self.task))
        return found

    async def events(self) -> AsyncIterator[Json]:
        """The task as it is now, then what comes of it."""
        at = len(self._events)
        yield {TASK: self.snapshot()}
        while True:
            while at < len(self._events):
                yield self._events[at]
                at += 1
            if self.over:
                return
            await self._more.wait()


class Made(Upstream):
    """`Upstream` of an agent that has no tasks of its own."""

    makes_tasks = True

    def __init__(self, agent: Agent, a2a: A2a, origin: Origin, credentials: CredentialSource, ended: Ended) -> None:
        """`ended` is told every task that is over."""
        super().__init__(agent, a2a, origin)
        self._credentials = credentials
        self._ended = ended
        self._opened: dict[str, str] = {}
        self._works: dict[str, Work] = {}

    async def card(self) -> tuple[Json, bytes]:
        """The configured one over the least there must be."""
        own = wire.decode(self.agent.card) if self.agent.card else {}
        made = {"name": self.agent.name, "capabilities": {"streaming": True}, **own}
        return made, wire.encode(made)

    async def interface(self, version: str) -> Interface:
        """Nothing is translated twice: the gateway makes 1.0."""
        return INTERFACE

    async def ask(self, interface: Interface, operation: str, params: Json, headers: Headers) -> Any:
        """The result of an operation, in 1.0."""
        if operation == wire.SEND:
            work = self._begin(params, headers)
            configuration = params.get("configuration")
            if not (isinstance(configuration, dict) and configuration.get("returnImmediately")):
                async for _ in work.events():
                    pass
            return {TASK: work.snapshot()}
        if operation == wire.CARD:
            return (await self.card())[0]
        if operation not in (wire.GET, wire.CANCEL):
            raise A2aError(wire.PUSH_NOT_SUPPORTED, "This agent tells nobody of its tasks.")
        work = self._work(params)
        if operation == wire.CANCEL:
            if work.over or work.running is None:
                raise A2aError(wire.NOT_CANCELABLE, "Task cannot be canceled: it is over.")
            work.running.cancel()
            async for _ in work.events():
                pass
        return work.snapshot()

    async def follow(self, interface: Interface, operation: str, params: Json, headers: Headers) -> AsyncGenerator[Any]:
        """The results of an operation that streams."""
        work = self._begin(params, headers) if operation == wire.STREAM else self._work(params)
        if operation == wire.SUBSCRIBE and work.over:
            raise A2aError(wire.UNSUPPORTED_OPERATION, "The task is over: nothing more comes of it.")
        async for event in work.events():
            yield event

    def _work(self, params: Json) -> Work:
        work = self._works.get(str(params.get("id")))
        if work is None:
            raise task_not_found()
        return work

    def _begin(self, params: Json, headers: Headers) -> Work:
        message = params["message"]
        if message.get("taskId"):
            raise A2aError(wire.UNSUPPORTED_OPERATION, "The task is over: send a message with its contextId.")
        turns: list[Turn] = [*params.get(EARLIER, ()), ("user", text_of(message))]
        if len(self._works) >= RUNNING:
            raise Unavailable("The agent works at too many tasks.")
        work = Work(message)
        self._works[work.task["id"]] = work
        work.running = asyncio.create_task(self._run(work, turns, headers))
        return work

    async def _run(self, work: Work, turns: list[Turn], headers: Headers) -> None:
        try:
            work.tell(STATUS, status=_status("TASK_STATE_WORKING"))
            count = 0
            async for text in self._texts(work.task["contextId"], turns, headers):
                artifact = {"artifactId": ARTIFACT_ID, "parts": [{"text": text}]}
                work.tell(ARTIFACT, artifact=artifact, append=count > 0)
                count += 1
            work.tell(STATUS, status=_status("TASK_STATE_COMPLETED"))
        except A2aError as error:
            work.tell(STATUS, status=_status(wire.FAILED, error.message))
        except asyncio.CancelledError:
            work.tell(STATUS, status=_status("TASK_STATE_CANCELED"))
        finally:
            self._ended(work.task)
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._let_go, work)

    def _let_go(self, work: Work) -> None:
        """Told again: who began it may have been busy with keeping it."""
        self._ended(work.task)
        del self._works[work.task["id"]]

    async def _texts(self, context: str, turns: list[Turn], headers: Headers) -> AsyncIterator[str]:
        reader = adapter(self.agent)
        conversation = await self._conversation(reader, str(uuid.uuid5(uuid.NAMESPACE_OID, context)), headers)
        exchange = await self._asked(reader.request(turns, conversation), headers)
        try:
            async for data in exchange.events():
                _check(exchange)
                text = reader.read(data)
                if text:
                    yield text
            reader.ended()
        finally:
            self.done(exchange)

    async def _conversation(self, reader: Adapter, name: str, headers: Headers) -> str:
        """What the provider calls a conversation: opened with it where it wants that, and where it is not known."""
        if name in self._opened or (opening := reader.opening(name)) is None:
            return self._opened.get(name, name)
        exchange = await self._asked(opening, headers)
        try:
            answer = await exchange.body()
            _check(exchange)
        finally:
            self.done(exchange)
        if len(self._opened) >= REMEMBERED:
            del self._opened[next(iter(self._opened))]
        self._opened[name] = reader.opened(object_of(answer))
        return self._opened[name]

    async def _asked(self, asking: Asking, headers: Headers) -> Exchange:
        """One request, to be given back to `done`."""
        target, body = self.agent.path + asking.target, wire.encode(asking.body)
        headers = {**headers, **asking.headers, "Accept": "text/event-stream", **await self._signed(target, body)}
        return self.exchange("POST", target, body, headers, self.a2a.max_message)

    async def _signed(self, target: str, body: bytes) -> Headers:
        """The headers that prove who asks, where they are made anew for each request."""
        if self.agent.signing is None:
            return {}
        try:
            signer = self._credentials.signer(self.agent) or await self._credentials.fetch(self.agent)
        except UpstreamError as error:
            raise Unavailable(error.message) from None
        lines = signer.lines(b"POST", target.encode(), self.agent.host_header.encode(), (body,))
        return dict(line.split(": ", 1) for line in lines.decode("latin-1").split("\r\n") if line)


def _check(exchange: Exchange) -> None:
    if exchange.status >= 300:
        raise Unavailable(f"The agent answered with the status {exchange.status}.")


def _status(state: str, why: str = "") -> Json:
    made: Json = {"state": state, "timestamp": stamp(datetime.now(UTC))}
    if why:
        made["message"] = {"messageId": str(uuid.uuid4()), "role": "ROLE_AGENT", "parts": [{"text": why}]}
    return made
