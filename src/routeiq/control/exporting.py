"""Writes the ledger's finished days to files, where `routeiq.export` says so."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.ledger.export import DAY_SECONDS, ExportFailed, Place, export

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from routeiq.control.plane import Plane
    from routeiq.core.snapshot import Export

log = logging.getLogger("routeiq.control")

HOUR = 3600.0
LOOK_SECONDS = 15.0
BACK_DAYS = 31
"""Days that are made up for when nothing could be written for a while."""


async def write_days(plane: Plane, engine: Engine) -> None:
    """Once an hour, for as long as the process lives; a change of the setting counts at once."""
    settings: Export | None = None
    done = 0.0
    while True:
        now = plane.snapshot.ledger.export if plane.snapshot is not None else None
        if now is not None and (now != settings or time.monotonic() >= done + HOUR):
            try:
                await run_in_threadpool(_write, engine, now)
            except (ExportFailed, SQLAlchemyError) as error:
                log.error(
                    "the ledger could not be exported; trying again in an hour: %s", str(error).partition("\n")[0]
                )
            except Exception:
                log.exception("the ledger could not be exported; trying again in an hour")
            done = time.monotonic()
        settings = now
        await asyncio.sleep(LOOK_SECONDS if plane.snapshot is not None else 0.5)


def _write(engine: Engine, settings: Export) -> None:
    today = int(time.time() // DAY_SECONDS)
    place = Place(settings.output)
    for file in export(engine, place, settings.format, first_day=today - BACK_DAYS, last_day=today - 1):
        if not file.skipped:
            log.info("%s: %d requests were exported to %s", file.day, file.requests, file.name)
