"""Calls by LiteLLM's SDK in the program itself, where there is no process of its own for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from routeiq.core.snapshot import Deployment, Timeouts
from routeiq.longtail.calls import Caller
from routeiq.longtail.sdk import Sdk
from routeiq.pipeline.services import LibraryClient
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.task import TaskCarrier


class Libraries:
    """`pipeline.services.LibraryClient` over LiteLLM's SDK for the deployments that need it, and another for all else.

    To be used in one event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, other: LibraryClient) -> None:
        self._loop = loop
        self._other = other
        self._sdk = Sdk(own_process=False)

    def prepare(self, deployments: Iterable[Deployment]) -> None:
        """As the other; LiteLLM is imported by the first call that needs it."""
        self._other.prepare(deployment for deployment in deployments if deployment.via != "longtail")

    def send(self, call: Call, deployment: Deployment, head: bytes) -> None:
        """Send `call.payload` under a rendered head; the outcome comes through the call."""
        if deployment.via != "longtail":
            self._other.send(call, deployment, head)
            return
        operation = head.split(b" ", 2)[1].decode("ascii").removeprefix("/")
        carrier = _InProcess(call)
        caller = Caller(self._sdk, deployment, Timeouts().total)
        carrier.start(self._loop, carrier.carry(call, caller, operation))


class _InProcess(TaskCarrier):
    """The carrier of one call."""

    def broken(self, error: BaseException) -> UpstreamBroken:
        return UpstreamBroken("protocol", f"LiteLLM's SDK failed: {type(error).__name__}")

    async def carry(self, call: Call, caller: Caller, operation: str) -> None:
        """Run it from request to last event."""
        answer = await caller.answer(operation, b"".join(call.payload))
        call.on_head(answer.status, answer.headers)
        if answer.events is None:
            call.on_data(answer.body)
            return
        async for event in answer.events:
            await self.gate.wait()
            call.on_data(event)
