"""The supervisor's admin socket: JSON lines, one answer a line, for whoever may open the state directory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from routeiq.core.settings import ERROR, Finding
from routeiq.supervisor.answers import Command, Reload

MAX_LINE = 64 * 1024

Handler = Callable[[], Awaitable[msgspec.Struct]]

log = logging.getLogger("routeiq.supervisor")
_decode = msgspec.json.Decoder(Command).decode
_encode = msgspec.json.Encoder().encode


async def serve_admin(path: Path, handlers: Mapping[str, Handler]) -> asyncio.Server:
    """Answer commands on a Unix socket at `path`, where nothing may be yet."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(_encode(await _answer(line, handlers)) + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:  # gone, or a line over the limit
            log.debug("an admin connection ended: %s", error)
        finally:
            writer.close()

    return await asyncio.start_unix_server(talk, path, limit=MAX_LINE)


async def _answer(line: bytes, handlers: Mapping[str, Handler]) -> msgspec.Struct:
    try:
        name = _decode(line).command
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _refused(f"not a command: {error}")
    handler = handlers.get(name)
    return await handler() if handler else _refused(f"no such command; there are {', '.join(sorted(handlers))}")


def _refused(message: str) -> Reload:
    return Reload(ok=False, revision="", errors=(Finding(level=ERROR, message=message),))
