"""Composition of the process with LiteLLM's SDK: the socket, the callers, the feed."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from routeiq.core import snapshot as snapshots
from routeiq.core.messages import Ready, Refused
from routeiq.longtail.calls import Caller
from routeiq.longtail.face import Face
from routeiq.longtail.sdk import Sdk, SdkMissing
from routeiq.observe import logs
from routeiq.process.feed import Feed
from routeiq.process.listener import listen
from routeiq.process.server import make_server

THREADS = 64
"""Calls at once to providers that LiteLLM has only blocking code for."""

log = logging.getLogger("routeiq.longtail")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What the supervisor starts the process with."""
    parser = argparse.ArgumentParser("routeiq-longtail")
    parser.add_argument("--feed", type=int, required=True, help="the socket to the supervisor")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until drained; the exit status."""
    args = arguments(argv)
    os.umask(0o077)
    logs.setup(os.environ.get("ROUTEIQ_LOG_LEVEL", "info"), json=os.environ.get("ROUTEIQ_JSON_LOGS") == "1")
    return asyncio.run(_serve(args))


async def _serve(args: argparse.Namespace) -> int:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "litellm"))
    sdk, face = Sdk(), Face()
    server = make_server(face)
    serving = asyncio.create_task(server.serve(sockets=[listen(args.socket)]))
    loading = asyncio.create_task(_load(sdk))
    seconds = await Feed(args.feed, lambda encoded: _adopt(sdk, face, encoded)).follow(serving)
    loading.cancel()
    server.drain(seconds)
    await serving
    # A blocking call of LiteLLM's can't be stopped: nobody waits for it.
    logging.shutdown()
    os._exit(0)


async def _load(sdk: Sdk) -> None:
    """Before the first request asks for it, which would have to wait."""
    try:
        await sdk.load()
    except SdkMissing as error:
        log.error("%s", error)


def _adopt(sdk: Sdk, face: Face, encoded: bytes) -> Ready | Refused:
    try:
        snapshot = snapshots.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused(str(error))
    callers = {}
    for deployment in snapshot.deployments:
        if deployment.longtail is not None:
            os.environ.update(deployment.longtail.environment)
            callers[deployment.id] = Caller(sdk, deployment, snapshot.timeouts.total)
    face.adopt(callers)
    return Ready(snapshot.revision)
