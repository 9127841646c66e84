"""The counter table as Prometheus text.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from routeiq.observe.metrics import FAMILIES, Family

if TYPE_CHECKING:
    from routeiq.core.counters import CounterTable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LE = re.compile(r'(?:,|^)le="([^"\\]*)"')


def render(table: CounterTable, families: Iterable[Family] = FAMILIES) -> bytes:
    """Every known series, summed over the processes; names that belong to no family (limits) are left out.

    Families come in their declared order and series sorted by labels, so two scrapes of the same numbers are the
    same bytes. A family without labels is shown from the start, as zero.
    """
    families = tuple(families)
    wanted: dict[str, list[tuple[str, int]]] = {}
    for family in families:
        for suffix in ("_bucket", "_sum") if family.kind == "histogram" else ("",):
            wanted[family.name + suffix] = []
    for name, _, row in table.items():
        base, brace, labels = name.partition("{")
        found = wanted.get(base)
        if found is not None:
            found.append((labels[:-1] if brace else "", row))
    out: list[str] = []
    for family in families:
        if family.kind == "histogram":
            lines = _histogram(family, wanted[family.name + "_bucket"], wanted[family.name + "_sum"], table)
        else:
            lines = _plain(family, wanted[family.name], table)
        if lines:
            out.append(f"# HELP {family.name} {_help(family.help)}\n# TYPE {family.name} {family.kind}")
            out += lines
    out.append("")
    return "\n".join(out).encode()


def _plain(family: Family, rows: list[tuple[str, int]], table: CounterTable) -> list[str]:
    if not rows and not family.labels:
        return [f"{family.name} 0"]
    digits = _digits(family.scale)
    return [
        f"{family.name}{{{labels}}} {_scaled(table.total(row), family.scale, digits)}"
        if labels
        else f"{family.name} {_scaled(table.total(row), family.scale, digits)}"
        for labels, row in sorted(rows)
    ]


def _histogram(
    family: Family, buckets: list[tuple[str, int]], sums: list[tuple[str, int]], table: CounterTable
) -> list[str]:
    """Cumulated buckets, all declared bounds even where a bucket has never been hit, then the sum and the count."""
    digits = _digits(family.scale)
    bounds = {_bound(number * family.scale): 0 for number in family.buckets}
    bounds["+Inf"] = 0
    series: dict[str, dict[str, int]] = {}
    for labels, row in buckets:
        match = _LE.search(labels)
        if match is None:
            continue
        rest = (labels[: match.start()] + labels[match.end() :]).removeprefix(",")
        le = match[1]
        if le not in bounds:
            try:
                le = _bound(float(le))
            except ValueError:
                continue
        counts = series.setdefault(rest, dict(bounds))
        counts[le] = counts.get(le, 0) + table.total(row)
    totals = {labels: table.total(row) for labels, row in sums}
    out: list[str] = []
    for labels in sorted(series.keys() | totals.keys()):
        counts = series.get(labels) or bounds
        lead, own = (labels + ",", f"{{{labels}}}") if labels else ("", "")
        running = 0
        for le in counts if len(counts) == len(bounds) else sorted(counts, key=float):
            running += counts[le]
            out.append(f'{family.name}_bucket{{{lead}le="{le}"}} {running}')
        out.append(f"{family.name}_sum{own} {_scaled(totals.get(labels, 0), family.scale, digits)}")
        out.append(f"{family.name}_count{own} {running}")
    return out


def _bound(value: float) -> str:
    if math.isinf(value) and value > 0:
        return "+Inf"
    if not math.isfinite(value):
        raise ValueError(f"{value} is no bound")
    return f"{value:.10g}"


def _digits(scale: float) -> int:
    """How many decimal places a scale moves the point, or -1 when it is no power of ten below one."""
    digits = round(-math.log10(scale))
    return digits if digits >= 0 and math.isclose(10.0**-digits, scale) else -1


def _scaled(value: int, scale: float, digits: int) -> str:
    """An integer times the family's scale, exact where the scale is a power of ten."""
    if digits == 0:
        return str(value)
    if digits < 0:
        return repr(value * scale)
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(value, 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
