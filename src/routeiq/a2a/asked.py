"""Agents made with Pydantic AI: they speak A2A, answer a message at once, and are to be asked what became of it.

https://ai.pydantic.dev/a2a/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

from routeiq.a2a import wire
from routeiq.a2a.cards import Interface
from routeiq.a2a.translate import closed, is_old, opened, state_of, task_new
from routeiq.a2a.upstream import Headers, Upstream
from routeiq.a2a.wire import ARTIFACT, RESTING, STATUS, TASK, Json
from routeiq.core.a2a import OLD

FIRST = 0.05
LONGEST = 1.0
"""Seconds between two questions: twice as many from one to the next."""


class Asked(Upstream):
    """Asks after a task until it rests, as a client that does not say otherwise expects."""

    async def ask(self, interface: Interface, operation: str, params: Json, headers: Headers) -> Any:
        result = await super().ask(interface, operation, params, headers)
        if operation != wire.SEND or _at_once(params):
            return result
        name, body = opened(result)
        if name != TASK:
            return result
        return closed(TASK, await self._rested(interface, body, headers), old=interface.version == OLD)

    async def follow(
        self, interface: Interface, operation: str, params: Json, headers: Headers
    ) -> AsyncGenerator[Any, None]:
        """Of an agent that streams what it streams, of another what comes of asking."""
        card, _ = await self.card()
        capabilities = card.get("capabilities")
        if isinstance(capabilities, dict) and capabilities.get("streaming"):
            async for result in super().follow(interface, operation, params, headers):
                yield result
            return
        if operation == wire.STREAM:
            result = await super().ask(interface, wire.SEND, params, headers)
        else:
            found = await super().ask(interface, wire.GET, {"id": params.get("id")}, headers)
            result = closed(TASK, found, old=interface.version == OLD)
        yield result
        name, body = opened(result)
        if name != TASK:
            return
        body = await self._rested(interface, body, headers)
        task = task_new(body) if is_old(body) else body
        common = {"taskId": task["id"], "contextId": task.get("contextId", "")}
        for artifact in task.get("artifacts") or ():
            yield {ARTIFACT: {**common, "artifact": artifact}}
        yield {STATUS: {**common, "status": task.get("status", {})}}

    async def _rested(self, interface: Interface, task: Json, headers: Headers) -> Json:
        """The task when it rests, or as it is when it has not changed for as long as the agent may be silent."""
        pause, changed = FIRST, time.monotonic()
        while state_of(task.get("status")) not in RESTING and time.monotonic() - changed < self.agent.timeout:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST)
            found = await super().ask(interface, wire.GET, {"id": task.get("id")}, headers)
            if not isinstance(found, dict) or found.get("id") != task.get("id"):
                raise wire.Garbled("The agent's answer is not the task that was asked for.")
            if found.get("status") != task.get("status"):
                changed = time.monotonic()
            task = found
        return task


def _at_once(params: Json) -> bool:
    """Whether the client does not wait, in the words of either version."""
    configuration = params.get("configuration")
    if not isinstance(configuration, dict):
        return False
    return configuration.get("returnImmediately") is True or configuration.get("blocking") is False
