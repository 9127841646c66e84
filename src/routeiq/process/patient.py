"""Asks the control plane what a client waits for, and bears with one that is starting, or started again."""

from __future__ import annotations

import asyncio

import msgspec

from routeiq.core.errors import BadRequest, ErrorBody, Overloaded
from routeiq.process.ask import ask
from routeiq.transport.pool import Origin

ANSWER_SECONDS = 3.0
"""A client waits: for its conversation, or for the last part of an answer that is being kept."""
HURRIED_SECONDS = 0.3
"""The same, once that was in vain."""
AGAIN_SECONDS = 0.1
"""Between two questions to a control plane that is starting, or started again."""

_decode_error = msgspec.json.Decoder(ErrorBody).decode


class Patient:
    """Questions that do the same when they are asked twice."""

    def __init__(self, control: Origin, kept: str) -> None:
        """`kept` is what the control plane keeps, for who is told that it can't be asked."""
        self._control = control
        self._kept = kept
        self._patient = True
        """Whether to wait for a control plane that is not there: once in vain is enough, until it is back."""

    async def ask(self, method: str, path: str, body: bytes = b"", missing: int = 404) -> bytes | None:
        """The answer's body; `None` where its status is `missing`. Raises `Overloaded`, and what it is refused with."""
        seconds = ANSWER_SECONDS if self._patient else HURRIED_SECONDS
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        status, answer = await ask(self._control, path, seconds, method, body)
                        break
                    except OSError:
                        if not self._patient:
                            raise
                        await asyncio.sleep(AGAIN_SECONDS)
        except OSError:  # which a TimeoutError is
            self._patient = False
            raise self._unavailable() from None
        self._patient = True
        if status == missing:
            return None
        if status >= 500:
            raise self._unavailable()
        if status >= 400:
            raise _refused(status, answer)
        return answer

    def _unavailable(self) -> Overloaded:
        return Overloaded(
            f"The control plane, which keeps {self._kept}, is not available right now.",
            code="control_unavailable",
            retry_after=1.0,
        )


def _refused(status: int, answer: bytes) -> BadRequest:
    try:
        told = _decode_error(answer).error
    except msgspec.DecodeError:
        return BadRequest(f"The control plane answered {status}.", status=status)
    return BadRequest(told.message, status=status, code=told.code, param=told.param)
