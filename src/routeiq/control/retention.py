"""Lets old rows of the ledger go, as https://docs.litellm.ai/docs/proxy/spend_logs_deletion has it."""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.control.plane import Plane
from routeiq.store.retention import Retention

log = logging.getLogger("routeiq.control")

LOOK_SECONDS = 15.0
"""How often the setting is looked at."""
PAUSE_SECONDS = 0.05
"""Between two batches: those who write to the ledger come first."""


async def let_go(plane: Plane, retention: Retention) -> None:
    """Do so at every interval, for as long as the process lives."""
    done: float | None = None
    while True:
        settings = plane.snapshot.ledger if plane.snapshot is not None else None
        if settings is not None and settings.retention is not None:
            if done is None or time.monotonic() >= done + settings.interval:
                try:
                    gone = await _all(retention, time.time() - settings.retention)
                    done = time.monotonic()
                    if gone:
                        log.info("%d requests older than the retention period were let go", gone)
                except SQLAlchemyError as error:
                    log.warning("old requests could not be let go now: %s", str(error).partition("\n")[0])
            await asyncio.sleep(min(LOOK_SECONDS, settings.interval))
        else:
            await asyncio.sleep(min(LOOK_SECONDS, 1.0 if settings is None else LOOK_SECONDS))


async def _all(retention: Retention, before: float) -> int:
    gone = 0
    while count := await run_in_threadpool(retention.step, before):
        gone += count
        await asyncio.sleep(PAUSE_SECONDS)
    if gone:
        await run_in_threadpool(retention.give_back)
    return gone
