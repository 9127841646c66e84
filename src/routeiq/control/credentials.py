"""Keeps the credentials that deployments share: made when first asked for, renewed before they end.

worker ──► GET /internal/credentials/{id} ──► Keeper ──► thread ──► providers.signing.sources
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from routeiq.core.errors import Overloaded
from routeiq.core.signing import Signing
from routeiq.providers.signing import sources
from routeiq.providers.signing.grant import Grant, SourceError, renewal, static_grant

log = logging.getLogger("routeiq.control.credentials")

RECHECK_SECONDS = 900.0
"""How often credentials without an end are read anew: a profile's keys may be replaced in its file."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds from a failure to the next try, doubled each time."""


@dataclass(slots=True)
class _Entry:
    """What is known about one set of credentials. Times are Unix seconds."""

    signing: Signing
    grant: Grant | None = None
    due: float = 0.0
    """When it is to be renewed, or to be tried again."""
    failures: int = 0
    error: str = ""
    task: asyncio.Task[None] | None = None
    """The refresh under way."""

    def valid(self, now: float) -> Grant | None:
        grant = self.grant
        return grant if grant is not None and (grant.expires is None or grant.expires > now) else None


class Keeper:
    """All credentials of one control plane. To be used in one event loop."""

    def __init__(
        self, fetch: Callable[[Signing], Grant] = sources.fetch, clock: Callable[[], float] = time.time
    ) -> None:
        """`fetch` may block: it runs in a thread, once at a time for each id. `clock` gives Unix seconds."""
        self._fetch = fetch
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._changed = asyncio.Event()

    def follow(self, signings: Iterable[Signing]) -> None:
        """Keep these from now on, and no others. What is new is fetched when `run` next looks."""
        wanted = {signing.id: signing for signing in signings if static_grant(signing) is None}
        self._entries = {id: self._entries.get(id) or _Entry(signing) for id, signing in wanted.items()}
        self._changed.set()

    async def get(self, signing: Signing) -> Grant:
        """A grant that has not ended. Raises `Overloaded` with the reason when there is none."""
        static = static_grant(signing)
        if static is not None:
            return static
        entry = self._entries.setdefault(signing.id, _Entry(signing))
        grant = entry.valid(self._clock())
        if grant is None:
            if entry.task is not None or self._clock() >= entry.due:
                await asyncio.shield(self._refresh(entry))
            grant = entry.valid(self._clock())
        if grant is None:
            reason = entry.error or "they ended before they could be renewed"
            wait = max(entry.due - self._clock(), FIRST_WAIT)
            raise Overloaded(
                f"The provider's credentials are not available: {reason}.",
                code="credentials_unavailable",
                retry_after=wait,
            )
        return grant

    def status(self) -> list[dict[str, Any]]:
        """What is kept, without secrets: id, scheme, when it ends (Unix seconds), the last error."""
        return [
            {
                "id": id,
                "scheme": entry.signing.scheme,
                "expires": entry.grant.expires if entry.grant is not None else None,
                "error": entry.error or None,
            }
            for id, entry in self._entries.items()
        ]

    async def run(self) -> None:
        """Renew what is due, until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock()
            for entry in self._entries.values():
                if entry.due <= now:
                    self._refresh(entry)
            waits = [entry.due - now for entry in self._entries.values() if entry.task is None]
            try:
                async with asyncio.timeout(min([LONGEST_WAIT, *waits])):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _refresh(self, entry: _Entry) -> asyncio.Task[None]:
        """The refresh of an entry: the one under way, or a new one."""
        if entry.task is None:
            entry.task = asyncio.get_running_loop().create_task(self._renew(entry))
        return entry.task

    async def _renew(self, entry: _Entry) -> None:
        signing = entry.signing
        named = {"credentials": signing.id, "scheme": signing.scheme}
        try:
            grant = await _in_thread(self._fetch, signing)
        except Exception as error:
            # Only a SourceError's words are known to hold no secret.
            reason = str(error) if isinstance(error, SourceError) else type(error).__name__
            entry.due = self._clock() + min(FIRST_WAIT * 2.0 ** min(entry.failures, 10), LONGEST_WAIT)
            entry.failures += 1
            entry.error = reason
            log.warning("credentials could not be had: %s", reason, extra=named)
        else:
            if entry.failures:
                log.info("credentials are there again", extra=named)
            now = self._clock()
            entry.grant, entry.failures, entry.error = grant, 0, ""
            # Not at once, even for a grant that is about to end.
            due = now + RECHECK_SECONDS if grant.expires is None else renewal(now, grant.expires)
            entry.due = max(due, now + FIRST_WAIT)
        finally:
            entry.task = None
            self._changed.set()


async def _in_thread(fetch: Callable[[Signing], Grant], signing: Signing) -> Grant:
    """`fetch(signing)` in a thread of its own that a stop does not wait for, unlike those of an executor."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Grant] = loop.create_future()

    def settle(grant: Grant | None, error: Exception | None) -> None:
        if future.done():
            return
        if grant is not None:
            future.set_result(grant)
        else:
            future.set_exception(error or SourceError("nothing was given"))

    def work() -> None:
        grant, failure = None, None
        try:
            grant = fetch(signing)
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, grant, failure)

    threading.Thread(target=work, name="credentials", daemon=True).start()
    return await future
