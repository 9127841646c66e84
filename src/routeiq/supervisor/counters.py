"""Makes the shared counters fit the number of processes, keeping what was counted."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from routeiq.core.counters import GAUGE, HEADER, MAGIC, CounterTable

log = logging.getLogger("routeiq.supervisor")


def prepare_counters(directory: Path, columns: int) -> None:
    """Leave `counters.bin` with exactly `columns` columns: called while no other process has it open.

    A table of another width is folded: each row's sum goes to column 0, gauges go to zero. Of a limit's state (kinds
    `w…`, whose first word names a period) the columns in the newest period are summed and older ones dropped. The
    folded file replaces the old one in one rename. A file that can't be read is set aside as `counters.bin.broken`.
    """
    path = directory / "counters.bin"
    shape = _shape(path)
    if shape is None:
        if path.exists():
            log.warning("%s can't be read; counting starts anew, the old file is kept beside it", path)
            os.replace(path, path.with_name("counters.bin.broken"))
        CounterTable(directory, column=0, columns=columns).close()
        return
    if shape[0] != columns:
        _fold(directory, path, shape[0], columns, shape[1])
        log.info("the counters were folded from %d columns to %d", shape[0], columns)


def _shape(path: Path) -> tuple[int, int] | None:
    """Columns and capacity; `None` when there is no sound file."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    columns, capacity = int.from_bytes(head[8:16], "little"), int.from_bytes(head[16:24], "little")
    if head[:8] != MAGIC or not columns or not capacity or size != HEADER + columns * capacity * 8:
        return None
    return columns, capacity


def _fold(directory: Path, path: Path, old_columns: int, columns: int, capacity: int) -> None:
    old = CounterTable(directory, column=0, columns=old_columns)
    fresh = path.with_name("counters.bin.new")
    with fresh.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.truncate(HEADER + capacity * columns * 8)
        file.write(MAGIC + columns.to_bytes(8, "little") + capacity.to_bytes(8, "little"))
        for _, kind, row in old.items():
            for offset, value in enumerate(_folded(old, kind, row)):
                if value:
                    file.seek(HEADER + (row + offset) * columns * 8)
                    file.write(value.to_bytes(8, "little", signed=True))
        file.flush()
        os.fsync(file.fileno())
    old.close()
    os.replace(fresh, path)


def _folded(table: CounterTable, kind: str, row: int) -> list[int]:
    """What each row of a name becomes in column 0."""
    if kind == GAUGE:
        return []
    words = int(kind[1:]) if len(kind) > 1 else 1
    if words == 1:
        return [table.total(row)]
    periods = table.values(row)
    newest = max(periods)
    current = [column for column, period in enumerate(periods) if period == newest]
    rest = [table.values(row + word) for word in range(1, words)]
    return [newest, *(sum(values[column] for column in current) for values in rest)]
