"""Takes the Journal into the ledger, every Event exactly once.

Rows and the offset they reach are written in one transaction, so the death of this process or of the database at any
point repeats nothing and leaves nothing out. One ingester works at a time on a journal: it holds `journal/ingest.lock`.
The file `journal/node` names the journal, for databases that more than one is taken into.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from routeiq.ledger.reader import Segment, segment_names
from routeiq.ledger.rollup import MOST_ROWS
from routeiq.ledger.rows import UNREADABLE, Ledger, salvage
from routeiq.ledger.target import Opener, Target

BATCH_BYTES = 512 * 1024
"""About 1,200 Events a transaction."""
IDLE_SECONDS = 0.25
RETRY_SECONDS, RETRY_MOST = 0.5, 8.0
"""From a failure to the next try, doubled each time."""

ROLL_SECONDS = 1.0
"""Between two times that what came since is added up."""
ROLL_EVENTS = 20_000
"""Added up at once: what is not yet has to be read by everyone who asks what was spent."""
ROLL_RETRY_SECONDS = 15.0
"""From a failure to add up to the next try."""
PING_SECONDS = 5.0
"""How often an idle ingester looks whether the database is still there."""

Observer = Callable[[int, int, int], None]
"""Told after every pass: Events ingested, lines quarantined, bytes still to be read."""
Trouble = Callable[[str], None]
"""Told by `run` when the database fails, and why; and with `""` when it is there again, or for the first time."""
Written = Callable[[bytes], None]
"""Told of the lines of a batch once they are in the ledger. Raises nothing."""

log = logging.getLogger("routeiq.ledger")


class Ingester:
    """`run` in a thread of its own, or `step` by hand. Not safe to call from two threads at a time."""

    def __init__(
        self,
        journal: Path,
        connect: Opener,
        *,
        observe: Observer = lambda *_: None,
        trouble: Trouble = lambda _: None,
        written: Written | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self._journal = journal
        self._connect = connect
        self._observe = observe
        self._trouble = trouble
        self._written = written
        self._batch_bytes = batch_bytes
        self._lock = -1
        self._target: Target | None = None
        self._ledger: Ledger | None = None
        self._segments: dict[str, Segment] = {}
        self._offsets: dict[str, int] = {}
        self._counts = [0, 0]
        self._backlog = 0
        self._roll_at = self._roll_held = 0.0
        self._fresh = 0

    def run(self, stop: threading.Event) -> None:
        """Ingest until `stop`, surviving every error of disk and database: the Journal waits meanwhile."""
        failures = 0
        known: str | None = None
        pinged = 0.0
        while not stop.is_set():
            why = ""
            try:
                if not self.step() and self._target is not None and time.monotonic() >= pinged + PING_SECONDS:
                    self._ping(self._target)
                    pinged = time.monotonic()
                # A pause between passes makes large batches, which cost far less an Event than small ones.
                wait = 0.0 if self._backlog >= self._batch_bytes else IDLE_SECONDS
                if failures:
                    failures = 0
                    log.info("the ledger takes events again")
            except Exception as error:
                wait = min(RETRY_SECONDS * 2.0 ** min(failures, 10), RETRY_MOST)
                failures += 1
                why = _said(error)
                self._waiting()
                if failures == 1:
                    log.error("the ledger takes no events, the journal keeps them: %s", why)
            if why != known and (why or self._target is not None):
                known = why
                self._trouble(why)
            if wait:
                stop.wait(wait)

    def drain(self, seconds: float) -> bool:
        """Ingest what is there now. False when `seconds` were not enough or something failed."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                if not self.step():
                    while self._target is not None and self._target.roll(MOST_ROWS):
                        pass
                    return True
        except Exception as error:
            log.error("the rest of the journal stays for the next start: %s", _said(error))
        return False

    def step(self) -> int:
        """One batch of every segment; how many bytes went on. 0 also while another ingester holds the lock."""
        try:
            target = self._open()
            if target is None:
                return 0
            moved = backlog = 0
            for segment in self._scan():
                before = segment.offset
                backlog += self._take(target, segment)
                moved += segment.offset - before
            self._backlog = backlog
            self._report()
            self._roll(target)
            return moved
        except BaseException:
            self._forget()
            raise

    def close(self) -> None:
        """Give everything back, the lock last."""
        self._forget()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> Target | None:
        """The connection, once the lock is held and the offsets are known."""
        if self._target is not None:
            return self._target
        if self._lock < 0:
            lock = os.open(self._journal / "ingest.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            self._lock = lock
        target = self._connect(node_name(self._journal))
        try:
            self._offsets = target.offsets(segment_names(self._journal))
        except BaseException:
            target.close()
            raise
        self._target = target
        return target

    def _scan(self) -> list[Segment]:
        """The segments there are, oldest first, each opened once."""
        for name in segment_names(self._journal):
            if name not in self._segments:
                self._segments[name] = Segment(self._journal / name, self._offsets.get(name, 0))
        return list(self._segments.values())

    def _take(self, target: Target, segment: Segment) -> int:
        """One batch of a segment; how many bytes remain."""
        data = segment.lines(self._batch_bytes)
        if data:
            self._write(target, segment, data)
            return segment.size() - segment.offset
        if not segment.try_lock():
            return 0
        # The writer is gone: what is there now is all there will be.
        data = segment.lines(self._batch_bytes)
        if data:
            self._write(target, segment, data)
        elif segment.size() > segment.offset:
            self._quarantine(segment, [segment.rest()])
            self._commit(target, segment, lambda _: 0, segment.size())
        else:
            self._finish(target, segment)
            return 0
        segment.unlock()
        return segment.size() - segment.offset

    def _write(self, target: Target, segment: Segment, data: bytes) -> None:
        end = segment.offset + len(data)
        data = target.prepare(data)
        try:
            self._commit(target, segment, lambda ledger: ledger.write(data), end)
        except UNREADABLE + target.unfit:
            good, bad = salvage(data)
            if bad:
                self._quarantine(segment, bad)
            self._commit(target, segment, lambda ledger: ledger.write_rows(good), end)
        if self._written is not None:
            self._written(data)

    def _commit(self, target: Target, segment: Segment, write: Callable[[Ledger], int], end: int) -> None:
        """Rows and offset, both or none."""
        if self._ledger is None:
            self._ledger = Ledger(target)
        target.begin(segment.name, segment.offset)
        try:
            count = write(self._ledger)
            target.commit(segment.name, end)
        except BaseException:
            self._ledger.forget()
            target.rollback()
            raise
        segment.offset = self._offsets[segment.name] = end
        self._counts[0] += count
        self._fresh += count

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

    def _finish(self, target: Target, segment: Segment) -> None:
        """Delete a segment that is wholly in the ledger: rows on disk first, then the file, then its offset."""
        if not target.durable():
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
        target.forget(segment.name)

    def _roll(self, target: Target) -> None:
        """Add up what came since, now and then; at once again while there is more than fits."""
        now = time.monotonic()
        if now >= self._roll_at or (self._fresh >= ROLL_EVENTS and now >= self._roll_held):
            # What fails must not keep Events from coming in.
            self._roll_at = self._roll_held = now + ROLL_RETRY_SECONDS
            count = target.roll(MOST_ROWS)
            self._roll_at = now if count == MOST_ROWS else now + ROLL_SECONDS
            self._roll_held = 0.0
            self._fresh = 0

    def _ping(self, target: Target) -> None:
        try:
            target.ping()
        except BaseException:
            self._forget()
            raise

    def _waiting(self) -> None:
        """Report what waits in the journal, as far as can be said without the database."""
        try:
            sizes = {name: (self._journal / name).stat().st_size for name in segment_names(self._journal)}
        except OSError:
            return
        self._backlog = sum(max(0, size - self._offsets.get(name, 0)) for name, size in sizes.items())
        self._report()

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
        if self._target is not None:
            self._target.close()
            self._target = None


def node_name(journal: Path) -> str:
    """The journal's own name, given to it when it is first asked for. Ask while holding `ingest.lock`."""
    file = journal / "node"
    try:
        name = file.read_text().strip()
    except FileNotFoundError:
        name = ""
    if not name:
        name = secrets.token_hex(8)
        new = journal / "node.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as made:
            made.write(name + "\n")
            made.flush()
            os.fsync(made.fileno())
        os.replace(new, file)
    return name


def _said(error: Exception) -> str:
    """An error's first line: those that follow may quote what was to be written."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
