"""One request to an agent: who asks, in which version, and how what comes is told in it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from routeiq.a2a import wire
from routeiq.a2a.cards import Interface
from routeiq.a2a.tasks import renamed
from routeiq.a2a.translate import (
    closed,
    is_old,
    params_new,
    params_old,
    result_new,
    result_old,
    task_new,
    task_old,
    to_new,
    to_old,
)
from routeiq.a2a.upstream import Upstream
from routeiq.a2a.wire import TASK, Json, stamp
from routeiq.core.a2a import NEW, OLD
from routeiq.core.a2a_push import KeptHook
from routeiq.core.a2a_tasks import KeptTask
from routeiq.governance.keys import Caller

_EXTENSIONS = {b"a2a-extensions": "A2A-Extensions", b"x-a2a-extensions": "X-A2A-Extensions"}
"""Headers of the protocol itself that agents are sent."""


class Ask:
    """A request. `params` are in the client's version."""

    __slots__ = (
        "caller", "context", "fields", "headers", "hook", "inner", "old", "operation", "owner", "params", "upstream",
        "url", "version",
    )  # fmt: skip

    def __init__(
        self,
        caller: Caller,
        upstream: Upstream,
        version: str,
        operation: str,
        params: Json,
        fields: dict[bytes, bytes],
        url: str,
    ) -> None:
        """`url` is where clients reach the agent."""
        self.caller = caller
        self.owner = caller.key.id
        self.upstream = upstream
        self.version = version
        self.old = version == OLD
        self.operation = operation
        self.params = params
        self.fields = fields
        self.url = url
        self.headers = upstream.forwarded(fields)
        for name, header in _EXTENSIONS.items():
            if name in fields:
                self.headers[header] = fields[name].decode("latin-1")
        self.context = ""
        """The conversation as the client names it, and as the agent knows it."""
        self.inner = ""
        self.hook: KeptHook | None = None
        """The webhook that came with a message."""

    def task_id(self) -> Any:
        """Of an operation on a task."""
        if self.operation in (wire.GET, wire.CANCEL, wire.SUBSCRIBE):
            return self.params.get("id")
        if self.old and self.operation != wire.PUSH_CREATE:
            return self.params.get("id")
        return self.params.get("taskId")

    def for_agent(self, operation: str, params: Json, interface: Interface) -> Json:
        """The client's parameters in the agent's version."""
        if interface.version == self.version:
            return params
        return params_new(operation, params) if self.old else params_old(operation, params)

    def for_agent_new(self, operation: str, params: Json, interface: Interface) -> Json:
        """Parameters of 1.0 in the agent's version."""
        return params if interface.version == NEW else params_old(operation, params)

    def told(self, name: str, body: Json, kept: KeptTask | None) -> Any:
        """One of the four, in the client's version, with its name for the conversation."""
        inner, context = (self.inner, self.context) if kept is None else (kept.inner, kept.context)
        return told(name, body, inner, context, old=self.old)

    def told_task(self, task: Json, kept: KeptTask) -> Json:
        """A task that is a result by itself."""
        task = renamed(TASK, task, kept.inner, kept.context)
        if self.old:
            return task if is_old(task) else task_old(task)
        return task_new(task) if is_old(task) else task

    def result(self, result: Any, interface: Interface) -> Any:
        """Of an operation that answers none of the four."""
        if interface.version == self.version:
            return result
        return result_old(self.operation, result) if self.old else result_new(self.operation, result)


def told(name: str, body: Json, inner: str, context: str, *, old: bool) -> Any:
    """One of the four in a version, `inner` being what the agent calls the client's `context`."""
    body = renamed(name, body, inner, context)
    if is_old(body) != old:
        body = to_old(name, body) if old else to_new(name, body)
    return closed(name, body, old=old)


def failed_status(kept: KeptTask, why: str) -> Json:
    """Of a task the gateway has ended, in the shape of 1.0."""
    message = {
        "messageId": str(uuid.uuid4()),
        "role": "ROLE_AGENT",
        "parts": [{"text": why}],
        "taskId": kept.id,
        "contextId": kept.inner,
    }
    return {"state": wire.FAILED, "message": message, "timestamp": stamp(datetime.now(UTC))}
