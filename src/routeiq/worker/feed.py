"""The worker's end of the supervisor's feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from routeiq.core.messages import Frames, Message, frame


class Feed(asyncio.Protocol):
    """Hands every message to `received`; `closed` is called when the supervisor is gone."""

    def __init__(self, received: Callable[[Message], None], closed: Callable[[], None]) -> None:
        self._received = received
        self._closed = closed
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._received(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._closed()

    def send(self, message: Message) -> None:
        """Tell the supervisor."""
        if self._transport is not None:
            self._transport.write(frame(message))
