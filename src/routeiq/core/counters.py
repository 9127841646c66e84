"""Counters that several processes share without a lock.

A table is a memory-mapped file of 64-bit integers with one row a counter and one column a process; a process
writes its own column only and a reader adds the columns up. Column 0 is the control plane's.

    counters.bin    header | row 0: c0 c1 c2 … | row 1: c0 c1 c2 … | …
    counters.names  one line a name: "kind<TAB>name", appended under a file lock

A name takes one row, or as many neighbouring rows as its kind says (`w15`: the 15 words of a limit's window).

The page cache outlives `kill -9` of every writer; only a crash of the machine loses counts. Names are never
removed while the file lives, so a full table refuses new names (`TableFull`) and keeps the old ones right.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from pathlib import Path
from typing import NamedTuple

MAGIC = b"RIQCNT01"
HEADER = 64
COUNTER, GAUGE, BUDGET = "c", "g", "b3"
"""Kinds: a counter only grows; a gauge is zeroed when its process starts; `w<rows>` is the state of a limit, the first
of them naming a period; a budget is one too, whose last row has what is only reserved."""


class Row(NamedTuple):
    """Where a process finds one counter: `cells[base]` is its first word in its own column."""

    cells: memoryview[int]
    base: int
    step: int
    """From one word of a column to its next."""
    column: int
    first: int
    """The first column that counts: 1 where the control plane writes none."""


def release(cells: memoryview[int], at: int, step: int) -> None:
    """Take back what of a budget is only reserved: its words are `step` apart, the first at `at`."""
    reserved = at + 2 * step
    if cells[reserved]:
        cells[at + step] -= cells[reserved]
        cells[reserved] = 0


def settled(cells: memoryview[int], at: int, step: int, number: int) -> int:
    """What of a budget was spent for good in the period with this number, over all processes: its words are `step`
    apart, the first of column 0 at `at`.
    """
    return sum(
        cells[at + step + column] - cells[at + 2 * step + column]
        for column in range(step)
        if cells[at + column] == number
    )


class TableFull(RuntimeError):
    """No row is left for a new name."""


def _rows(kind: str) -> int:
    return int(kind[1:]) if len(kind) > 1 else 1


class CounterTable:
    """One process's view of the table.

    `cells` is the flat view for hot code: `table.cells[table.slot(name)] += 1`.
    """

    def __init__(self, directory: Path, *, column: int, columns: int, capacity: int = 1_048_576) -> None:
        """Open or create. An existing file wins over `capacity`; one with fewer `columns` is refused (`ValueError`)."""
        if not 0 <= column < columns:
            raise ValueError(f"column {column} of {columns}")
        self.column = column
        self._names_fd = os.open(directory / "counters.names", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fd = os.open(directory / "counters.bin", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._names_fd, fcntl.LOCK_EX)
            try:
                head = os.pread(fd, HEADER, 0)
                if head[:8] != MAGIC:
                    os.ftruncate(fd, 0)
                    os.ftruncate(fd, HEADER + capacity * columns * 8)
                    os.ftruncate(self._names_fd, 0)
                    numbers = columns.to_bytes(8, "little") + capacity.to_bytes(8, "little")
                    os.pwrite(fd, MAGIC + numbers, 0)
                else:
                    found = int.from_bytes(head[8:16], "little")
                    if found < columns:
                        raise ValueError(f"counters.bin has {found} columns, {columns} are needed")
                    columns, capacity = found, int.from_bytes(head[16:24], "little")
            finally:
                fcntl.flock(self._names_fd, fcntl.LOCK_UN)
            self._map = mmap.mmap(fd, HEADER + capacity * columns * 8)
        finally:
            os.close(fd)
        self.columns = columns
        self.capacity = capacity
        self.cells = memoryview(self._map)[HEADER:].cast("q")
        self._rows: dict[str, int] = {}
        self._kinds: dict[int, str] = {}
        self._used = 0
        self._read = 0
        self._learning = threading.Lock()
        self.refresh()

    def slot(self, name: str, kind: str = COUNTER) -> int:
        """Index into `cells` of this process's (first) cell of a name, made when new. Raises `TableFull`.

        A kind of several rows has its next cells `columns` further on each.
        """
        return self.row(name, kind) * self.columns + self.column

    def place(self, name: str, kind: str, *, shared: bool = False) -> Row:
        """The place of a counter of several words. `shared`: other machines use it too, which is in column 0."""
        base = self.slot(name, kind)
        # What earlier workers used before their number changed is in column 0 as well.
        first = 0 if shared or self.cells[base - self.column] else 1
        return Row(self.cells, base, self.columns, self.column, first)

    def row(self, name: str, kind: str = COUNTER) -> int:
        """The row of a counter, made when new. `name` holds no newline."""
        row = self._rows.get(name)
        if row is not None:
            return row
        fcntl.flock(self._names_fd, fcntl.LOCK_EX)
        try:
            self.refresh()
            row = self._rows.get(name)
            if row is None:
                if self._used + _rows(kind) > self.capacity:
                    raise TableFull(f"all {self.capacity} counters are in use")
                os.write(self._names_fd, f"{kind}\t{name}\n".encode())
                self.refresh()
                row = self._rows[name]
        finally:
            fcntl.flock(self._names_fd, fcntl.LOCK_UN)
        return row

    def find(self, name: str) -> int | None:
        """The row of a counter somebody has made."""
        self.refresh()
        return self._rows.get(name)

    def settled(self, name: str, number: int) -> int:
        """What was spent for good of a budget in the period with this number; 0 where nobody has counted."""
        row = self.find(name)
        return settled(self.cells, row * self.columns, self.columns, number) if row is not None else 0

    def refresh(self) -> None:
        """Learn the names other processes have added."""
        with self._learning:
            self._learn()

    def _learn(self) -> None:
        size = os.fstat(self._names_fd).st_size
        if size <= self._read:
            return
        data = os.pread(self._names_fd, size - self._read, self._read)
        end = data.rfind(b"\n") + 1
        for line in data[:end].decode().split("\n")[:-1]:
            kind, _, name = line.partition("\t")
            self._rows[name] = self._used
            self._kinds[self._used] = kind
            self._used += _rows(kind)
        self._read += end

    def total(self, row: int) -> int:
        """The sum over all processes."""
        start = row * self.columns
        return sum(self.cells[start : start + self.columns])

    def values(self, row: int) -> list[int]:
        """One number a process, the control plane's first."""
        start = row * self.columns
        return list(self.cells[start : start + self.columns])

    def items(self) -> list[tuple[str, str, int]]:
        """Every (name, kind, row)."""
        self.refresh()
        return [(name, self._kinds[row], row) for name, row in self._rows.items()]

    def forget_flying(self) -> None:
        """Forget what this column's process of before had in flight: called once at the start of a process."""
        self.refresh()
        for row, kind in self._kinds.items():
            at = row * self.columns + self.column
            if kind == GAUGE:
                self.cells[at] = 0
            elif kind == BUDGET:
                release(self.cells, at, self.columns)

    def close(self) -> None:
        """Unmap. The file stays."""
        self.cells.release()
        self._map.close()
        os.close(self._names_fd)
