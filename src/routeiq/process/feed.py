"""Follows the supervisor's feed: takes Snapshots until it is told to drain, and says what the process has to say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from routeiq.core.messages import Drain, Frames, Message, Publish, Ready, Refused, frame

Adopt = Callable[[bytes], Ready | Refused]


def _ignored(_: Message) -> None:
    """Nothing else concerns most processes."""


class Feed:
    """One process's end. `adopt` takes Snapshots, `received` every other message but `Drain`."""

    def __init__(self, fd: int, adopt: Adopt, received: Callable[[Message], None] = _ignored) -> None:
        self._fd = fd
        self._adopt = adopt
        self._received = received
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def follow(self, serving: asyncio.Task[Any]) -> float:
        """Answer each Snapshot with what `adopt` says of it, until told to drain or until `serving` has ended.

        Returns for how many seconds to drain, 0 when the supervisor is gone.
        """
        self._loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=self._fd))
        frames = Frames()
        while not serving.done():
            reading = asyncio.create_task(reader.read(65536))
            await asyncio.wait([reading, serving], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                break
            data = reading.result()
            if not data:
                break
            for message in frames.feed(data):
                if isinstance(message, Publish):
                    self._writer.write(frame(self._adopt(message.snapshot)))
                elif isinstance(message, Drain):
                    return message.seconds
                else:
                    self._received(message)
        return 0.0

    def send(self, message: Message) -> bool:
        """Tell the supervisor, from any thread. False before there is a connection."""
        if self._loop is None or self._writer is None:
            return False
        self._loop.call_soon_threadsafe(self._writer.write, frame(message))
        return True
