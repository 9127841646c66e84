"""Asks the control plane about responses that are kept."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import msgspec

from routeiq.core import responses
from routeiq.core.errors import BadRequest, ErrorBody, Overloaded
from routeiq.core.responses import Conversation, KeptResponse
from routeiq.process.ask import ask
from routeiq.transport.pool import Origin

ANSWER_SECONDS = 3.0
"""A client waits: for its conversation, or for the last part of an answer that is being kept."""
HURRIED_SECONDS = 0.3
"""The same, once that was in vain."""
AGAIN_SECONDS = 0.1
"""Between two questions to a control plane that is starting, or started again."""

_decode_error = msgspec.json.Decoder(ErrorBody).decode
_decode_idents = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


class ControlResponses:
    """`pipeline.services.ResponseStore` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = control
        self._patient = True
        """Whether to wait for a control plane that is not there: once in vain is enough, until it is back."""

    async def conversation(self, owner: str, ident: str) -> Conversation | None:
        """All up to a response. Raises `Overloaded`, and `BadRequest` for what is too long."""
        body = await self._ask("GET", _path(owner, ident, "/conversation"))
        return responses.decode_conversation(body) if body is not None else None

    async def find(self, owner: str, ident: str) -> KeptResponse | None:
        """One response. Raises `Overloaded`."""
        return _kept(await self._ask("GET", _path(owner, ident)))

    async def put(self, kept: KeptResponse) -> bool:
        """Keep one; False for what was in the background and has ended before. Raises `Overloaded`."""
        path = "/internal/responses"
        return await self._ask("PUT", path, responses.encode(kept), missing=409) is not None

    async def remove(self, owner: str, ident: str) -> bool:
        """Forget one. Raises `Overloaded`."""
        return await self._ask("DELETE", _path(owner, ident)) is not None

    async def cancel(self, owner: str, ident: str) -> KeptResponse | None:
        """End one that is under way. Raises `Overloaded`."""
        return _kept(await self._ask("POST", _path(owner, ident, "/cancel")))

    async def alive(self, running: list[tuple[str, str]]) -> list[str]:
        """Tell what is being worked at. Raises `Overloaded`."""
        return _decode_idents(await self._ask("POST", "/internal/responses/alive", _encode(running)) or b"[]")

    async def _ask(self, method: str, path: str, body: bytes = b"", missing: int = 404) -> bytes | None:
        """The answer's body; `None` where its status is `missing`. What is asked twice does the same twice."""
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
            raise _unavailable() from None
        self._patient = True
        if status == missing:
            return None
        if status >= 500:
            raise _unavailable()
        if status >= 400:
            raise _refused(status, answer)
        return answer


def _path(owner: str, ident: str, rest: str = "") -> str:
    return f"/internal/responses/{quote(ident[:500], safe='')}{rest}?owner={owner}"


def _kept(body: bytes | None) -> KeptResponse | None:
    return responses.decode(body) if body is not None else None


def _unavailable() -> Overloaded:
    return Overloaded(
        "The control plane, which keeps responses, is not available right now.",
        code="control_unavailable",
        retry_after=1.0,
    )


def _refused(status: int, answer: bytes) -> BadRequest:
    try:
        told = _decode_error(answer).error
    except msgspec.DecodeError:
        return BadRequest(f"The control plane answered {status}.", status=status)
    return BadRequest(told.message, status=status, code=told.code, param=told.param)
