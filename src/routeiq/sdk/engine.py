"""Starts a data plane when it is first needed, again after a fork, and ends it with its owner or the program."""

from __future__ import annotations

import os
import threading
import weakref

from routeiq.sdk.loop import Loop


class Engine:
    """What a Router, or the functions of the module, run their calls on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Loop | None = None
        self._closed = False
        self._watching = False
        self._inherited: list[Loop] = []
        """Loops of parent processes: kept, because to let go of one would disturb what it shares with the parent."""

    def loop(self) -> Loop:
        """The running data plane. Raises `RuntimeError` once it is closed."""
        running = self._running
        if running is not None:
            return running
        with self._lock:
            if self._closed:
                raise RuntimeError("This Router is closed.")
            if self._running is None:
                self._watch_forks()
                self._running = Loop()
                weakref.finalize(self, self._running.stop)  # also when the program ends
            return self._running

    def close(self) -> None:
        """End every call and the thread."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _watch_forks(self) -> None:
        if self._watching:
            return
        self._watching = True
        reference = weakref.ref(self)

        def forked() -> None:
            engine = reference()
            if engine is not None:
                engine._forked()

        os.register_at_fork(after_in_child=forked)

    def _forked(self) -> None:
        """In the child there is no thread, and nobody holds the lock."""
        self._lock = threading.Lock()
        if self._running is not None:
            self._inherited.append(self._running)
            self._running = None
