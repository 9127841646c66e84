"""Asks the control plane about a key this worker does not know."""

from __future__ import annotations

import asyncio

import msgspec

from routeiq.core.exchange import Header
from routeiq.core.snapshot import Key
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.pool import Origin

ANSWER_SECONDS = 5.0

_decode = msgspec.json.Decoder(Key).decode


class _Question(Call):
    """One look-up in flight."""

    __slots__ = ("_body", "_future", "_status")

    def __init__(self, payload: tuple[bytes, ...], future: asyncio.Future[Key | None]) -> None:
        super().__init__(payload)
        self._future = future
        self._status = 0
        self._body = b""

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._body += data

    def on_done(self) -> None:
        if self._future.done():
            return
        if self._status == 404:
            self._future.set_result(None)
        elif self._status == 200:
            try:
                self._future.set_result(_decode(self._body))
            except msgspec.DecodeError as error:
                self._future.set_exception(OSError(f"the control plane's answer can't be read: {error}"))
        else:
            self._future.set_exception(OSError(f"the control plane answered {self._status}"))

    def on_failure(self, failure: UpstreamBroken) -> None:
        if not self._future.done():
            self._future.set_exception(OSError(str(failure)))


class KeyLookup:
    """`governance.keys.Lookup` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = control

    async def __call__(self, digest: str) -> Key | None:
        """The key with this hex SHA-256. Raises `OSError` when the control plane can't tell."""
        future: asyncio.Future[Key | None] = asyncio.get_running_loop().create_future()
        head = f"GET /internal/keys/{digest} HTTP/1.1\r\nHost: routeiq\r\n\r\n".encode()
        question = _Question((head,), future)
        self._control.send(question)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError:
            raise OSError("the control plane did not answer in time") from None
        finally:
            if not future.done() or future.cancelled():
                question.cancel()
