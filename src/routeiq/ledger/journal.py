"""The writing end of the Journal: one append-only segment after the other, one line an Event.

    w{column}-{unix ms}-{pid}-{sequence}.jsonl      locked (flock) by its writer for as long as it grows

Lines are written with `os.write` before the last bytes of their answers are sent, so what a client got in full is in
the page cache of the kernel and outlives `kill -9` of this process. (Losing power may lose what the kernel had
not yet put on disk.) The reader deletes a segment once it is in the ledger and its lock is free.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Protocol

from routeiq.core.snapshot import Journal as JournalLimits
from routeiq.ledger.event import Event, encode_line


class JournalFull(OSError):
    """The Event could not be written: the bound is reached or the disk takes no more."""


class EventSink(Protocol):
    """Where a request that settles leaves its Event. What each does is told at `JournalWriter`."""

    limits: JournalLimits
    full: bool

    def append(self, event: Event) -> None:
        """Take one Event."""

    def append_line(self, line: bytes) -> None:
        """Take one that is a line already."""

    def flush(self) -> int:
        """Write what was taken."""

    def check(self) -> None:
        """See whether there is room."""

    def close(self) -> None:
        """Let go."""


class JournalWriter:
    """Appends Events. Not thread-safe: one a process."""

    def __init__(self, directory: Path, column: int, limits: JournalLimits) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.limits = limits
        self.full = False
        """True while the journal's bound is reached; `check` looks again."""
        self._directory = directory
        self._column = column
        self._sequence = 0
        self._fd = -1
        self._size = 0
        self._lines: list[bytes] = []
        self._open()

    def append(self, event: Event) -> None:
        """Take one Event; it is written by the next `flush`.

        Raises `JournalFull` at the bound where Events are dropped there. Where requests are refused instead, what was
        begun before is still written: no more than was in flight.
        """
        self.append_line(encode_line(event))

    def append_line(self, line: bytes) -> None:
        """The same for an Event that is already a line (`LineTemplate`), without its newline."""
        if self.full and self.limits.on_full == "drop":
            raise JournalFull("the journal is at its bound")
        self._lines.append(line)

    def flush(self) -> int:
        """Write what was taken, with one call. Returns how many Events were lost because the disk took no more."""
        lines = self._lines
        if not lines:
            return 0
        self._lines = []
        lines.append(b"")
        data = b"\n".join(lines)
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                self._finish(data[written:])
        except OSError:
            # The segment must end with a whole line, and with no Event that is reported as lost.
            self._restore()
            self.full = True
            return len(lines) - 1
        self._size += len(data)
        if self._size >= self.limits.segment_bytes:
            self._rotate()
        return 0

    def check(self) -> None:
        """Measure the journal against its bound; call about once a second."""
        total = 0
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name.endswith(".jsonl"):
                        try:
                            total += entry.stat().st_size
                        except FileNotFoundError:
                            continue
        except OSError:
            return  # no descriptor left, for instance: what was known last has to do
        self.full = total >= self.limits.max_bytes

    def close(self) -> None:
        """Write what is left and let go of the segment; the reader may finish it."""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        name = f"w{self._column}-{time.time_ns() // 1_000_000}-{os.getpid()}-{self._sequence}.jsonl"
        self._sequence += 1
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        # Locked under a name the reader does not look at, so that it never sees a new segment without its writer.
        hidden = self._directory / (name + ".new")
        fd = os.open(hidden, flags, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.rename(hidden, self._directory / name)
        self._fd = fd
        self._size = 0

    def _rotate(self) -> None:
        previous = self._fd
        try:
            self._open()
        except OSError:
            return  # no room for another file: go on in this one
        os.close(previous)

    def _finish(self, rest: bytes) -> None:
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _restore(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            return
