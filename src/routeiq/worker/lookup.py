"""Asks the control plane about a key this worker does not know."""

from __future__ import annotations

import msgspec

from routeiq.core.keys import Key
from routeiq.transport.pool import Origin
from routeiq.worker.ask import ask

ANSWER_SECONDS = 5.0

_decode = msgspec.json.Decoder(Key).decode


class KeyLookup:
    """`governance.keys.Lookup` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = control

    async def __call__(self, digest: str) -> Key | None:
        """The key with this hex SHA-256. Raises `OSError` when the control plane can't tell."""
        status, body = await ask(self._control, f"/internal/keys/{digest}", ANSWER_SECONDS)
        if status == 404:
            return None
        if status != 200:
            raise OSError(f"the control plane answered {status}")
        try:
            return _decode(body)
        except msgspec.DecodeError as error:
            raise OSError(f"the control plane's answer can't be read: {error}") from error
