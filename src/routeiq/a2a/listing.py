"""`ListTasks`: a caller's own tasks, whether their agent can list any or not.

https://a2a-protocol.org/latest/specification/#314-list-tasks
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from routeiq.a2a import wire
from routeiq.a2a.adapters.adapter import Turn, text_of
from routeiq.a2a.ask import Ask
from routeiq.a2a.tasks import Tasks
from routeiq.a2a.translate import is_old, task_new
from routeiq.a2a.wire import INVALID_PARAMS, TERMINAL, A2aError, Json
from routeiq.core.a2a_tasks import KeptTask, TaskQuery
from routeiq.core.errors import GatewayError

MOST = 100
USUAL = 50
"""Tasks on a page."""
TURNS = 20
"""Tasks of a conversation that an agent without memory is told of."""
STATES = wire.TERMINAL | wire.INTERRUPTED | {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"}

Fresh = Callable[[Ask, KeptTask, Json], Awaitable[Json]]


async def answer(ask: Ask, tasks: Tasks, fresh: Fresh) -> Json:
    """The page that is asked for. Tasks that may have gone on are asked after. Raises `A2aError`."""
    query = _query(ask)
    page = await tasks.page(query)
    found = await asyncio.gather(*(_now(ask, kept, fresh) for kept in page.tasks))
    artifacts = ask.params.get("includeArtifacts") is True
    length = ask.params.get("historyLength")
    shown = [
        cut(ask.told_task(task, kept), length, artifacts=artifacts)
        for task, kept in zip(found, page.tasks, strict=True)
        if not query.state or kept.state == query.state
    ]
    return {
        "tasks": shown,
        "nextPageToken": _token(page.tasks[-1]) if page.more else "",
        "pageSize": len(shown),
        "totalSize": page.total,
    }


async def _now(ask: Ask, kept: KeptTask, fresh: Fresh) -> Json:
    """A task as it is now; as it was last heard of, where its agent can't say."""
    if kept.state not in TERMINAL:
        try:
            task = await fresh(ask, kept, {"id": kept.id})
        except (A2aError, GatewayError):
            pass
        else:
            return task_new(task) if is_old(task) else task
    found: Json = wire.decode(bytes(kept.task))
    return found


def cut(task: Json, length: Any, *, artifacts: bool) -> Json:
    """A task with so many of its last messages, and with its artifacts or without."""
    made = dict(task)
    history = made.get("history")
    if isinstance(length, int) and not isinstance(length, bool) and isinstance(history, list):
        made["history"] = history[-length:] if length > 0 else []
    if not artifacts:
        made.pop("artifacts", None)
    return made


async def turns(tasks: Tasks, agent: str, owner: str, context: str) -> list[Turn]:
    """What was said in a conversation before, the oldest first: of its last tasks that were completed."""
    if not context:
        return []
    done = "TASK_STATE_COMPLETED"
    page = await tasks.page(TaskQuery(agent=agent, owner=owner, context=context, state=done, most=TURNS))
    said: list[Turn] = []
    for kept in reversed(page.tasks):
        task = wire.decode(bytes(kept.task))
        said.append(("user", "\n".join(text_of(message) for message in task.get("history", ())[:1])))
        said.append(("assistant", "".join(text_of(artifact, "") for artifact in task.get("artifacts", ()))))
    return said


def _query(ask: Ask) -> TaskQuery:
    params = ask.params
    size = params.get("pageSize")
    if size is None:
        size = USUAL
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST:
        raise A2aError(INVALID_PARAMS, f"pageSize must be a whole number from 1 to {MOST}.")
    length = params.get("historyLength")
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 0):
        raise A2aError(INVALID_PARAMS, "historyLength must be a whole number of 0 or more.")
    context, state, token = (params.get(name) or "" for name in ("contextId", "status", "pageToken"))
    if not isinstance(context, str):
        raise A2aError(INVALID_PARAMS, "contextId must be a string.")
    if state == "TASK_STATE_UNSPECIFIED":
        state = ""
    if state and state not in STATES:
        raise A2aError(INVALID_PARAMS, "status must be a state of tasks.")
    return TaskQuery(
        agent=ask.upstream.agent.id,
        owner=ask.owner,
        context=context,
        state=state,
        after=_after(params.get("statusTimestampAfter")),
        before=_read_token(token) if token else None,
        most=size,
    )


def _after(text: Any) -> float:
    if text is None:
        return 0.0
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            raise ValueError
        return when.timestamp()
    except (TypeError, ValueError, OverflowError):
        raise A2aError(INVALID_PARAMS, "statusTimestampAfter must be a time of ISO 8601 with its zone.") from None


def _token(last: KeptTask) -> str:
    return base64.urlsafe_b64encode(f"{last.updated!r}/{last.id}".encode()).decode()


def _read_token(token: Any) -> tuple[float, str]:
    try:
        when, _, ident = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition("/")
        return float(when), ident
    except (TypeError, ValueError, binascii.Error):
        raise A2aError(INVALID_PARAMS, "pageToken is not one of this list.") from None
