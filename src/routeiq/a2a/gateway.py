"""The A2A gateway: what is asked of agents, by whom, and what becomes of it, whatever clients speak to it in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from routeiq.a2a import cards, listing, wire
from routeiq.a2a.ask import Ask, failed_status
from routeiq.a2a.asked import Asked
from routeiq.a2a.cards import Interface
from routeiq.a2a.grants import granted
from routeiq.a2a.made import EARLIER, Made
from routeiq.a2a.pushes import Pushes
from routeiq.a2a.relay import Relay
from routeiq.a2a.tasks import Tasks, TaskStore, Watch
from routeiq.a2a.translate import opened, state_of
from routeiq.a2a.upstream import Upstream
from routeiq.a2a.wire import MESSAGE, RESTING, STATUS, TASK, TERMINAL, A2aError, Garbled, Json, Unavailable
from routeiq.core.a2a import PYDANTIC_AI, A2a, Agent
from routeiq.core.a2a_tasks import KeptTask
from routeiq.core.errors import GatewayError, LimitExceeded, UnknownPath
from routeiq.core.snapshot import Snapshot
from routeiq.governance.keys import Caller
from routeiq.pipeline.books import Account, Books
from routeiq.pipeline.services import Services
from routeiq.transport.pool import Address

ENDPOINT = "a2a"
"""`Event.endpoint` and `Event.provider` of messages to agents."""
CANCELLED = 499
"""The status of what its client has left before the agent said anything."""
RECOVER_SECONDS = 5.0
"""How long it is asked after a task whose stream has broken off."""

log = logging.getLogger("routeiq.a2a")


class Gateway:
    """State of the gateway."""

    def __init__(self, services: Services, snapshot: Snapshot, a2a: A2a, store: TaskStore, relay: Relay) -> None:
        self.services = services
        self.pushes = Pushes(relay, services.pool.resolver, self._tasks_of)
        self.books = Books(services, snapshot, ENDPOINT)
        self.a2a = a2a
        self._store = store
        self._open = snapshot.auth.open
        self._upstreams: dict[str, Upstream] = {}
        self._tasks: dict[str, Tasks] = {}
        self.adopt(snapshot, a2a)

    def adopt(self, snapshot: Snapshot, a2a: A2a) -> None:
        """Serve by another configuration: what is under way with an agent that is gone, or off, is ended."""
        self.a2a = self.pushes.relay.a2a = a2a
        self._open = snapshot.auth.open
        self.books.snapshot = snapshot
        before, self._upstreams = self._upstreams, {}
        for agent in a2a.agents:
            known = before.pop(agent.id, None)
            if known is not None and known.agent == agent and known.a2a == a2a:
                self._upstreams[agent.id] = known
            else:
                self._upstreams[agent.id] = self._opened(agent)
                if known is not None and not agent.enabled:
                    known.halt()
        for gone in before.values():
            gone.halt()

    def _opened(self, agent: Agent) -> Upstream:
        address = Address(
            agent.scheme, agent.host, agent.port, agent.verify_tls, agent.ca_file,
            guarded=not agent.trusted, bound=False,
        )  # fmt: skip
        origin = self.services.pool.origin(address)
        if not agent.provider:
            return Upstream(agent, self.a2a, origin)
        if agent.provider == PYDANTIC_AI:
            return Asked(agent, self.a2a, origin)

        def ended(task: Json) -> None:
            kept = self._tasks_of(agent.id).known(task["id"])
            if kept is not None and kept.state not in TERMINAL:
                self.services.start(self._keep_end(agent, Watch(kept, task, 0)))

        return Made(agent, self.a2a, origin, self.services.credentials, ended)

    async def _keep_end(self, agent: Agent, watch: Watch) -> None:
        """Put down how a task of the gateway's own has ended, whoever waits for it."""
        watch.take(TASK, watch.task, 0)
        with contextlib.suppress(GatewayError):
            await self._tasks_of(agent.id).keep(watch.seal())

    # who may ask whom

    def agents(self, caller: Caller) -> list[Upstream]:
        """Those a caller may use."""
        return [self._upstreams[agent.id] for agent in granted(caller.key, self.a2a, everything=self._open)]

    def find(self, caller: Caller, word: str) -> Upstream:
        """One of them, by its name or id. Raises `UnknownPath` where there is none, or it is not the caller's."""
        for upstream in self.agents(caller):
            if word in (upstream.agent.name, upstream.agent.id):
                return upstream
        raise UnknownPath(f"There is no agent {word[:100]!r} here.", code="agent_not_found")

    # operations

    async def answer(self, ask: Ask) -> Any:
        """The result of an operation, in the client's version. Raises `A2aError` and `GatewayError`."""
        operation = ask.operation
        if operation == wire.SEND:
            return await self._send(ask)
        if operation == wire.GET:
            return await self._get(ask)
        if operation == wire.LIST:
            return await listing.answer(ask, self._tasks_of(ask.upstream.agent.id), self._fresh)
        if operation == wire.CANCEL:
            return await self._cancel(ask)
        if operation == wire.CARD:
            found = await ask.upstream.ask(await self._interface(ask), operation, {}, ask.headers)
            if not isinstance(found, dict):
                raise Garbled("The agent's card is not an object.")
            return cards.shown(found, ask.url)
        kept = await self._owned(ask)
        return await self.pushes.answer(ask, kept, await self._interface(ask))

    def stream(self, ask: Ask) -> AsyncIterator[Any]:
        """The results of an operation that streams. Raises the same before the first one; what goes wrong later is a
        failed task.
        """
        return self._stream(ask) if ask.operation == wire.STREAM else self._subscribe(ask)

    async def _send(self, ask: Ask) -> Any:
        async def send(_: Account) -> Any:
            interface, params = await self._prepared(ask)
            result = await ask.upstream.ask(interface, wire.SEND, params, ask.headers)
            name, body = opened(result)
            if name == MESSAGE:
                return self._message(ask, body)
            if name != TASK:
                raise Garbled("The agent's answer is neither a task nor a message.")
            watch = await self._watch(ask, name, body)
            watch.take(name, body, 0)
            await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
            return ask.told(name, body, watch.kept)

        return await self._accounted(ask, send)

    def _message(self, ask: Ask, body: Json) -> Any:
        """A message in answer: no task comes of it, perhaps a conversation."""
        context = body.get("contextId")
        if isinstance(context, str) and context and context != ask.inner:
            self._tasks_of(ask.upstream.agent.id).named(ask.owner, context)
        return ask.told(MESSAGE, body, None)

    async def _get(self, ask: Ask) -> Any:
        kept = await self._owned(ask)
        if not kept.final:
            try:
                return ask.told_task(await self._fresh(ask, kept, ask.params), kept)
            except A2aError as error:
                lost = error.code == wire.TASK_NOT_FOUND
                if lost and ask.upstream.makes_tasks and kept.state not in TERMINAL:
                    watch = Watch(kept, wire.decode(bytes(kept.task)), 0)
                    await self._failed(ask, watch, Unavailable("The process that worked at it is gone."))
                elif kept.state not in TERMINAL or not (lost or isinstance(error, Unavailable)):
                    raise
        task = wire.decode(bytes(kept.task))
        return ask.told_task(listing.cut(task, ask.params.get("historyLength"), artifacts=True), kept)

    async def _fresh(self, ask: Ask, kept: KeptTask, params: Json) -> Json:
        """A task as its agent has it now, of whichever version. `params` are of the client's."""
        interface = await self._interface(ask)
        result = await ask.upstream.ask(interface, wire.GET, ask.for_agent(wire.GET, params, interface), ask.headers)
        if not isinstance(result, dict) or result.get("id") != kept.id:
            raise Garbled("The agent's answer is not the task that was asked for.")
        state = state_of(result.get("status"))
        if state and state != kept.state and "historyLength" not in params:  # else there is less of it
            watch = Watch(kept, result, 0)
            watch.take(TASK, result, 0)
            await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
        return result

    async def _cancel(self, ask: Ask) -> Any:
        kept = await self._owned(ask)
        if kept.final:
            raise A2aError(wire.NOT_CANCELABLE, "Task cannot be canceled: it has failed.")
        interface = await self._interface(ask)
        params = ask.for_agent(wire.CANCEL, ask.params, interface)
        result = await ask.upstream.ask(interface, wire.CANCEL, params, ask.headers)
        if not isinstance(result, dict) or result.get("id") != kept.id:
            raise Garbled("The agent's answer is not the task that was to be cancelled.")
        watch = Watch(kept, result, 0)
        watch.take(TASK, result, 0)
        await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
        return ask.told_task(result, kept)

    # streams

    async def _stream(self, ask: Ask) -> AsyncIterator[Any]:
        upstream = ask.upstream
        account = self.books.open(ask.caller, upstream.agent.name, ask.fields)
        account.server, account.name, account.cost = upstream.agent.name, wire.STREAM, upstream.agent.cost
        status, error = CANCELLED, ""
        try:
            await self._admit(ask, account)
            async with upstream.slots or contextlib.nullcontext():
                interface, params = await self._prepared(ask)
                async for result, failure in self._told(ask, interface, params, None):
                    status, error = (200, "") if failure is None else _event_of(failure)
                    yield result
        except (A2aError, GatewayError) as failure:
            status, error = _event_of(failure)
            raise
        finally:
            account.settle(status, error)

    async def _subscribe(self, ask: Ask) -> AsyncIterator[Any]:
        kept = await self._owned(ask)
        if kept.final:
            raise A2aError(wire.UNSUPPORTED_OPERATION, "The task has failed: nothing more comes of it.")
        interface = await self._interface(ask)
        params = ask.for_agent(wire.SUBSCRIBE, ask.params, interface)
        watch = Watch(kept, wire.decode(bytes(kept.task)), self.a2a.max_message)
        async for result, _ in self._told(ask, interface, params, watch):
            yield result

    async def _told(
        self, ask: Ask, interface: Interface, params: Json, watch: Watch | None
    ) -> AsyncIterator[tuple[Any, A2aError | None]]:
        """What an agent streams, as its client is told, with what went wrong where something did.

        A stream that breaks off, or ends before its task rests, is gone on with once; a task nothing more is heard of
        has failed.
        """
        operation, events = ask.operation, 0
        while True:
            try:
                async with contextlib.aclosing(
                    ask.upstream.follow(interface, operation, params, ask.headers)
                ) as results:
                    async for result in results:
                        name, body = opened(result)
                        events += 1
                        if name == MESSAGE and watch is None:
                            yield self._message(ask, body), None
                            return
                        if watch is None:
                            watch = await self._watch(ask, name, body)
                        watch = await self._take(ask, watch, name, body)
                        yield ask.told(name, body, watch.kept), None
                failure: A2aError = Unavailable("The agent ended its stream before its task was done.")
            except A2aError as error:
                if watch is None or (not events and operation == ask.operation == wire.SUBSCRIBE):
                    raise
                failure = error
            if watch is None:
                raise Unavailable("The agent ended its stream without an answer.")
            if watch.kept.state in RESTING:
                return
            if operation == ask.operation and await self._recovered(ask, watch):
                if watch.kept.state in RESTING:
                    yield ask.told(TASK, watch.task, watch.kept), None
                    yield ask.told(STATUS, _status_event(watch), watch.kept), None
                    return
                operation = wire.SUBSCRIBE
                params = ask.for_agent_new(wire.SUBSCRIBE, {"id": watch.kept.id}, interface)
                continue
            yield await self._failed(ask, watch, failure), failure
            return

    async def _take(self, ask: Ask, watch: Watch, name: str, body: Json) -> Watch:
        """One more event of a stream. Raises `Garbled` for one of another task."""
        if body.get("id" if name == TASK else "taskId") != watch.kept.id:
            raise Garbled("The agent's stream tells of another task.")
        if watch.take(name, body, len(wire.encode(body)) if name == wire.ARTIFACT else 0):
            await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
        return watch

    async def _recovered(self, ask: Ask, watch: Watch) -> bool:
        """Whether the agent still knows a task whose stream has broken off; how it stands is taken over."""
        with contextlib.suppress(A2aError, TimeoutError):
            async with asyncio.timeout(RECOVER_SECONDS):
                interface = await self._interface(ask)
                params = ask.for_agent_new(wire.GET, {"id": watch.kept.id}, interface)
                result = await ask.upstream.ask(interface, wire.GET, params, ask.headers)
            if isinstance(result, dict) and result.get("id") == watch.kept.id:
                watch.take(TASK, result, 0)
                await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
                return True
        return False

    async def _failed(self, ask: Ask, watch: Watch, failure: A2aError) -> Any:
        """End a task nothing more is heard of."""
        log.warning("agent %s: a task has failed: %s", ask.upstream.agent.name, failure.message)
        watch.task["status"] = failed_status(watch.kept, failure.message)
        watch.kept.state, watch.kept.final = wire.FAILED, True
        await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
        return ask.told(STATUS, _status_event(watch), watch.kept)

    # what they share

    def _tasks_of(self, agent: str) -> Tasks:
        tasks = self._tasks.get(agent)
        if tasks is None:
            tasks = self._tasks[agent] = Tasks(agent, self._store, self.services.start)
        return tasks

    async def _owned(self, ask: Ask) -> KeptTask:
        return await self._tasks_of(ask.upstream.agent.id).of(ask.owner, ask.task_id())

    async def _interface(self, ask: Ask) -> Interface:
        return await ask.upstream.interface(ask.version)

    async def _prepared(self, ask: Ask) -> tuple[Interface, Json]:
        """A message as the agent is sent it. Raises `A2aError`: of tasks of others, and webhooks that may not be."""
        message = ask.params.get("message")
        if not isinstance(message, dict):
            raise A2aError(wire.INVALID_PARAMS, "params.message must be an object.")
        message = dict(message)
        tasks = self._tasks_of(ask.upstream.agent.id)
        kept = await tasks.of(ask.owner, message["taskId"]) if message.get("taskId") else None
        if kept is not None and kept.final:
            raise A2aError(wire.UNSUPPORTED_OPERATION, "The task has failed: nothing can be added to it.")
        for other in message.get("referenceTaskIds") or ():
            await tasks.of(ask.owner, other)
        context = message.get("contextId")
        if context:
            if not isinstance(context, str):
                raise A2aError(wire.INVALID_PARAMS, "contextId must be a string.")
            ask.context = context
            ask.inner = (
                kept.inner
                if kept is not None and kept.context == context
                else await tasks.inner_context(ask.owner, context)
            )
            message["contextId"] = ask.inner
        interface = await self._interface(ask)
        params = await self.pushes.attach(ask, {**ask.params, "message": message})
        params = ask.for_agent(ask.operation, params, interface)
        if ask.upstream.makes_tasks:
            params = {**params, EARLIER: await listing.turns(tasks, ask.upstream.agent.id, ask.owner, ask.context)}
        return interface, params

    async def _watch(self, ask: Ask, name: str, body: Json) -> Watch:
        """The task an agent answers a message with, kept before its client hears of it. Raises `Garbled`."""
        ident, inner = body.get("id" if name == TASK else "taskId"), body.get("contextId") or ""
        if not isinstance(ident, str) or not ident or not isinstance(inner, str):
            raise Garbled("The agent's answer has no task id.")
        if ask.hook is not None:
            await self.pushes.relay.bind(ask.hook, ident)
        context = ask.context if inner == ask.inner and ask.context else inner
        kept = KeptTask(
            agent=ask.upstream.agent.id, id=ident, owner=ask.owner, context=context, inner=inner,
            state=state_of(body.get("status")) or "TASK_STATE_SUBMITTED",
        )  # fmt: skip
        if ask.params["message"].get("taskId") == ident:
            before = await self._tasks_of(ask.upstream.agent.id).of(ask.owner, ident)
            kept.context, kept.inner = before.context, before.inner
            return Watch(kept, wire.decode(bytes(before.task)), self.a2a.max_message)
        watch = Watch(kept, {"id": ident, "contextId": inner, "status": {"state": kept.state}}, self.a2a.max_message)
        if name != TASK:
            await self._tasks_of(ask.upstream.agent.id).keep(watch.seal())
        return watch

    async def _admit(self, ask: Ask, account: Account) -> None:
        agent = ask.upstream.agent
        if not ask.upstream.take():
            raise LimitExceeded(f"The agent {agent.name} takes {agent.rpm} messages a minute.")
        await account.reserve()

    async def _accounted(self, ask: Ask, work: Callable[[Account], Awaitable[Any]]) -> Any:
        upstream = ask.upstream
        account = self.books.open(ask.caller, upstream.agent.name, ask.fields)
        account.server, account.name, account.cost = upstream.agent.name, ask.operation, upstream.agent.cost
        status, error = CANCELLED, ""
        try:
            await self._admit(ask, account)
            async with upstream.slots or contextlib.nullcontext():
                result = await work(account)
            status = 200
            return result
        except (A2aError, GatewayError) as failure:
            status, error = _event_of(failure)
            raise
        finally:
            account.settle(status, error)


def _status_event(watch: Watch) -> Json:
    """How a task stands, as an event of 1.0."""
    kept = watch.kept
    return {"taskId": kept.id, "contextId": kept.inner, "status": watch.task.get("status", {})}


def _event_of(failure: A2aError | GatewayError) -> tuple[int, str]:
    """Status and kind on the Event."""
    if isinstance(failure, GatewayError):
        return failure.status, failure.kind
    if isinstance(failure, Unavailable):
        return 502, "unreachable"
    if failure.code in (wire.INVALID_PARAMS, wire.INVALID_REQUEST, wire.CONTENT_TYPE):
        return 400, "bad_request"
    return (404, "bad_request") if failure.code == wire.TASK_NOT_FOUND else (502, "upstream")
