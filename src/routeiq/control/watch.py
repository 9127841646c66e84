"""Notices what other gateways on the same database have changed beside the files, and has it served here."""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from routeiq.control.changes import SPENT
from routeiq.control.plane import Plane
from routeiq.store.notices import NoticeRepository

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""How long until a build that changed nothing is tried again."""
log = logging.getLogger("routeiq.control")


async def listen_to_others(plane: Plane, notices: NoticeRepository) -> None:
    """Pass on to the workers what other gateways have changed, for as long as the process lives.

    What was changed before it began nobody has passed on: workers, which may be older, ask about every key again.
    """
    first = True
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if plane.database.trouble is not None:
            continue
        try:
            heard = await run_in_threadpool(notices.hear)
            for keys, subjects in [((), ())] if first else heard:
                anew = [name.removeprefix(SPENT) for name in subjects if name.startswith(SPENT)]
                if not anew:
                    plane.changes.heard(keys, subjects)
                elif plane.leases is not None:
                    await run_in_threadpool(plane.leases.renew, list(filter(None, anew)))
            first = False
        except SQLAlchemyError as error:
            log.debug("what others have changed could not be read: %s", type(error).__name__)


async def watch(plane: Plane) -> None:
    """Ask for a build when the database's revision is not the served one's, for as long as the process lives."""
    tried, when = -1, 0.0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        served = plane.snapshot
        if served is None or plane.database.trouble is not None or plane.changes.rebuilding:
            continue
        try:
            found = await run_in_threadpool(plane.shelf.repository.revision)
            first = not served.end_users and await run_in_threadpool(plane.shelf.repository.end_users)
        except SQLAlchemyError as error:
            log.debug("the database's revision could not be read: %s", type(error).__name__)
            continue
        if (found == served.stored and not first) or (found == tried and time.monotonic() - when < AGAIN_SECONDS):
            continue
        # A change of our own may have come in between.
        if plane.snapshot is served and not plane.changes.rebuilding:
            tried, when = found, time.monotonic()
            plane.changes.rebuild()
