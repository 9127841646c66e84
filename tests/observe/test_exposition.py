"""The exposition of the shared counters."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

from routeiq.core.counters import GAUGE, CounterTable
from routeiq.observe import metrics
from routeiq.observe.exposition import render

SAMPLE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (-?[0-9.e+-]+|NaN)$'
)


def samples(text: str) -> dict[tuple[str, str], float]:
    """Every sample by (name, labels); asserts the grammar, and that no sample comes twice."""
    out: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP|TYPE) [a-z_]+ .+$", line)
            continue
        match = SAMPLE.match(line)
        assert match, line
        key = (match[1], match[2] or "")
        assert key not in out
        out[key] = float(match[3])
    return out


def test_counters_are_summed_over_columns_and_scaled_exactly(tmp_path: Path) -> None:
    one = CounterTable(tmp_path, column=1, columns=3)
    two = CounterTable(tmp_path, column=2, columns=3)
    name = metrics.series("routeiq_cost_dollars_total", model="gpt-4o")
    one.cells[one.slot(name)] += 1_500
    two.cells[two.slot(name)] += 1
    text = render(two).decode()
    assert 'routeiq_cost_dollars_total{model="gpt-4o"} 0.000001501\n' in text
    assert "routeiq_in_flight_requests 0\n" in text


def test_names_that_are_no_metric_are_left_out(tmp_path: Path) -> None:
    table = CounterTable(tmp_path, column=0, columns=1)
    table.slot("limit:abc", "w14")
    table.slot("routeiq_unknown_total")
    text = render(table).decode()
    assert "limit" not in text
    assert "unknown" not in text


def test_label_values_with_every_special_character(tmp_path: Path) -> None:
    table = CounterTable(tmp_path, column=0, columns=1)
    model = 'a"b\\c\nd,le="1",{}'
    for name in (
        metrics.series("routeiq_time_to_first_byte_seconds_bucket", model=model, le="0.1"),
        metrics.series("routeiq_requests_total", endpoint="chat", model=model, status="200"),
    ):
        table.cells[table.slot(name)] += 1
    found = samples(render(table).decode())
    label = metrics.series("", model=model)[1:-1]
    assert found["routeiq_time_to_first_byte_seconds_bucket", f'{label},le="0.1"'] == 1
    assert found["routeiq_time_to_first_byte_seconds_count", label] == 1


def test_histograms_hold_their_invariants(tmp_path: Path) -> None:
    table = CounterTable(tmp_path, column=0, columns=1)
    generator = random.Random(7)
    counts: dict[str, int] = {}
    for model in ("a", "b"):
        for bound in [*metrics.BUCKETS_US, None]:
            if generator.random() < 0.4:
                continue
            number = generator.randrange(100)
            le = "+Inf" if bound is None else f"{bound * 1e-6:g}"
            row = table.slot(metrics.series("routeiq_request_duration_seconds_bucket", model=model, le=le))
            table.cells[row] = number
            counts[model] = counts.get(model, 0) + number
        table.cells[table.slot(metrics.series("routeiq_request_duration_seconds_sum", model=model))] = 2_500_001
    found = samples(render(table).decode())
    for model in ("a", "b"):
        buckets = [
            value
            for (name, labels), value in found.items()
            if name == "routeiq_request_duration_seconds_bucket" and f'model="{model}"' in labels
        ]
        assert len(buckets) == len(metrics.BUCKETS_US) + 1
        assert buckets == sorted(buckets)
        count = found["routeiq_request_duration_seconds_count", f'model="{model}"']
        assert count == buckets[-1] == counts[model]
        assert found["routeiq_request_duration_seconds_sum", f'model="{model}"'] == 2.500001


def test_bounds_of_an_older_version_stay_in_order(tmp_path: Path) -> None:
    table = CounterTable(tmp_path, column=0, columns=1)
    for le in ("0.00015", "+Inf", "0.0001"):
        table.cells[table.slot(metrics.series("routeiq_overhead_seconds_bucket", endpoint="chat", le=le))] += 1
    lines = [line for line in render(table).decode().splitlines() if "overhead_seconds_bucket" in line]
    bounds = [float(re.search(r'le="([^"]*)"', line)[1]) for line in lines]  # type: ignore[index]
    assert bounds == sorted(bounds)
    assert 0.00015 in bounds
    assert lines[-1].endswith(" 3")


def test_two_thousand_series_render_fast_and_stably(tmp_path: Path) -> None:
    table = CounterTable(tmp_path, column=0, columns=5)
    for number in range(2_000):
        name = metrics.series("routeiq_requests_total", endpoint="chat", model=f"m{number}", status="200")
        table.cells[table.slot(name)] = number
    table.slot("routeiq_in_flight_requests", GAUGE)
    first = render(table)
    start = time.process_time()
    assert render(table) == first
    assert time.process_time() - start < 0.1
