"""Lets old rows of the ledger go, as https://docs.litellm.ai/docs/proxy/spend_logs_deletion has it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.control.plane import Plane
from routeiq.core.snapshot import Prompts
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
        # Prompts that were kept while that was on go too when it is off.
        if settings is not None:
            if done is None or time.monotonic() >= done + settings.interval:
                try:
                    prompts = settings.prompts or Prompts()
                    gone = await _all(retention.step_prompts, time.time() - prompts.retention)
                    if settings.retention is not None:
                        gone += await _all(retention.step, time.time() - settings.retention)
                        await _all(retention.step_runs, time.time() - settings.retention)
                    if gone:
                        await run_in_threadpool(retention.give_back)
                    done = time.monotonic()
                    if gone:
                        log.info("%d requests or prompts older than their retention period were let go", gone)
                except SQLAlchemyError as error:
                    log.warning("old requests could not be let go now: %s", str(error).partition("\n")[0])
            await asyncio.sleep(min(LOOK_SECONDS, settings.interval))
        else:
            await asyncio.sleep(1.0)


async def _all(step: Callable[[float], int], before: float) -> int:
    gone = 0
    while count := await run_in_threadpool(step, before):
        gone += count
        await asyncio.sleep(PAUSE_SECONDS)
    return gone
