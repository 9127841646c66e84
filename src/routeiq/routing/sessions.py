"""Which model a conversation is with, known to all workers of a machine: a table of fixed size in a shared file.

    sessions.bin    header | bucket 0: 4 entries | bucket 1: …        entry: conversation, model (64-bit digests), end

An entry is a hint: two workers that write at once, or a bucket that is full, cost a conversation its model and
nothing else. The last entry to end makes room.
"""

from __future__ import annotations

import mmap
import os
import struct
from hashlib import blake2b
from pathlib import Path

MAGIC = b"RIQSES01"
HEADER = 64
BUCKETS, WAYS = 1 << 14, 4
"""65,536 conversations in 1.5 MB."""
_ENTRY = struct.Struct("<QQd")
_SIZE = HEADER + BUCKETS * WAYS * _ENTRY.size


def digest(text: str) -> int:
    """64 bits of a name, never 0."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


class Sessions:
    """One process's view of the table."""

    def __init__(self, directory: Path | None) -> None:
        """Open or create; without a directory it is this process's alone."""
        if directory is None:
            self._map = mmap.mmap(-1, _SIZE)
            return
        fd = os.open(directory / "sessions.bin", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.pread(fd, 8, 0) != MAGIC or os.fstat(fd).st_size != _SIZE:
                os.ftruncate(fd, _SIZE)
                os.pwrite(fd, MAGIC, 0)
            self._map = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)

    def find(self, conversation: int, now: float) -> int:
        """The digest of its model; 0 where it has none at Unix time `now`."""
        for at in self._bucket(conversation):
            key, model, end = _ENTRY.unpack_from(self._map, at)
            if key == conversation and end > now:
                return int(model)
        return 0

    def keep(self, conversation: int, model: int, now: float, seconds: float) -> None:
        """Let the conversation be with a model for so long."""
        best, soonest = -1, float("inf")
        for at in self._bucket(conversation):
            key, _, end = _ENTRY.unpack_from(self._map, at)
            if key == conversation:
                best = at
                break
            if end < soonest:
                best, soonest = at, end
        _ENTRY.pack_into(self._map, best, conversation, model, now + seconds)

    def close(self) -> None:
        """Unmap. The file stays."""
        self._map.close()

    def _bucket(self, conversation: int) -> range:
        start = HEADER + (conversation % BUCKETS) * WAYS * _ENTRY.size
        return range(start, start + WAYS * _ENTRY.size, _ENTRY.size)
