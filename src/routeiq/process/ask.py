"""Asks the control plane something over its Unix socket."""

from __future__ import annotations

import asyncio

from routeiq.core.exchange import Header
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin


class Question(Call):
    """One question in flight: `answer` becomes its status and body, or an `OSError`."""

    __slots__ = ("_chunks", "_status", "answer")

    def __init__(self, payload: tuple[bytes, ...], answer: asyncio.Future[tuple[int, bytes]]) -> None:
        super().__init__(payload)
        self.answer = answer
        self._status = 0
        self._chunks: list[bytes] = []

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_done(self) -> None:
        if not self.answer.done():
            self.answer.set_result((self._status, b"".join(self._chunks)))

    def on_failure(self, failure: UpstreamBroken) -> None:
        if not self.answer.done():
            self.answer.set_exception(OSError(str(failure)))

    def close(self) -> None:
        """Stop asking, where there is no answer yet."""
        if not self.answer.done() or self.answer.cancelled():
            self.cancel()


async def ask(
    control: Origin, path: str, seconds: float, method: str = "GET", body: bytes = b"", *, host: str = "routeiq"
) -> tuple[int, bytes]:
    """Status and body of `METHOD path`. Raises `OSError` when no answer comes within `seconds`."""
    future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    if method != "GET":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    question = Question((f"{head}\r\n".encode(), body), future)
    question.size = len(body)
    control.send(question)
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError:
        raise OSError("the control plane did not answer in time") from None
    finally:
        question.close()
