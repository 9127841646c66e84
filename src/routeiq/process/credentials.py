"""What this process knows of credentials: asked for once, renewed behind the back of requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from routeiq.core.errors import ErrorBody, ErrorObject, UpstreamError
from routeiq.core.signing import Signing
from routeiq.process.ask import ask
from routeiq.providers.signing import Signed, Signer
from routeiq.providers.signing.grant import Grant, SourceError, make_signer, renewal, static_grant
from routeiq.transport.pool import Origin

log = logging.getLogger("routeiq.process.credentials")

ANSWER_SECONDS = 30.0
"""For the first credentials the control plane may have to ask far away."""
RECHECK_SECONDS = 900.0
"""How often credentials without an end are asked for again."""
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
"""For a control plane that is starting, or started again."""
LEEWAY_SECONDS = 5.0
"""Credentials that end within so many seconds, or a tenth of their life, are not put on a request any more."""

_decode = msgspec.json.Decoder(Grant).decode
_decode_error = msgspec.json.Decoder(ErrorBody).decode


class _Held:
    """A signer in use. Times are Unix seconds."""

    __slots__ = ("ends", "signer", "used")

    def __init__(self, signer: Signer, expires: float | None, now: float) -> None:
        self.signer = signer
        self.ends = float("inf") if expires is None else expires - min(LEEWAY_SECONDS, (expires - now) / 10)
        self.used = True
        """Since the last renewal: what nobody uses is let go."""


class Credentials:
    """`providers.signing.CredentialSource` of one process, over the control plane's Unix socket."""

    def __init__(
        self, control: Origin, clock: Callable[[], float] = time.time, patience: float = PATIENCE_SECONDS
    ) -> None:
        """`clock` gives Unix seconds; `patience` is how many seconds to wait for the control plane to be there."""
        self._control = control
        self._patience = patience
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._under_way: dict[str, asyncio.Task[Signer]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def signer(self, whose: Signed) -> Signer | None:
        """The signer of who has `signing`, or `None` when `fetch` has to be awaited."""
        signing = whose.signing
        assert signing is not None
        held = self._held.get(signing.id)
        if held is None:
            grant = static_grant(signing)
            if grant is None:
                return None
            held = self._held[signing.id] = _Held(make_signer(signing, grant, self._clock), None, 0.0)
        elif self._clock() >= held.ends:
            return None
        held.used = True
        return held.signer

    async def fetch(self, whose: Signed) -> Signer:
        """The signer, from the control plane when it is not known here.

        Requests that wait for the same credentials share one question. Raises `UpstreamError` (503,
        `credentials_unavailable`) with the reason.
        """
        signing = whose.signing
        assert signing is not None
        signer = self.signer(whose)
        if signer is not None:
            return signer
        task = self._under_way.get(signing.id)
        if task is None:
            task = self._under_way[signing.id] = asyncio.get_running_loop().create_task(self._ask(signing))
            task.add_done_callback(_retrieved)
        try:
            return await asyncio.shield(task)
        except UpstreamError as error:
            raise _unavailable(error.message) from None  # one of its own for every request

    def close(self) -> None:
        """Renew nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _ask(self, signing: Signing) -> Signer:
        """Ask the control plane, keep the answer and set the time to ask again."""
        try:
            status, body = await self._answer(f"/internal/credentials/{signing.id}")
            if status != 200:
                raise _unavailable(_reason(status, body))
            grant = _decode(body)
            signer = make_signer(signing, grant, self._clock)
        except (OSError, msgspec.DecodeError) as error:
            reason = "can't be read" if isinstance(error, msgspec.DecodeError) else str(error)
            raise _unavailable(f"The provider's credentials are not available: the control plane: {reason}.") from None
        except SourceError as error:
            raise _unavailable(f"The provider's credentials are not available: {error}.") from None
        finally:
            self._under_way.pop(signing.id, None)
        self._held[signing.id] = _Held(signer, grant.expires, self._clock())
        self._schedule(signing, grant.expires)
        return signer

    async def _answer(self, path: str) -> tuple[int, bytes]:
        """Status and body. While the control plane has no socket, or not yet this Snapshot, it is asked again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            late = loop.time() >= end
            try:
                status, body = await ask(self._control, path, ANSWER_SECONDS)
                behind = status == 404 or (status == 503 and _error(body).code == "starting")
                if late or not behind:
                    return status, body
            except OSError:
                if late:
                    raise
            await asyncio.sleep(0.05)

    def _schedule(self, signing: Signing, expires: float | None) -> None:
        """Ask again half-way between the time when the control plane renews and the end."""
        now = self._clock()
        wait = RECHECK_SECONDS if expires is None else (renewal(now, expires) + expires) / 2 - now
        self._at(signing, max(wait, RETRY_SECONDS))

    def _at(self, signing: Signing, wait: float) -> None:
        timer = self._timers.pop(signing.id, None)
        if timer is not None:
            timer.cancel()
        self._timers[signing.id] = asyncio.get_running_loop().call_later(wait, self._due, signing)

    def _due(self, signing: Signing) -> None:
        """Time to renew, unless nobody has used it lately."""
        self._timers.pop(signing.id, None)
        held = self._held.get(signing.id)
        if held is None or not held.used:
            self._held.pop(signing.id, None)
            return
        if signing.id not in self._under_way:
            task = self._under_way[signing.id] = asyncio.get_running_loop().create_task(self._ask(signing))
            task.add_done_callback(lambda task: self._renewed(signing, task))

    def _renewed(self, signing: Signing, task: asyncio.Task[Signer]) -> None:
        """A renewal ended: when it failed, the old signer stays until it ends, and another try follows."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            held = self._held.get(signing.id)
            if held is not None:
                held.used = False
            return
        held = self._held.get(signing.id)
        if held is None or self._clock() >= held.ends:
            self._held.pop(signing.id, None)  # the next request asks, and is told why
            return
        log.warning("credentials could not be renewed: %s", error, extra={"credentials": signing.id})
        left = held.ends - self._clock()
        self._at(signing, min(max(left / 10, RETRY_SECONDS), 60.0))


def _retrieved(task: asyncio.Task[Signer]) -> None:
    """Who waited may be gone: its error is not one nobody looked at."""
    if not task.cancelled():
        task.exception()


def _reason(status: int, body: bytes) -> str:
    """What the control plane says about it."""
    message = _error(body).message
    return message or f"The provider's credentials are not available: the control plane answered {status}."


def _error(body: bytes) -> ErrorObject:
    """The error in an answer; an empty one when there is none."""
    try:
        return _decode_error(body).error
    except msgspec.DecodeError:
        return ErrorObject(message="", type="", param=None, code=None)


def _unavailable(message: str) -> UpstreamError:
    error = UpstreamError(message, status=503, code="credentials_unavailable")
    error.elsewhere = True  # another deployment may have other credentials
    return error
