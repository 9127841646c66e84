"""Counters over a change of the number of workers."""

from __future__ import annotations

from pathlib import Path

from routeiq.core.counters import GAUGE, CounterTable
from routeiq.supervisor.counters import prepare_counters


def test_the_same_width_is_left_alone(tmp_path: Path) -> None:
    prepare_counters(tmp_path, 3)
    before = (tmp_path / "counters.bin").stat().st_ino
    prepare_counters(tmp_path, 3)
    assert (tmp_path / "counters.bin").stat().st_ino == before


def test_folding_keeps_sums_budgets_and_negative_numbers(tmp_path: Path) -> None:
    prepare_counters(tmp_path, 4)
    for column in range(4):
        table = CounterTable(tmp_path, column=column, columns=4)
        table.cells[table.slot("routeiq_requests_total")] = 10**column
        table.cells[table.slot("negative")] = -column
        table.cells[table.slot("routeiq_in_flight_requests", GAUGE)] = 5
        window = table.slot("limit:a:rpm", "w14")
        table.cells[window] = 100 if column < 2 else 101
        table.cells[window + 4] = column + 1
        budget = table.slot("limit:a:spend", "w2")
        table.cells[budget] = 1 if column else 0
        table.cells[budget + 4] = 1_000 * column
        table.close()
    for columns in (2, 5):
        prepare_counters(tmp_path, columns)
        table = CounterTable(tmp_path, column=0, columns=columns)
        assert table.columns == columns
        assert table.total(table.row("routeiq_requests_total")) == 1111
        assert table.total(table.row("negative")) == -6
        assert table.total(table.row("routeiq_in_flight_requests")) == 0
        assert table.total(table.row("limit:a:rpm")) == 101
        assert table.total(table.row("limit:a:rpm") + 1) == 7
        assert table.total(table.row("limit:a:spend")) == 1
        assert table.total(table.row("limit:a:spend") + 1) == 6_000
        table.close()


def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    prepare_counters(tmp_path, 2)
    (tmp_path / "counters.bin").write_bytes(b"RIQCNT01 but short")
    prepare_counters(tmp_path, 2)
    assert (tmp_path / "counters.bin.broken").exists()
    table = CounterTable(tmp_path, column=1, columns=2)
    assert table.columns == 2
