"""Asks the control plane about responses that are kept."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from routeiq.core import responses
from routeiq.core.responses import Conversation, KeptResponse
from routeiq.process.patient import Patient
from routeiq.transport.pool import Origin

_decode_idents = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


class ControlResponses:
    """`pipeline.services.ResponseStore` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = Patient(control, "responses")

    async def conversation(self, owner: str, ident: str) -> Conversation | None:
        """All up to a response. Raises `Overloaded`, and `BadRequest` for what is too long."""
        body = await self._control.ask("GET", _path(owner, ident, "/conversation"))
        return responses.decode_conversation(body) if body is not None else None

    async def find(self, owner: str, ident: str) -> KeptResponse | None:
        """One response. Raises `Overloaded`."""
        return _kept(await self._control.ask("GET", _path(owner, ident)))

    async def put(self, kept: KeptResponse) -> bool:
        """Keep one; False for what was in the background and has ended before. Raises `Overloaded`."""
        path = "/internal/responses"
        return await self._control.ask("PUT", path, responses.encode(kept), missing=409) is not None

    async def remove(self, owner: str, ident: str) -> bool:
        """Forget one. Raises `Overloaded`."""
        return await self._control.ask("DELETE", _path(owner, ident)) is not None

    async def cancel(self, owner: str, ident: str) -> KeptResponse | None:
        """End one that is under way. Raises `Overloaded`."""
        return _kept(await self._control.ask("POST", _path(owner, ident, "/cancel")))

    async def alive(self, running: list[tuple[str, str]]) -> list[str]:
        """Tell what is being worked at. Raises `Overloaded`."""
        return _decode_idents(await self._control.ask("POST", "/internal/responses/alive", _encode(running)) or b"[]")


def _path(owner: str, ident: str, rest: str = "") -> str:
    return f"/internal/responses/{quote(ident[:500], safe='')}{rest}?owner={owner}"


def _kept(body: bytes | None) -> KeptResponse | None:
    return responses.decode(body) if body is not None else None
