"""Follows the supervisor's feed: takes Snapshots until it is told to drain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from routeiq.core.messages import Drain, Frames, Publish, Ready, Refused, frame


async def follow(feed: int, adopt: Callable[[bytes], Ready | Refused], serving: asyncio.Task[None]) -> float:
    """Answer each Snapshot with what `adopt` says of it, until told to drain or until `serving` has ended.

    Returns for how many seconds to drain, 0 when the supervisor is gone.
    """
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=feed))
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
                writer.write(frame(adopt(message.snapshot)))
            elif isinstance(message, Drain):
                return message.seconds
    return 0.0
