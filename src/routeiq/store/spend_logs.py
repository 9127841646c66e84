"""Single requests of the ledger by time and whom they were for: what LiteLLM calls spend logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, bindparam, text

from routeiq.store.activity import ALL, Seen, seen_sql
from routeiq.store.tables_spend import QUARTER_SECONDS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

MOST_COUNTED = 10_000
"""Counting stops there."""
_QUARTER = QUARTER_SECONDS * 1_000_000
FILTERS = {
    "key": 'c."key" = :key',
    "key_name": "c.key_name = :key_name",
    "user_id": "c.user_id = :user_id",
    "team_id": "c.team_id = :team_id",
    "organization_id": "c.organization_id = :organization_id",
    "deployment": "c.deployment = :deployment",
    "group": 'c."group" = :group',
    "model": "(r.model = :model OR c.upstream_model = :model OR d.upstream_model = :model)",
    "end_user": 'd."user" = :end_user',
    "run_id": "d.run_id = :run_id",
    "request_id": (
        "r.seq IN (SELECT seq FROM event_rows WHERE id = :request_id"
        " UNION SELECT seq FROM event_details WHERE request_id = :request_id)"
    ),
    "min_cost": "r.cost >= :min_cost",
    "max_cost": "r.cost <= :max_cost",
}
"""Conditions by the name of what they take."""
STATUSES = {"success": "coalesce(d.status, 200) < 400", "failure": "coalesce(d.status, 200) >= 400"}
_SOURCE = "FROM event_rows AS r CROSS JOIN event_contexts AS c LEFT JOIN event_details AS d ON d.seq = r.seq"
"""CROSS JOIN keeps SQLite from beginning with the contexts: rows are found by `seq` only."""


@dataclass(frozen=True, slots=True)
class Logs:
    """Which requests. Times in Unix microseconds, `None` without an end."""

    start: int | None = None
    end: int | None = None
    seen: Seen = ALL
    filters: dict[str, Any] = field(default_factory=dict)
    status: str = ""


class SpendLogs:
    """The `events` view. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, logs: Logs, *, limit: int, offset: int = 0, oldest_first: bool = False) -> list[dict[str, Any]]:
        """Rows of `events`, newest first, with `prompt` and `answer`: empty where they are not kept."""
        order = "ASC" if oldest_first else "DESC"
        with self._engine.connect() as connection:
            where, values = _where(connection, logs)
            found = f"SELECT r.seq {_SOURCE} WHERE {where} ORDER BY r.seq {order} LIMIT :limit OFFSET :offset"
            values |= {"limit": limit, "offset": offset}
            numbers = [row[0] for row in connection.execute(_clause(found, values), values)]
            if not numbers:
                return []
            query = text(f"SELECT * FROM events WHERE seq IN :numbers ORDER BY seq {order}")
            query = query.bindparams(bindparam("numbers", expanding=True))
            rows = [dict(row) for row in connection.execute(query, {"numbers": numbers}).mappings()]
            said = text("SELECT seq, prompt, answer FROM event_prompts WHERE seq IN :numbers")
            said = said.bindparams(bindparam("numbers", expanding=True))
            kept = {seq: (prompt, told) for seq, prompt, told in connection.execute(said, {"numbers": numbers})}
        for row in rows:
            row["prompt"], row["answer"] = kept.get(row["seq"], ("", ""))
        return rows

    def count(self, logs: Logs) -> int:
        """How many there are, up to `MOST_COUNTED`."""
        with self._engine.connect() as connection:
            where, values = _where(connection, logs)
            query = f"SELECT count(*) FROM (SELECT r.seq {_SOURCE} WHERE {where} LIMIT {MOST_COUNTED}) AS found"
            return int(connection.execute(_clause(query, values), values).scalar() or 0)


def _clause(query: str, values: dict[str, Any]) -> Any:
    lists = (name for name, value in values.items() if isinstance(value, list))
    return text(query).bindparams(*(bindparam(name, type_=String, expanding=True) for name in lists))


def _where(connection: Connection, logs: Logs) -> tuple[str, dict[str, Any]]:
    parts = ["c.id = r.context"]
    values: dict[str, Any] = dict(logs.filters)
    parts += [FILTERS[name] for name in logs.filters]
    if logs.status:
        parts.append(STATUSES[logs.status])
    if not logs.seen.all:
        parts.append(seen_sql(logs.seen, values))
    added_up = connection.execute(text("SELECT seq FROM ledger_positions WHERE name = 'spend'")).scalar() or 0
    if logs.start is not None:
        # Rows have no index by time; the quarters know where theirs are.
        first = _mark(connection, "min(first_seq)", "quarter >= :quarter", logs.start // _QUARTER)
        parts.append("r.seq >= :first_seq AND r.at >= :start")
        values |= {"first_seq": min(first or added_up + 1, added_up + 1), "start": logs.start}
    if logs.end is not None:
        last = _mark(connection, "max(last_seq)", "quarter <= :quarter", logs.end // _QUARTER)
        parts.append("(r.seq <= :last_seq OR r.seq > :added_up) AND r.at <= :end")
        values |= {"last_seq": last or 0, "added_up": added_up, "end": logs.end}
    return " AND ".join(parts), values


def _mark(connection: Connection, of: str, where: str, quarter: int) -> int | None:
    query = text(f"SELECT {of} FROM spend_quarters WHERE {where}")
    return connection.execute(query, {"quarter": quarter}).scalar()
