"""Asks the control plane about who this process does not know."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import msgspec

from routeiq.core.keys import EndUser, Key, Subject
from routeiq.process.ask import ask
from routeiq.transport.pool import Origin

ANSWER_SECONDS = 5.0
T = TypeVar("T")

_key = msgspec.json.Decoder(Key)
_end_user = msgspec.json.Decoder(EndUser)
_subject = msgspec.json.Decoder(Subject)


class ControlDirectory:
    """`governance.directory.Directory` over the control plane's Unix socket."""

    def __init__(self, control: Origin) -> None:
        self._control = control

    async def key(self, digest: str) -> Key | None:
        """The key with this hex SHA-256. Raises `OSError` when the control plane can't tell."""
        return await self._ask(f"/internal/keys/{digest}", _key)

    async def principal(self, user_id: str, team_id: str) -> Key | None:
        """Somebody without a key. Raises `OSError` when the control plane can't tell."""
        query = f"user_id={quote(user_id, safe='')}&team_id={quote(team_id, safe='')}"
        return await self._ask(f"/internal/principals?{query}", _key)

    async def end_user(self, id: str) -> EndUser | None:
        """A limited end user. Raises `OSError` when the control plane can't tell."""
        return await self._ask(f"/internal/end_users?id={quote(id, safe='')}", _end_user)

    async def run(self, name: str) -> Subject | None:
        """A slot for a run. Raises `OSError` when the control plane can't tell."""
        return await self._ask(f"/internal/runs?name={quote(name, safe='')}", _subject)

    async def policy(self, name: str) -> Subject | None:
        """A slot for a group of a policy. Raises `OSError` when the control plane can't tell."""
        return await self._ask(f"/internal/policies?name={quote(name, safe='')}", _subject)

    async def _ask(self, path: str, decoder: msgspec.json.Decoder[T]) -> T | None:
        status, body = await ask(self._control, path, ANSWER_SECONDS)
        if status == 404:
            return None
        if status != 200:
            raise OSError(f"the control plane answered {status}")
        try:
            return decoder.decode(body)
        except msgspec.DecodeError as error:
            raise OSError(f"the control plane's answer can't be read: {error}") from error
