"""Whose tasks there are, and how they stand: every task belongs to who began it, and nobody else learns of it."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from msgspec import Raw

from routeiq.a2a import wire
from routeiq.a2a.translate import is_old, state_of, task_new, to_new
from routeiq.a2a.wire import ARTIFACT, MESSAGE, RESTING, STATUS, TASK, Garbled, Json, task_not_found
from routeiq.core.a2a_tasks import KeptTask, TaskPage, TaskQuery
from routeiq.core.errors import GatewayError

REMEMBERED = 10_000
"""Tasks, and contexts, whose owner is known without asking the store."""


class TaskStore(Protocol):
    """Where tasks are kept. Everything raises `Overloaded` when it can't be reached."""

    async def put(self, task: KeptTask) -> bool:
        """Keep one; False where its id is somebody else's."""

    async def find(self, agent: str, owner: str, ident: str) -> KeptTask | None:
        """One of this owner's."""

    async def list(self, query: TaskQuery) -> TaskPage:
        """Those of one owner, the newest first."""

    async def keep_context(self, agent: str, owner: str, context: str) -> None:
        """The agent has named a conversation with this owner."""

    async def has_context(self, agent: str, owner: str, context: str) -> bool:
        """Whether the agent has, by itself or by a task in it."""


class Tasks:
    """The tasks of one agent."""

    def __init__(self, agent: str, store: TaskStore, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`start` runs what nobody waits for."""
        self._agent = agent
        self._store = store
        self._start = start
        self._known: dict[str, KeptTask] = {}
        self._contexts: dict[tuple[str, str], None] = {}
        """(owner, context) the agent has named."""

    async def of(self, owner: str, ident: object) -> KeptTask:
        """One of this owner's. Raises `A2aError` for all others, whether there are any or not."""
        if not isinstance(ident, str) or not ident:
            raise wire.A2aError(wire.INVALID_PARAMS, "The id of a task must be a string.")
        known = self._known.get(ident)
        if known is None:
            known = await self._store.find(self._agent, owner, ident)
            if known is None:
                raise task_not_found()
            self._remember(known)
        if known.owner != owner:
            raise task_not_found()
        return known

    def known(self, ident: str) -> KeptTask | None:
        """One that was kept a short while ago."""
        return self._known.get(ident)

    async def page(self, query: TaskQuery) -> TaskPage:
        """Tasks of one owner."""
        return await self._store.list(query)

    async def inner_context(self, owner: str, context: str) -> str:
        """What the agent knows a client's conversation as.

        A name the agent gave is told to the client as it is; one the client has made up is another's as well as its
        own, so the agent is told another name for each of them.
        """
        if (owner, context) in self._contexts or await self._store.has_context(self._agent, owner, context):
            self._note_context(owner, context)
            return context
        return hashlib.sha256(f"{owner}\0{self._agent}\0{context}".encode()).hexdigest()[:32]

    def named(self, owner: str, context: str) -> None:
        """The agent has named a conversation in which there is no task. Nobody waits until that is kept."""
        if (owner, context) not in self._contexts:
            self._note_context(owner, context)
            self._start(self._keep_context(owner, context))

    async def _keep_context(self, owner: str, context: str) -> None:
        with contextlib.suppress(GatewayError):  # without it, one day, a conversation begins anew
            await self._store.keep_context(self._agent, owner, context)

    async def keep(self, task: KeptTask) -> None:
        """Put down how one stands. Raises `Garbled` where its id is somebody else's task."""
        task.updated = time.time()
        if not await self._store.put(task):
            raise Garbled("The agent has answered with a task that is not of this request.")
        self._remember(task)

    def _remember(self, task: KeptTask) -> None:
        self._known.pop(task.id, None)
        if len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[task.id] = task
        if task.context == task.inner:
            self._note_context(task.owner, task.context)

    def _note_context(self, owner: str, context: str) -> None:
        if len(self._contexts) >= REMEMBERED:
            self._contexts.pop(next(iter(self._contexts)))
        self._contexts[owner, context] = None


def renamed(name: str, body: Json, inner: str, context: str) -> Json:
    """One of the four with the client's name for the conversation."""
    if inner == context:
        return body
    made = dict(body)
    _rename(made, inner, context)
    status = made.get("status")
    if isinstance(status, dict) and isinstance(status.get("message"), dict):
        made["status"] = {**status, "message": dict(status["message"])}
        _rename(made["status"]["message"], inner, context)
    if name == TASK and isinstance(made.get("history"), list):
        made["history"] = [dict(one) if isinstance(one, dict) else one for one in made["history"]]
        for one in made["history"]:
            if isinstance(one, dict):
                _rename(one, inner, context)
    return made


def _rename(made: Json, inner: str, context: str) -> None:
    if made.get("contextId") == inner:
        made["contextId"] = context


class Watch:
    """One task, as a request sees it go on: what comes of it is folded into the task that is kept."""

    def __init__(self, kept: KeptTask, task: Json, limit: int) -> None:
        """`task` is in the shape of 1.0. `limit`: bytes of what is folded in."""
        self.kept = kept
        self.task = task
        self._room = limit

    def take(self, name: str, body: Json, size: int) -> bool:
        """One more event, of either version; whether it is worth keeping at once."""
        if name == MESSAGE:
            return False
        if name == TASK:
            self.task = task_new(body) if is_old(body) else dict(body)
        elif name == STATUS:
            event = to_new(name, body) if is_old(body) else body
            status = event.get("status")
            if isinstance(status, dict):
                self.task["status"] = status
        elif name == ARTIFACT and self._room >= size:
            self._room -= size
            fold(self.task, to_new(name, body) if is_old(body) else body)
        state = state_of(self.task.get("status"))
        changed = state != self.kept.state
        self.kept.state = state or self.kept.state
        return name == TASK or (changed and state in RESTING)

    def seal(self) -> KeptTask:
        """The task as it is kept now."""
        self.kept.task = Raw(wire.encode(self.task))
        return self.kept


def fold(task: Json, event: Json) -> None:
    """Add to an artifact, or put it in the place of the one before.

    https://a2a-protocol.org/latest/specification/#taskartifactupdateevent
    """
    artifact = event.get("artifact")
    if not isinstance(artifact, dict):
        return
    artifacts = task.setdefault("artifacts", [])
    ident, parts = artifact.get("artifactId"), artifact.get("parts")
    own = {**artifact, "parts": list(parts) if isinstance(parts, list) else []}  # which grow, the event's must not
    for index, one in enumerate(artifacts):
        if isinstance(one, dict) and one.get("artifactId") == ident:
            before = one.get("parts")
            if event.get("append") and isinstance(before, list):
                _add(before, own["parts"])
            else:
                artifacts[index] = own
            return
    artifacts.append(own)


def _add(parts: list[Any], more: list[Any]) -> None:
    """More parts of an artifact; words that come piece by piece are one text."""
    if parts and more and _is_words(parts[-1]) and _is_words(more[0]):
        parts[-1] = {"text": parts[-1]["text"] + more[0]["text"]}
        more = more[1:]
    parts += more


def _is_words(part: Any) -> bool:
    return isinstance(part, dict) and len(part) == 1 and isinstance(part.get("text"), str)
