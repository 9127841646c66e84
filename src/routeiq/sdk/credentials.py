"""Credentials of deployments that have to be signed for, fetched in a thread and renewed as they are used."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from routeiq.core.errors import UpstreamError
from routeiq.core.signing import Signing
from routeiq.providers.signing import Signed, Signer, sources
from routeiq.providers.signing.grant import Grant, SourceError, make_signer, renewal, static_grant

log = logging.getLogger("routeiq.sdk")

RECHECK_SECONDS = 900.0
"""How often credentials without an end are read anew."""
RETRY_SECONDS = 10.0
"""From a renewal that failed to the next."""


class _Held:
    """A signer in use. Times are Unix seconds."""

    __slots__ = ("due", "ends", "signer")

    def __init__(self, signer: Signer, expires: float | None, now: float) -> None:
        self.signer = signer
        self.ends = float("inf") if expires is None else expires
        self.due = now + RECHECK_SECONDS if expires is None else renewal(now, expires)


class DirectCredentials:
    """`providers.signing.CredentialSource` without a control plane. To be used in one event loop."""

    def __init__(
        self, fetch: Callable[[Signing], Grant] = sources.fetch, clock: Callable[[], float] = time.time
    ) -> None:
        """`fetch` may block: it runs in a thread. `clock` gives Unix seconds."""
        self._fetch = fetch
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._under_way: dict[str, asyncio.Task[Signer]] = {}

    def signer(self, whose: Signed) -> Signer | None:
        """The signer of who has `signing`, or `None` when `fetch` has to be awaited."""
        signing = whose.signing
        assert signing is not None
        held = self._held.get(signing.id)
        now = self._clock()
        if held is None:
            grant = static_grant(signing)
            if grant is None:
                return None
            held = self._held[signing.id] = _Held(make_signer(signing, grant, self._clock), None, now)
            held.due = float("inf")
        if now >= held.ends:
            return None
        if now >= held.due:
            held.due = now + RETRY_SECONDS
            self._begin(signing).add_done_callback(_renewed)
        return held.signer

    async def fetch(self, whose: Signed) -> Signer:
        """The same, waiting for the source. Raises `UpstreamError` (503, `credentials_unavailable`) with the reason."""
        signer = self.signer(whose)
        if signer is not None:
            return signer
        signing = whose.signing
        assert signing is not None
        try:
            return await asyncio.shield(self._begin(signing))
        except SourceError as error:
            message = f"The provider's credentials are not available: {error}."
            refusal = UpstreamError(message, status=503, code="credentials_unavailable")
            refusal.elsewhere = True  # another deployment may have other credentials
            raise refusal from None

    def _begin(self, signing: Signing) -> asyncio.Task[Signer]:
        task = self._under_way.get(signing.id)
        if task is None:
            task = self._under_way[signing.id] = asyncio.get_running_loop().create_task(self._renew(signing))
        return task

    async def _renew(self, signing: Signing) -> Signer:
        try:
            grant = await asyncio.to_thread(self._fetch, signing)
            signer = make_signer(signing, grant, self._clock)
        finally:
            self._under_way.pop(signing.id, None)
        self._held[signing.id] = _Held(signer, grant.expires, self._clock())
        return signer


def _renewed(task: asyncio.Task[Signer]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.warning("credentials could not be renewed: %s", error)
