"""Reads the Journal's segments: files of JSON lines that grow at the end.

A segment is `w{column}-{unix_ms}-{pid}-{seq}.jsonl`. Its writer holds an exclusive lock on it as long as it may
write, so whoever gets that lock knows that no byte will follow.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

NAME = re.compile(r"w(\d+)-(\d+)-(\d+)-(\d+)\.jsonl")


class Segment:
    """One open segment and how far it has been taken over. `offset` is in bytes, always after a newline."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Raises `FileNotFoundError` when the segment has gone."""
        self.path = path
        self.name = path.name
        self.offset = offset
        self._fd = os.open(path, os.O_RDWR)

    def size(self) -> int:
        """Bytes there are."""
        return os.fstat(self._fd).st_size

    def lines(self, limit: int) -> bytes:
        """Whole lines from `offset`, about `limit` bytes of them; more when one line is longer. `b""`: none yet."""
        while True:
            data = os.pread(self._fd, limit, self.offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < limit:
                return data[:end] if end < len(data) else data
            limit *= 4

    def rest(self) -> bytes:
        """Everything from `offset` on, whole lines or not."""
        return os.pread(self._fd, max(0, self.size() - self.offset), self.offset)

    def try_lock(self) -> bool:
        """Whether the writer is gone. Keeps the lock when it is; `unlock` gives it back."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; gives up a lock too."""
        os.close(self._fd)


def segment_names(directory: Path) -> list[str]:
    """The segments there are, oldest first."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            match = NAME.fullmatch(entry.name)
            if match is not None:
                found.append((int(match[2]), int(match[4]), entry.name))
    return [name for _, _, name in sorted(found)]
