"""Webhooks of tasks: the gateway's where it relays them, else the agent's, which then calls the client itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from routeiq.a2a import webhooks, wire
from routeiq.a2a.ask import Ask, told
from routeiq.a2a.cards import Interface
from routeiq.a2a.relay import Relay, Webhook, named
from routeiq.a2a.tasks import Tasks, Watch, renamed
from routeiq.a2a.translate import (
    opened,
    result_old,
    state_of,
    task_old,
    webhook_auth_new,
    webhook_new,
    without,
)
from routeiq.a2a.wire import INVALID_PARAMS, TASK, A2aError, Garbled, Json
from routeiq.core.a2a_push import KeptHook
from routeiq.core.a2a_tasks import KeptTask
from routeiq.core.errors import UnknownPath
from routeiq.transport.dns import Resolver


class Pushes:
    """Those of one gateway."""

    def __init__(self, relay: Relay, resolver: Resolver, tasks_of: Callable[[str], Tasks]) -> None:
        """`tasks_of` gives the tasks of an agent, by its id."""
        self.relay = relay
        self._resolver = resolver
        self._tasks_of = tasks_of

    async def answer(self, ask: Ask, kept: KeptTask, interface: Interface) -> Any:
        """An operation on the webhooks of a task, in the client's version. Raises `A2aError`."""
        if ask.operation == wire.PUSH_CREATE:
            found = webhook_new(ask.params) if ask.old else ask.params
            await self._check(found)
        if not self._relayed(ask):
            params = ask.for_agent(ask.operation, ask.params, interface)
            return ask.result(await ask.upstream.ask(interface, ask.operation, params, ask.headers), interface)
        result = await self._create(ask, kept, interface) if ask.operation == wire.PUSH_CREATE else None
        if result is None:
            result = await self._kept(ask, kept, interface)
        return result_old(ask.operation, result) if ask.old else result

    async def attach(self, ask: Ask, params: Json) -> Json:
        """Parameters of a message whose webhook is checked, and the gateway's where it relays. Raises `A2aError`."""
        found = webhooks.webhook_of(params)
        if found is None:
            return params
        await self._check(found)
        if not self._relayed(ask):
            return params
        config = webhook_auth_new(found) if ask.old else found
        given = await self._register(ask, config, params["message"].get("taskId") or "", ask.context, ask.inner)
        name = "pushNotificationConfig" if ask.old else "taskPushNotificationConfig"
        others = without(params["configuration"], "pushNotificationConfig", "taskPushNotificationConfig")
        return {**params, "configuration": {**others, name: given}}

    async def received(self, token: str, data: bytes) -> None:
        """An agent tells of a task; returns when it is kept that its client is to be told. Raises `UnknownPath`."""
        hook = await self.relay.called(token) if self.relay.there else None
        if hook is None:
            raise UnknownPath("There is no such webhook.")
        name, body = _event(wire.decode(data))
        ident = body.get("id" if name == TASK else "taskId")
        if not isinstance(ident, str) or not ident or hook.task not in ("", ident):
            raise A2aError(INVALID_PARAMS, "This webhook is of another task.")
        webhook = self.relay.webhook(hook.sealed)
        tasks = self._tasks_of(hook.agent)
        watch = await self._watch(tasks, hook, webhook, ident, body)
        if watch.kept.final:
            return  # its client has been told that it failed
        if watch.take(name, body, len(data)):
            await tasks.keep(watch.seal())
        await self.relay.bind(hook, ident)
        kept = watch.kept
        if webhook.old:
            payload = renamed(TASK, task_old(watch.task), kept.inner, kept.context)
        else:
            payload = told(name, body, kept.inner, kept.context, old=False)
        await self.relay.tell(hook, wire.encode(payload))

    def _relayed(self, ask: Ask) -> bool:
        return self.relay.there and not ask.upstream.makes_tasks

    async def _check(self, found: Any) -> None:
        await webhooks.check(found, self._resolver, private=self.relay.a2a.private_webhooks)

    async def _register(self, ask: Ask, config: Json, task: str, context: str, inner: str) -> Json:
        config = without(config, "taskId", "tenant")
        hook = KeptHook(token="", agent=ask.upstream.agent.id, owner=ask.owner, id=named(config), task=task)
        webhook = Webhook(config=wire.encode(config), old=ask.old, context=context, inner=inner)
        given = await self.relay.register(hook, webhook)
        ask.hook = hook
        return given

    async def _create(self, ask: Ask, kept: KeptTask, interface: Interface) -> Json:
        found = webhook_new(ask.params) if ask.old else ask.params
        given = await self._register(ask, found, kept.id, kept.context, kept.inner)
        assert ask.hook is not None
        params = ask.for_agent_new(wire.PUSH_CREATE, {"taskId": kept.id, **given}, interface)
        try:
            await ask.upstream.ask(interface, wire.PUSH_CREATE, params, ask.headers)
        except A2aError:
            await self.relay.remove(ask.hook)
            raise
        return self.relay.config(ask.hook, kept.id)

    async def _kept(self, ask: Ask, kept: KeptTask, interface: Interface) -> Json:
        found = await self.relay.configs(ask.upstream.agent.id, ask.owner, kept.id)
        if ask.operation == wire.PUSH_LIST:
            return {"configs": [config for _, config in found]}
        wanted = ask.params.get("pushNotificationConfigId" if ask.old else "id")
        match = next(((hook, config) for hook, config in found if wanted in (None, "", hook.id)), None)
        if match is None:
            raise A2aError(wire.TASK_NOT_FOUND, "The task has no such webhook.")
        hook, config = match
        if ask.operation == wire.PUSH_GET:
            return config
        params = ask.for_agent_new(wire.PUSH_DELETE, {"taskId": kept.id, "id": hook.id}, interface)
        with contextlib.suppress(A2aError):  # what the agent still says is not told on
            await ask.upstream.ask(interface, wire.PUSH_DELETE, params, ask.headers)
        await self.relay.remove(hook)
        return {}

    async def _watch(self, tasks: Tasks, hook: KeptHook, webhook: Webhook, ident: str, body: Json) -> Watch:
        """The task as it is known; the agent may tell of it before it has answered the message."""
        limit = self.relay.a2a.max_message
        try:
            kept = await tasks.of(hook.owner, ident)
        except A2aError:
            inner = str(body.get("contextId") or "")
            context = webhook.context if webhook.context and inner == webhook.inner else inner
            state = state_of(body.get("status")) or "TASK_STATE_SUBMITTED"
            kept = KeptTask(agent=hook.agent, id=ident, owner=hook.owner, context=context, inner=inner, state=state)
            watch = Watch(kept, {"id": ident, "contextId": inner, "status": {"state": state}}, limit)
            await tasks.keep(watch.seal())
            return watch
        return Watch(kept, wire.decode(bytes(kept.task)), limit)


def _event(found: Any) -> tuple[str, Json]:
    """What an agent tells: one of the four, or a task by itself, as in 0.3."""
    try:
        name, body = opened(found)
    except Garbled:
        if not isinstance(found, dict) or not isinstance(found.get("status"), dict):
            raise A2aError(INVALID_PARAMS, "This is no task, message or update.") from None
        name, body = TASK, found
    return name, body
