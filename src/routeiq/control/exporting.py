"""Writes the ledger's finished days to files, where `routeiq.export` says so."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.ledger.export import DAY_SECONDS, DayFile, ExportFailed, Place, export

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from routeiq.control.plane import Plane
    from routeiq.core.snapshot import Export

log = logging.getLogger("routeiq.control")

HOUR = 3600.0
LOOK_SECONDS = 15.0
BACK_DAYS = 31
"""Days that are made up for when nothing could be written for a while."""


class Exporter:
    """Writes days, one run at a time, and remembers what came of the last one. `run` may be called in any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running = threading.Lock()
        self.files: tuple[DayFile, ...] = ()
        """The days the last run looked at, those with `skipped` were there already."""
        self.at: float | None = None
        """When it ended, Unix seconds."""
        self.trouble: str | None = None
        """Why it did not come to its end."""

    def run(self, settings: Export) -> None:
        """Write the days that are over and not there yet."""
        with self._running:
            files: list[DayFile] = []
            try:
                today = int(time.time() // DAY_SECONDS)
                place = Place(settings.output)
                first = today - BACK_DAYS
                for file in export(self._engine, place, settings.format, first_day=first, last_day=today - 1):
                    files.append(file)
                    if not file.skipped:
                        log.info("%s: %d requests were exported to %s", file.day, file.requests, file.name)
                self.trouble = None
            except (ExportFailed, SQLAlchemyError) as error:
                self.trouble = str(error).partition("\n")[0]
                log.error("the ledger could not be exported: %s", self.trouble)
            except Exception as error:
                self.trouble = type(error).__name__
                log.exception("the ledger could not be exported")
            self.files, self.at = tuple(files), time.time()


async def write_days(plane: Plane, exporter: Exporter) -> None:
    """Once an hour, for as long as the process lives; a change of the setting counts at once."""
    settings: Export | None = None
    done = 0.0
    while True:
        now = plane.snapshot.ledger.export if plane.snapshot is not None else None
        if now is not None and (now != settings or time.monotonic() >= done + HOUR):
            await run_in_threadpool(exporter.run, now)
            done = time.monotonic()
        settings = now
        await asyncio.sleep(LOOK_SECONDS if plane.snapshot is not None else 0.5)
