"""An agent on the server that Pydantic AI's agents run on, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fasta2a import FastA2A, Worker
from fasta2a.broker import InMemoryBroker
from fasta2a.storage import InMemoryStorage

from support.addresses import free_port


class Doer(Worker[Any]):
    """Answers with an artifact after a moment; `fail` raises."""

    async def run_task(self, params: Any) -> None:
        text = params["message"]["parts"][0]["text"]
        await self.storage.update_task(params["id"], state="working")
        await asyncio.sleep(0.3)
        if text == "fail":
            raise RuntimeError("it can't be done")
        artifact: Any = {"artifact_id": str(uuid.uuid4()), "name": "answer", "parts": [{"text": f"did {text}"}]}
        await self.storage.update_task(params["id"], state="completed", new_artifacts=[artifact])

    async def cancel_task(self, params: Any) -> None:
        await self.storage.update_task(params["id"], state="canceled")

    def build_message_history(self, history: list[Any]) -> list[Any]:
        return history

    def build_artifacts(self, result: Any) -> list[Any]:
        return []


class PydanticAgent:
    """A context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        storage: Any = InMemoryStorage()
        broker = InMemoryBroker()
        worker = Doer(broker=broker, storage=storage)

        @asynccontextmanager
        async def lifespan(app: FastA2A) -> AsyncIterator[None]:
            async with app.task_manager, worker.run():
                yield

        app = FastA2A(storage=storage, broker=broker, url=self.url, lifespan=lifespan)
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="critical")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> PydanticAgent:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(5)
