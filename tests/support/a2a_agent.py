"""Agents made with the official SDK, on a loopback port; what they do is said by the text they are sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import uvicorn
from a2a.helpers import new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Message, Role, Task, TaskState
from a2a.types import TaskStatus as Status
from starlette.applications import Starlette
from starlette.requests import Request

from support.addresses import free_port

BOTH = (("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3"))


class Doer(AgentExecutor):
    """Does what the text says: `message`, `ask`, `slow`, `fail`, `die`, else completes with an artifact."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        text = context.get_user_input()
        assert context.task_id
        assert context.context_id
        if text.startswith("message"):
            reply = Message(message_id="reply", role=Role.ROLE_AGENT, context_id=context.context_id)
            reply.parts.append(new_text_part(f"you said {text}, in {context.context_id}"))
            await event_queue.enqueue_event(reply)
            return
        if context.current_task is None:
            submitted = Status(state=TaskState.TASK_STATE_SUBMITTED)
            task = Task(id=context.task_id, context_id=context.context_id, status=submitted)
            assert context.message is not None
            task.history.append(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work(updater.new_agent_message([new_text_part("at it")]))
        if text.startswith("ask"):
            await updater.requires_input(updater.new_agent_message([new_text_part("which one?")]))
            return
        if text.startswith("fail"):
            await updater.failed(updater.new_agent_message([new_text_part("it can't be done")]))
            return
        if text.startswith("slow"):
            await asyncio.sleep(float(text.split()[1]))
        for index, word in enumerate(("one ", "two ", "three")):
            await updater.add_artifact(
                [new_text_part(word)], artifact_id="words", name="words", append=index > 0, last_chunk=index == 2
            )
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id
        assert context.context_id
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card_of(url: str, interfaces: Sequence[tuple[str, str]]) -> AgentCard:
    """A card with these (binding, version)."""
    return AgentCard(
        name="Doer",
        description="Does what it is told",
        version="1.2.3",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding=binding, protocol_version=version)
            for binding, version in interfaces
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="do", name="Do", description="Does it", tags=["test"])],
    )


class Agent:
    """One agent in a thread of its own; a context manager. `seen` are heads of what came, names in lower case."""

    def __init__(self, interfaces: Sequence[tuple[str, str]] = BOTH) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: list[dict[str, str]] = []
        card = card_of(f"{self.url}/rpc", interfaces)
        self.hooks = InMemoryPushNotificationConfigStore()
        handler = DefaultRequestHandler(
            Doer(),
            InMemoryTaskStore(),
            card,
            push_config_store=self.hooks,
            push_sender=BasePushNotificationSender(httpx.AsyncClient(), self.hooks),
            extended_agent_card=card,
        )
        app = Starlette(
            routes=[
                *create_agent_card_routes(card),
                *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True),
                *create_rest_routes(handler, path_prefix="/rpc", enable_v0_3_compat=True),
            ]
        )

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.seen.append({**Request(scope).headers, ":path": scope["path"]})
            await app(scope, receive, send)

        config = uvicorn.Config(noted, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Agent:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(5)
