"""Tells the rest of the gateway that the database has changed."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from routeiq.core.messages import Invalidate, Message, Rebuild, Rebuilt

log = logging.getLogger("routeiq.control")

SPENT = "spent:"
"""Before a subject in what gateways tell each other: what it has spent was set by hand."""
MOST_NAMES = 10_000
"""Keys and subjects named in one message; more are told as "everything"."""


class Changes:
    """The control plane's way to the other processes. Every method may be called from any thread."""

    def __init__(
        self,
        send: Callable[[Message], bool],
        tell: Callable[[tuple[str, ...], tuple[str, ...]], None] = lambda _keys, _subjects: None,
    ) -> None:
        """`send` gives a message to the supervisor, and False where there is none to give it to. `tell` tells the other
        gateways on the same database which keys and subjects have changed.
        """
        self._send = send
        self._tell = tell
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Rebuilt]] = {}

    def publish(self, keys: Iterable[str] = (), subjects: Iterable[str] = ()) -> None:
        """Have every worker forget these keys (hex SHA-256) and those that count for these subjects (`Subject.name`).

        To be called after the transaction has committed.
        """
        digests, names = tuple(keys), tuple(subjects)
        if len(digests) + len(names) > MOST_NAMES:
            self.everything()
        elif digests or names:
            self._send(Invalidate(digests, names))
            self._say(digests, names)

    def everything(self) -> None:
        """Have every worker forget all keys of the database."""
        self._send(Invalidate())
        self._say((), ())

    def counted_anew(self, names: Iterable[str] = ()) -> None:
        """Have other gateways count these subjects (`<kind>:<id>`), or all, from what the ledger says now."""
        self._say((), tuple(SPENT + name for name in names) or (SPENT,))

    def heard(self, keys: tuple[str, ...], subjects: tuple[str, ...]) -> None:
        """Another gateway has changed these, or everything where both are empty."""
        self._send(Invalidate(keys, subjects))

    def _say(self, keys: tuple[str, ...], subjects: tuple[str, ...]) -> None:
        try:
            self._tell(keys, subjects)
        except Exception as error:
            # The change is made; who was not told asks again within a minute.
            log.warning("other gateways could not be told of a change: %s", type(error).__name__)

    @property
    def rebuilding(self) -> bool:
        """Whether an answer to `rebuild` is awaited."""
        with self._lock:
            return bool(self._waiting)

    def rebuild(self) -> Future[Rebuilt]:
        """Ask for the Snapshot to be built again, after the transaction has committed.

        The future ends when every process serves by the new one, or when the build was refused.
        """
        future: Future[Rebuilt] = Future()
        with self._lock:
            id = next(self._numbers)
            self._waiting[id] = future
        if not self._send(Rebuild(id)):
            self.received(Rebuilt(id, ok=False, revision=""))
        return future

    def received(self, message: Message) -> None:
        """What the supervisor says."""
        if isinstance(message, Rebuilt):
            with self._lock:
                future = self._waiting.pop(message.id, None)
            if future is not None:
                future.set_result(message)
