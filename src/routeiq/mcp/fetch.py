"""One HTTP exchange with a bound, for what is not MCP."""

from __future__ import annotations

import asyncio

from routeiq.core.exchange import Header
from routeiq.mcp.wire import Unavailable
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin


async def fetch(
    origin: Origin, payload: tuple[bytes, ...], *, seconds: float, limit: int, who: str
) -> tuple[int, str, bytes]:
    """Status, `Content-Type` and body. `who` is named in what is raised: `Unavailable`."""
    answer: asyncio.Future[tuple[int, str, bytes]] = asyncio.get_running_loop().create_future()
    call = _Document(payload, answer, limit, who)
    call.size = sum(map(len, payload))
    origin.send(call)
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise Unavailable(f"{who} did not answer in time.") from None
    finally:
        if not answer.done() or answer.cancelled():
            call.cancel()


class _Document(Call):
    __slots__ = ("_answer", "_chunks", "_kind", "_limit", "_size", "_status", "_who")

    def __init__(
        self, payload: tuple[bytes, ...], answer: asyncio.Future[tuple[int, str, bytes]], limit: int, who: str
    ) -> None:
        super().__init__(payload)
        self._answer = answer
        self._limit = limit
        self._who = who
        self._chunks: list[bytes] = []
        self._size = 0
        self._status = 0
        self._kind = ""

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status
        self._kind = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")

    def on_data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._fail(f"its answer is longer than {self._limit} bytes")
            self.cancel()
        else:
            self._chunks.append(data)

    def on_done(self) -> None:
        if not self._answer.done():
            self._answer.set_result((self._status, self._kind, b"".join(self._chunks)))

    def on_failure(self, failure: UpstreamBroken) -> None:
        self._fail(str(failure))

    def _fail(self, why: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(Unavailable(f"{self._who} can't be asked: {why}"))
