"""Whether the ledger agrees with itself: its rows, what they add up to, and how far journals have come.

Everything is read in one snapshot of the database, so a gateway may go on writing meanwhile. Rows that retention has
let go can't be added up again: days with such rows are passed over, and their sums stand as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import text

from routeiq.ledger import rollup
from routeiq.ledger.columns import SIDES
from routeiq.store.spend import snapshot
from routeiq.store.tables_spend import DAY_QUARTERS, EVER, METRICS, TOTALS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

EXAMPLES = 5
"""Shown of what differs; all are counted."""
DAY_SECONDS = 86_400


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    check: str
    message: str
    count: int
    """How many rows differ."""
    examples: list[dict[str, Any]] = []


class Report(msgspec.Struct, kw_only=True):
    """What was looked at, and what is wrong."""

    rows: int
    first: int
    newest: int
    added_up: int
    """The last row that is in the sums."""
    pruned: int
    """The last row that retention has let go."""
    cost: int
    """Of the rows there are, nano-dollars."""
    days: int
    """Days whose sums were worked out again."""
    findings: list[Finding] = []

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(engine: Engine, *, first_day: int = 0, last_day: int = 2**31, journal: Path | None = None) -> Report:
    """Look at everything; sums of the days (since 1970, UTC) from `first_day` to `last_day`.

    `journal` is that of a gateway on this machine, whose positions are looked at too. Raises SQLAlchemy's errors.
    """
    with snapshot(engine) as connection:
        found = _Verifier(connection, first_day, last_day)
        report = found.report()
        checks = [found.rows(), found.sides(), found.sums(), found.resets()]
        if journal is not None:
            checks.append(found.positions(journal))
        report.findings = [finding for check in checks for finding in check]
        report.days = found.days
    return report


class _Verifier:
    def __init__(self, connection: Connection, first_day: int, last_day: int) -> None:
        self._connection = connection
        positions = {row["name"]: int(row["seq"]) for row in self._all("SELECT name, seq FROM ledger_positions")}
        self._added_up = positions.get(rollup.SPEND, 0)
        self._pruned = positions.get(rollup.PRUNED, 0)
        self._first_day, self._last_day = first_day, last_day
        self.days = 0

    def report(self) -> Report:
        """What there is."""
        (row,) = self._all(
            "SELECT count(*) AS n, coalesce(min(seq), 0) AS a, coalesce(max(seq), 0) AS z,"
            " coalesce(sum(cost), 0) AS cost FROM event_rows"
        )
        return Report(
            rows=row["n"],
            first=row["a"],
            newest=row["z"],
            added_up=self._added_up,
            pruned=self._pruned,
            cost=int(row["cost"]),
            days=0,
        )

    def rows(self) -> Iterator[Finding]:
        """Rows follow one another without a gap, each Event is there once, and each has its context."""
        yield from self._none(
            "gaps",
            "rows are missing before these",
            "SELECT seq, before FROM (SELECT seq, coalesce(lag(seq) OVER (ORDER BY seq), :pruned) AS before"
            " FROM event_rows) AS s WHERE seq <> before + 1 AND seq > :pruned",
            pruned=self._pruned,
        )
        yield from self._none(
            "duplicates",
            "Events are in the ledger more than once",
            "SELECT id, count(*) AS times FROM event_rows GROUP BY id HAVING count(*) > 1",
        )
        yield from self._none(
            "contexts",
            "rows have a context that is not there",
            "SELECT r.seq, r.context FROM event_rows AS r LEFT JOIN event_contexts AS c ON c.id = r.context"
            " WHERE c.id IS NULL",
        )
        yield from self._none(
            "added_up",
            "the sums claim rows that are not there",
            "SELECT :added AS added_up, newest FROM (SELECT coalesce(max(seq), :pruned) AS newest FROM event_rows) AS s"
            " WHERE newest < :added",
            added=self._added_up,
            pruned=self._pruned,
        )

    def sides(self) -> Iterator[Finding]:
        """What stands beside rows belongs to one."""
        for table in SIDES:
            yield from self._none(
                table,
                f"rows of {table} belong to no Event",
                f"SELECT d.seq FROM {table} AS d LEFT JOIN event_rows AS r ON r.seq = d.seq"
                " WHERE r.seq IS NULL AND d.seq > :pruned",
                pruned=self._pruned,
            )

    def sums(self) -> Iterator[Finding]:
        """What is kept is what the rows add up to."""
        reach = {"lo": str(self._pruned), "hi": str(self._added_up)}
        dialect = self._connection.dialect.name
        ends = " ON COMMIT DROP" if dialect == "postgresql" else ""
        for table, columns, select in (
            ("delta", rollup.DELTA, rollup.delta(reach.__getitem__)),
            ("labels", rollup.LABELS, rollup.labels(reach.__getitem__, dialect)),
        ):
            names = ", ".join(columns)
            self._connection.execute(
                text(f"CREATE TEMP TABLE {table}{ends} AS WITH s ({names}) AS ({select}) SELECT * FROM s")
            )
        try:
            (row,) = self._all(
                f"SELECT count(DISTINCT quarter / {DAY_QUARTERS}) AS n FROM delta"
                f" WHERE {self._compared(f'quarter / {DAY_QUARTERS}')}"
            )
            self.days = row["n"]
            for sums in rollup.ALL:
                yield from self._compare(sums)
        finally:
            if dialect != "postgresql":
                self._connection.execute(text("DROP TABLE temp.delta"))
                self._connection.execute(text("DROP TABLE temp.labels"))
        yield from self._none(
            "spend_totals",
            "sums of all time differ from those of their quarters",
            "SELECT kind, id, share, "
            + ", ".join(f"{_difference(name)} AS {name}" for name in TOTALS)
            + " FROM spend_totals GROUP BY kind, id, share HAVING "
            + " OR ".join(f"{_difference(name)} <> 0" for name in TOTALS),
        )

    def resets(self) -> Iterator[Finding]:
        """Spend that was set by hand leaves nobody with less than nothing."""
        yield from self._none(
            "spend_resets",
            "spend was set to less than nothing",
            "SELECT s.kind, s.subject, s.share, s.amount + coalesce(t.cost, 0) AS spend FROM spend_resets AS s"
            f" LEFT JOIN spend_totals AS t ON t.kind = s.kind AND t.id = s.subject AND t.share = s.share"
            f" AND t.quarter = {EVER}"
            " WHERE s.id IN (SELECT max(id) FROM spend_resets GROUP BY kind, subject, share)"
            " AND s.amount + coalesce(t.cost, 0) < 0 AND NOT EXISTS (SELECT 1 FROM event_rows WHERE seq > :added)",
            added=self._added_up,
        )

    def positions(self, journal: Path) -> Iterator[Finding]:
        """What is said to be taken over of a segment is in it."""
        try:
            node = (journal / "node").read_text().strip()
        except FileNotFoundError:
            return  # nothing was ever taken from it
        wrong = []
        for row in self._all(
            'SELECT segment, "offset" AS reached FROM journal_positions WHERE node = :node', node=node
        ):
            try:
                size = (journal / row["segment"]).stat().st_size
            except FileNotFoundError:
                continue  # all of it is in the ledger
            if row["reached"] > size:
                wrong.append({**row, "size": size})
        if wrong:
            yield Finding("positions", "more was taken from segments than is in them", len(wrong), wrong[:EXAMPLES])

    def _compare(self, sums: rollup.Sums) -> Iterator[Finding]:
        by_quarter = sums.table == "spend_totals"
        day = f"quarter / {DAY_QUARTERS}" if by_quarter else "day"
        where = self._compared(day)
        if by_quarter:
            where += f" AND quarter <> {EVER} AND kind = '{sums.kind}'"
        keys = ", ".join(sums.keys)
        names = ", ".join(sums.names)
        minus = ", ".join(f"-{name}" for name in sums.names)
        totals = ", ".join(f"sum({name}) AS {name}" for name in sums.names)
        differs = " OR ".join(f"sum({name}) <> 0" for name in sums.names)
        yield from self._none(
            sums.table,
            "sums differ from what the rows add up to" + (f" ({sums.kind})" if sums.kind else ""),
            f"WITH again ({keys}, {names}) AS ({sums.select})"
            f" SELECT {keys}, {totals} FROM (SELECT {keys}, {names} FROM {sums.table} WHERE {where}"
            f" UNION ALL SELECT {keys}, {minus} FROM again WHERE {where}) AS s GROUP BY {keys} HAVING {differs}",
        )

    def _compared(self, day: str) -> str:
        """SQL for the days asked for all of whose rows are there."""
        return (
            f"{day} >= {self._first_day} AND {day} <= {self._last_day} AND {day} NOT IN"
            f" (SELECT DISTINCT quarter / {DAY_QUARTERS} FROM spend_quarters WHERE first_seq <= {self._pruned})"
        )

    def _none(self, check: str, message: str, query: str, **values: Any) -> Iterator[Finding]:
        """A finding, unless the query gives no row."""
        (row,) = self._all(f"SELECT count(*) AS n FROM ({query}) AS found", **values)
        if row["n"]:
            examples = self._all(f"{query} LIMIT {EXAMPLES}", **values)
            yield Finding(check, message, row["n"], [_plain(example) for example in examples])

    def _all(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(text(query), values).mappings()]


def _difference(name: str) -> str:
    return f"sum(CASE WHEN quarter = {EVER} THEN -{name} ELSE {name} END)"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Sums of PostgreSQL are of a type JSON does not have."""
    sums = {*METRICS, *TOTALS, "spend"}
    return {name: int(value) if name in sums else value for name, value in row.items()}
