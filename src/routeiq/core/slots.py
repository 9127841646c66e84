"""Counters of the subjects that are active right now, shared by workers without a lock.

    subjects.bin    header | slot 0 | slot 1 | …          slot: lease, digest (4 words) | word 0: c0 c1 … | word 1: …

The control plane leases a slot to a subject when a worker first asks for it, and takes it back when the subject has
been idle. It alone writes what stands in front of a slot, and column 0; a worker writes its own column only. Whoever
holds a lease looks at the slot's before use: another number means that the subject has to be asked for again.

The page cache outlives `kill -9` of every process, and so do the counts and the leases.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from routeiq.core.counters import Row, release

MAGIC = b"RIQSUB01"
HEADER = 64
FRONT = 5
"""Words in front of a slot's counters."""

PARALLEL = 0
REQUESTS = 1
TOKENS = 16
"""First words: one gauge, two windows of fifteen words."""
BUDGETS = 31
BUDGET_WORDS = 3
"""The period's number, the amount, what of it is only reserved."""
MOST_BUDGETS = 5
"""Of one subject: a budget and four more windows."""
SPEND = BUDGETS + BUDGET_WORDS * MOST_BUDGETS
"""What a key has spent, in words like those of a budget."""
WORDS = SPEND + BUDGET_WORDS

CAPACITY = 131_072


def digest_of(name: str) -> bytes:
    """32 bytes that stand for a subject's name."""
    return sha256(name.encode("utf-8", "surrogatepass")).digest()


class SlotTable:
    """One process's view of `subjects.bin`."""

    def __init__(self, directory: Path, *, column: int, columns: int, capacity: int = CAPACITY) -> None:
        """Open, or create where there is none that fits: another number of columns begins a new one."""
        if not 0 <= column < columns:
            raise ValueError(f"column {column} of {columns}")
        self.column = column
        self.columns = columns
        self.size = FRONT + WORDS * columns
        """Words from one slot to the next."""
        path = directory / "subjects.bin"
        shape = MAGIC + columns.to_bytes(8, "little") + WORDS.to_bytes(8, "little")
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.pread(fd, len(shape), 0) != shape:
                os.ftruncate(fd, 0)
                os.ftruncate(fd, HEADER + capacity * self.size * 8)
                os.pwrite(fd, shape, 0)
            self.capacity = (os.fstat(fd).st_size - HEADER) // (self.size * 8)
            self._map = mmap.mmap(fd, HEADER + self.capacity * self.size * 8)
        finally:
            os.close(fd)
        self.bytes = memoryview(self._map)[HEADER:]
        self.cells: memoryview[int] = self.bytes.cast("q")

    def row(self, slot: int, word: int) -> Row:
        """Where this process counts a word of a slot. Raises `ValueError` for a slot that is not there."""
        if not 0 <= slot < self.capacity:
            raise ValueError(f"slot {slot} of {self.capacity}")
        base = slot * self.size + FRONT + word * self.columns + self.column
        return Row(self.cells, base, self.columns, self.column, 0)

    def lease(self, slot: int) -> int:
        """The lease a slot is under, 0 for none."""
        return self.cells[slot * self.size]

    # What the control plane does.

    def owner(self, slot: int) -> tuple[bytes, int]:
        """Whom a slot was leased to last, as `digest_of` its name, and the lease; 0 when it was taken back."""
        start = slot * self.size * 8
        return bytes(self.bytes[start + 8 : start + FRONT * 8]), self.lease(slot)

    def begin(self, slot: int, lease: int, digest: bytes, seeds: Mapping[int, tuple[int, int]]) -> None:
        """Lease a slot that nobody uses. `seeds` are periods and amounts by their word."""
        start = slot * self.size
        self.cells[start] = 0
        self.bytes[(start + 1) * 8 : (start + self.size) * 8] = digest + bytes((self.size - FRONT) * 8)
        for word, (number, amount) in seeds.items():
            at = start + FRONT + word * self.columns
            self.cells[at] = number
            self.cells[at + self.columns] = amount
        self.cells[start] = lease

    def take_back(self, slot: int) -> None:
        """End the lease. Workers may still be about to count in it."""
        self.cells[slot * self.size] = 0

    def counts(self, slot: int) -> memoryview:
        """All that is counted in a slot, as bytes."""
        return self.bytes[(slot * self.size + FRONT) * 8 : (slot + 1) * self.size * 8]

    def seed(self, slot: int, word: int) -> int:
        """What was written into the control plane's own column."""
        return self.cells[slot * self.size + FRONT + word * self.columns]

    def total(self, slot: int, word: int) -> int:
        """The sum over all processes."""
        start = slot * self.size + FRONT + word * self.columns
        return sum(self.cells[start : start + self.columns])

    # What every process does.

    def forget_flying(self) -> None:
        """Forget what this column's process of before had in flight: called once at the start of a process."""
        for slot in range(self.used()):
            at = slot * self.size + FRONT + self.column
            if self.cells[at]:
                self.cells[at] = 0
            for place in range(MOST_BUDGETS):
                word = at + (BUDGETS + BUDGET_WORDS * place) * self.columns
                release(self.cells, word, self.columns)

    def used(self) -> int:
        """How many slots have ever been leased: those behind have nothing in them."""
        return int.from_bytes(self._map[24:32], "little")

    def note_used(self, slots: int) -> None:
        """Called by the control plane, which leases them in order."""
        self._map[24:32] = slots.to_bytes(8, "little")

    def close(self) -> None:
        """Unmap. The file stays."""
        self.cells.release()
        self.bytes.release()
        self._map.close()
