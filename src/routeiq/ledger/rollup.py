"""Adds the ledger up: SQL that takes rows from one position to the next into the sums, in one transaction.

    event_rows, event_details  ──►  delta, labels  ──►  spend_days, spend_labels, spend_totals, spend_quarters

`delta` has a row for each context, quarter hour and model of the rows in between, `labels` one for each end user, tag
and run besides. They are what a statement calls its own in PostgreSQL, and temporary tables in SQLite; everything
after them is the same text in both. The position is written in the same transaction, so that every Event is added
once, whatever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from routeiq.store.subjects import CONTEXT_IDS, SHARED, listed, public
from routeiq.store.tables_spend import DAY_QUARTERS, EVER, METRICS, QUARTER_SECONDS, TOTALS

SPEND = "spend"
"""The name of the position in `ledger_positions`."""
PRUNED = "pruned"
MOST_ROWS = 100_000
"""Added up in one transaction: a fraction of a second."""

_QUARTER = QUARTER_SECONDS * 1_000_000
_FAILED = 400
_NOTHING = dict.fromkeys(METRICS, "0")
_COUNTED = _NOTHING | {
    "requests": "count(*)",
    "unpriced": "sum(CASE WHEN r.cost IS NULL THEN 1 ELSE 0 END)",
    "cost": "coalesce(sum(r.cost), 0)",
    **{
        name: f"sum(r.{name})"
        for name in METRICS
        if name.endswith("_tokens") or name == "duration"
    },
}  # fmt: skip

Parameter = Callable[[str], str]
"""How the driver wants a named value: `:lo`, `%(lo)s`."""


def delta(parameter: Parameter) -> str:
    """A SELECT of what the rows after `lo` and up to `hi` add up to, in the columns of `DELTA`."""
    counted = ", ".join(_COUNTED.values())
    failed = ", ".join((_NOTHING | {"failed": "count(*)"}).values())
    rows = f"r.seq > {parameter('lo')} AND r.seq <= {parameter('hi')}"
    return f"""
    SELECT r.context, r.at / {_QUARTER}, r.model, {counted}, min(r.seq), max(r.seq)
    FROM event_rows AS r WHERE {rows} GROUP BY 1, 2, 3
    UNION ALL
    SELECT r.context, r.at / {_QUARTER}, r.model, {failed}, NULL, NULL
    FROM event_details AS d JOIN event_rows AS r ON r.seq = d.seq
    WHERE d.seq > {parameter("lo")} AND d.seq <= {parameter("hi")} AND {rows} AND d.status >= {_FAILED}
    GROUP BY 1, 2, 3
    """


DELTA = ("context", "quarter", "model", *METRICS, "first_seq", "last_seq")


def labels(parameter: Parameter, dialect: str) -> str:
    """The same by end user, run and tag, in the columns of `LABELS`.

    A tag that both the key and the client say counts once.
    """
    counted = ", ".join((_COUNTED | {"failed": f"sum(CASE WHEN s.status >= {_FAILED} THEN 1 ELSE 0 END)"}).values())
    sides = f"""
    SELECT d.seq, d.status, d."user", d.run_id, d.request_tags FROM event_details AS d
    WHERE d.seq > {parameter("lo")} AND d.seq <= {parameter("hi")}
    AND (d."user" <> '' OR d.run_id <> '' OR d.request_tags <> '')
    """
    said = f"""
    SELECT d.seq, d.status, 'end_user' AS kind, d."user" AS id FROM sides AS d WHERE d."user" <> ''
    UNION ALL
    SELECT d.seq, d.status, 'run', d.run_id FROM sides AS d WHERE d.run_id <> ''
    UNION ALL
    SELECT DISTINCT d.seq, d.status, 'tag', t.value FROM sides AS d, {listed(dialect, "d.request_tags")}
    WHERE t.value <> ''
    """
    of_keys = f"""
    SELECT DISTINCT c.id AS context, t.value AS id FROM event_contexts AS c, {listed(dialect, "c.tags")}
    WHERE c.tags <> '' AND t.value <> '' AND c.id IN (SELECT context FROM delta)
    """
    return f"""
    WITH sides AS MATERIALIZED ({sides})
    SELECT s.kind, s.id, r.context, r.at / {_QUARTER}, r.model, {counted}
    FROM ({said}) AS s JOIN event_rows AS r ON r.seq = s.seq
    LEFT JOIN ({of_keys}) AS k ON s.kind = 'tag' AND k.context = r.context AND k.id = s.id
    WHERE k.id IS NULL GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT 'tag', k.id, d.context, d.quarter, d.model, {", ".join(f"sum(d.{name})" for name in METRICS)}
    FROM ({of_keys}) AS k JOIN delta AS d ON d.context = k.context GROUP BY 1, 2, 3, 4, 5
    """


LABELS = ("kind", "id", "context", "quarter", "model", *METRICS)


@dataclass(frozen=True, slots=True)
class Sums:
    """What a table is filled with: a SELECT over `delta` or `labels` of its keys, then its sums."""

    table: str
    keys: tuple[str, ...]
    names: tuple[str, ...]
    select: str
    kind: str = ""
    """Of `spend_totals`: which kind's rows these are."""

    @property
    def merge(self) -> str:
        """The statement that adds it to the rows that are there."""
        added = ", ".join(f"{name} = {self.table}.{name} + excluded.{name}" for name in self.names)
        keys = ", ".join(self.keys)
        return (
            f"INSERT INTO {self.table} ({keys}, {', '.join(self.names)}) {self.select}"
            f" ON CONFLICT ({keys}) DO UPDATE SET {added}"
        )


def _by_model(table: str, source: str, *keys: str) -> Sums:
    named = [f"d.{name}" for name in keys]
    columns = (*named, f"d.quarter / {DAY_QUARTERS}", "d.context", public("c", "d.model"))
    places = ", ".join(map(str, range(1, len(columns) + 1)))
    return Sums(
        table,
        (*keys, "day", "context", "model"),
        METRICS,
        f"SELECT {', '.join(columns)}, {_summed(METRICS)} FROM {source} AS d"
        f" JOIN event_contexts AS c ON c.id = d.context WHERE true GROUP BY {places}",
    )


_BOTH = "(SELECT 0 AS n UNION ALL SELECT 1)"
_IDS = {**CONTEXT_IDS, "model": public("c", "d.model"), "global": "''"}


def _totals(kind: str, source: str, of: str, where: str) -> Sums:
    shared = kind in SHARED
    share = f"CASE s.n WHEN 0 THEN '' ELSE {public('c', 'd.model')} END" if shared else "''"
    conditions = [where, f"(s.n = 0 OR {public('c', 'd.model')} <> '')" if shared else "s.n = 0"]
    return Sums(
        "spend_totals",
        ("kind", "id", "share", "quarter"),
        TOTALS,
        f"SELECT '{kind}', {of}, {share}, CASE e.n WHEN 0 THEN d.quarter ELSE {EVER} END, {_summed(TOTALS)}"
        f" FROM {source} AS d JOIN event_contexts AS c ON c.id = d.context"
        f" CROSS JOIN {_BOTH} AS s CROSS JOIN {_BOTH} AS e"
        f" WHERE {' AND '.join(conditions)} GROUP BY 2, 3, 4",
        kind,
    )


def _summed(names: tuple[str, ...]) -> str:
    return ", ".join(f"sum(d.{name})" for name in names)


ALL = (
    _by_model("spend_days", "delta"),
    _by_model("spend_labels", "labels", "kind", "id"),
    *(_totals(kind, "delta", of, "true" if kind == "global" else f"{of} <> ''") for kind, of in _IDS.items()),
    *(_totals(kind, "labels", "d.id", f"d.kind = '{kind}'") for kind in ("end_user", "tag", "run")),
)
"""Everything that is kept. No two touch the same row."""

_QUARTERS = (
    "INSERT INTO spend_quarters (quarter, first_seq, last_seq)"
    " SELECT d.quarter, min(d.first_seq), max(d.last_seq) FROM delta AS d WHERE d.first_seq IS NOT NULL GROUP BY 1"
    " ON CONFLICT (quarter) DO UPDATE SET last_seq = excluded.last_seq"
)
ADDITIONS = (_QUARTERS, *(sums.merge for sums in ALL))
"""The statements that add `delta` and `labels` to the sums."""
