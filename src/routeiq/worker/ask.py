"""Asks the control plane something over its Unix socket."""

from __future__ import annotations

import asyncio

from routeiq.core.exchange import Header
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin


class _Question(Call):
    """One question in flight."""

    __slots__ = ("_body", "_future", "_status")

    def __init__(self, payload: tuple[bytes, ...], future: asyncio.Future[tuple[int, bytes]]) -> None:
        super().__init__(payload)
        self._future = future
        self._status = 0
        self._body = b""

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._body += data

    def on_done(self) -> None:
        if not self._future.done():
            self._future.set_result((self._status, self._body))

    def on_failure(self, failure: UpstreamBroken) -> None:
        if not self._future.done():
            self._future.set_exception(OSError(str(failure)))


async def ask(control: Origin, path: str, seconds: float) -> tuple[int, bytes]:
    """Status and body of `GET path`. Raises `OSError` when no answer comes within `seconds`."""
    future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    question = _Question((f"GET {path} HTTP/1.1\r\nHost: routeiq\r\n\r\n".encode(),), future)
    control.send(question)
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError:
        raise OSError("the control plane did not answer in time") from None
    finally:
        if not future.done() or future.cancelled():
            question.cancel()
