"""Takes the Journal into the ledger, every Event exactly once.

Rows and the offset they reach are written in one transaction, so the death of this process at any point repeats
nothing and leaves nothing out. One ingester works at a time: it holds `journal/ingest.lock`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from routeiq.ledger.reader import Segment, segment_names
from routeiq.ledger.rows import UNREADABLE, Ledger, salvage

BATCH_BYTES = 512 * 1024
"""About 1,200 Events a transaction."""
IDLE_SECONDS = 0.25
RETRY_SECONDS = 1.0

Observer = Callable[[int, int, int], None]
"""Told after every pass: Events ingested, lines quarantined, bytes still to be read."""

_OFFSET = (
    "INSERT INTO journal_offsets (segment, offset) VALUES (?, ?)"
    " ON CONFLICT (segment) DO UPDATE SET offset = excluded.offset"
)

log = logging.getLogger("routeiq.ledger")


class Ingester:
    """`run` in a thread of its own, or `step` by hand. Not safe to call from two threads at a time."""

    def __init__(
        self,
        journal: Path,
        connect: Callable[[], sqlite3.Connection],
        *,
        observe: Observer = lambda *_: None,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self._journal = journal
        self._connect = connect
        self._observe = observe
        self._batch_bytes = batch_bytes
        self._lock = -1
        self._connection: sqlite3.Connection | None = None
        self._ledger: Ledger | None = None
        self._segments: dict[str, Segment] = {}
        self._offsets: dict[str, int] = {}
        self._counts = [0, 0]
        self._backlog = 0

    def run(self, stop: threading.Event) -> None:
        """Ingest until `stop`, surviving every error of disk and database: the Journal waits meanwhile."""
        failing = False
        while not stop.is_set():
            try:
                self.step()
                # A pause between passes makes large batches, which cost far less an Event than small ones.
                wait = 0.0 if self._backlog >= self._batch_bytes else IDLE_SECONDS
                if failing:
                    failing = False
                    log.info("the ledger takes events again")
            except (OSError, sqlite3.Error) as error:
                wait = RETRY_SECONDS
                if not failing:
                    failing = True
                    log.error("the ledger takes no events, the journal keeps them: %s", error)
            if wait:
                stop.wait(wait)

    def drain(self, seconds: float) -> bool:
        """Ingest what is there now. False when `seconds` were not enough or something failed."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                if not self.step():
                    return True
        except (OSError, sqlite3.Error) as error:
            log.error("the rest of the journal stays for the next start: %s", error)
        return False

    def step(self) -> int:
        """One batch of every segment; how many bytes went on. 0 also while another ingester holds the lock."""
        try:
            connection = self._open()
            if connection is None:
                return 0
            moved = backlog = 0
            for segment in self._scan():
                before = segment.offset
                backlog += self._take(connection, segment)
                moved += segment.offset - before
            self._backlog = backlog
            self._report()
            return moved
        except (OSError, sqlite3.Error):
            self._forget()
            raise

    def close(self) -> None:
        """Give everything back, the lock last."""
        self._forget()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> sqlite3.Connection | None:
        """The connection, once the lock is held and the offsets are known."""
        if self._connection is not None:
            return self._connection
        if self._lock < 0:
            lock = os.open(self._journal / "ingest.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            self._lock = lock
        connection = self._connect()
        try:
            self._offsets = dict(connection.execute("SELECT segment, offset FROM journal_offsets").fetchall())
            gone = self._offsets.keys() - set(segment_names(self._journal))
            for name in gone:
                del self._offsets[name]
            connection.executemany("DELETE FROM journal_offsets WHERE segment = ?", [(name,) for name in gone])
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _scan(self) -> list[Segment]:
        """The segments there are, oldest first, each opened once."""
        for name in segment_names(self._journal):
            if name not in self._segments:
                self._segments[name] = Segment(self._journal / name, self._offsets.get(name, 0))
        return list(self._segments.values())

    def _take(self, connection: sqlite3.Connection, segment: Segment) -> int:
        """One batch of a segment; how many bytes remain."""
        data = segment.lines(self._batch_bytes)
        if data:
            self._write(connection, segment, data)
            return segment.size() - segment.offset
        if not segment.try_lock():
            return 0
        # The writer is gone: what is there now is all there will be.
        data = segment.lines(self._batch_bytes)
        if data:
            self._write(connection, segment, data)
        elif segment.size() > segment.offset:
            self._quarantine(segment, [segment.rest()])
            self._commit(connection, segment, lambda _: 0, segment.size())
        else:
            self._finish(connection, segment)
            return 0
        segment.unlock()
        return segment.size() - segment.offset

    def _write(self, connection: sqlite3.Connection, segment: Segment, data: bytes) -> None:
        end = segment.offset + len(data)
        try:
            self._commit(connection, segment, lambda ledger: ledger.write(data), end)
        except (*UNREADABLE, OverflowError):
            good, bad = salvage(data)
            if bad:
                self._quarantine(segment, bad)
            self._commit(connection, segment, lambda ledger: ledger.write_rows(good), end)

    def _commit(
        self, connection: sqlite3.Connection, segment: Segment, write: Callable[[Ledger], int], end: int
    ) -> None:
        """Rows and offset, both or none."""
        if self._ledger is None:
            self._ledger = Ledger(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            count = write(self._ledger)
            connection.execute(_OFFSET, (segment.name, end))
            connection.execute("COMMIT")
        except BaseException:
            self._ledger.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        segment.offset = end
        self._counts[0] += count

    def _quarantine(self, segment: Segment, lines: list[bytes]) -> None:
        """Set lines aside in a file named after the offset of their batch: doing it again writes the same file."""
        directory = self._journal / "quarantine"
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / f"{segment.name}@{segment.offset}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
        self._counts[1] += len(lines)
        log.error("%d unreadable journal lines were set aside in %s", len(lines), path)

    def _finish(self, connection: sqlite3.Connection, segment: Segment) -> None:
        """Delete a segment that is wholly in the ledger: rows on disk first, then the file, then its offset."""
        busy = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0]
        if busy:
            segment.unlock()
            return
        os.unlink(segment.path)
        directory = os.open(self._journal, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._segments.pop(segment.name).close()
        self._offsets.pop(segment.name, None)
        connection.execute("DELETE FROM journal_offsets WHERE segment = ?", (segment.name,))

    def _report(self) -> None:
        ingested, quarantined = self._counts
        self._counts = [0, 0]
        self._observe(ingested, quarantined, self._backlog)

    def _forget(self) -> None:
        """Drop everything read from the database: after an error, only the database knows what was committed."""
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        self._ledger = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
