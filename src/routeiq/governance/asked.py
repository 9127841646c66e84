"""What a worker asks the control plane about, and remembers.

What was found is asked for again after a minute, and served meanwhile; where nobody can be asked it is served for
hours. What was not found is remembered for ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from routeiq.core.errors import Overloaded

FRESH_SECONDS = 60.0
"""How long an answer is good without asking again."""
STALE_SECONDS = 6 * 3600.0
"""How long it is served where nobody can be asked."""
RETRY_SECONDS = 5.0
"""How soon it is asked again then."""
NEGATIVE_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""How often it is looked whether an answer is fresh: a slot is not given away for longer than that."""
CACHED = 10_000

K = TypeVar("K")
V = TypeVar("V")


class _Known(Generic[V]):
    """What was found. Times are monotonic seconds."""

    __slots__ = ("due", "looked", "until", "value")

    def __init__(self, value: V | None, due: float, until: float) -> None:
        self.value = value
        self.due = due
        """When it is asked again, while this answer still serves."""
        self.until = until
        self.looked = 0.0
        """When it was seen to be fresh last."""


class Asked(Generic[K, V]):
    """Answers by what was asked, at most `CACHED` of them. To be used in one event loop."""

    def __init__(
        self,
        ask: Callable[[K], Awaitable[V | None]],
        fresh: Callable[[V], bool],
        unknown: str,
        *,
        seconds: float = FRESH_SECONDS,
    ) -> None:
        """`ask` raises `OSError` where nobody can be asked: clients are told that this is `unknown`. `fresh` says
        whether an answer may still be used; after `seconds` it is asked for again meanwhile.
        """
        self._ask = ask
        self._fresh = fresh
        self._unknown = unknown
        self._seconds = seconds
        self._known: dict[K, _Known[V]] = {}
        self._asking: dict[K, asyncio.Future[V | None]] = {}

    def get(self, key: K, now: float) -> tuple[bool, bool, V | None]:
        """(known, whether to ask again meanwhile, the answer)."""
        known = self._known.get(key)
        if known is None or known.until <= now:
            return False, False, None
        if now >= known.looked + LOOK_SECONDS and known.value is not None:
            if not self._fresh(known.value):
                return False, False, None
            known.looked = now
        return True, known.due <= now, known.value

    async def ask(self, key: K, now: float) -> V | None:
        """Ask, once for all who wait for the same, and remember the answer.

        Raises `Overloaded` when nobody can be asked: fail closed.
        """
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._answer(key, now))
        return await asyncio.shield(asking)

    async def refresh(self, key: K, now: float) -> None:
        """Ask again; where nobody can be asked, what is known goes on to serve."""
        known = self._known.get(key)
        if known is not None:
            known.due = now + RETRY_SECONDS
        try:
            await self.ask(key, now)
        except Overloaded:
            pass

    def forget(self, keys: Iterable[K]) -> None:
        """Know nothing about these, nor take an answer that is under way: it may be older than the change."""
        for key in keys:
            self._known.pop(key, None)
            self._asking.pop(key, None)

    def forget_where(self, told: Callable[[V], bool]) -> None:
        """Know nothing about those whose answer `told` is true of."""
        self._asking.clear()
        for key in [key for key, known in self._known.items() if known.value is not None and told(known.value)]:
            del self._known[key]

    def clear(self) -> None:
        """Know nothing."""
        self._known.clear()
        self._asking.clear()

    async def _answer(self, key: K, now: float) -> V | None:
        this = asyncio.current_task()
        try:
            value = await self._ask(key)
        except OSError as error:
            raise Overloaded(self._unknown, code="key_lookup_unavailable", retry_after=1.0) from error
        finally:
            # Forgotten meanwhile, the answer is good for those who asked, no longer.
            current = self._asking.get(key) is this
            if current:
                del self._asking[key]
        if current:
            self._known.pop(key, None)
            while len(self._known) >= CACHED:
                self._known.pop(next(iter(self._known)))
            if value is not None:
                self._known[key] = _Known(value, now + self._seconds, now + STALE_SECONDS)
            else:
                self._known[key] = _Known(None, now + NEGATIVE_SECONDS, now + NEGATIVE_SECONDS)
        return value
