"""What was spent, by whom, since when: sums that are kept, and the rows that are not in them yet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, text

from routeiq.core.own_tags import OWN_KINDS, own_tag
from routeiq.store.activity import ActivityRepository
from routeiq.store.spend_logs import SpendLogs
from routeiq.store.subjects import SHARED, TAG, id_of, matches, public
from routeiq.store.tables_spend import EVER, KINDS, QUARTER_SECONDS, spend_resets

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, TextClause

MOST_IDS = 500
"""Asked for in one statement."""
MEASURES = {
    "cost": ("cost", "r.cost"),
    "requests": ("requests", "1"),
    "tokens": ("prompt_tokens + completion_tokens", "r.prompt_tokens + r.completion_tokens"),
    "input_tokens": ("prompt_tokens", "r.prompt_tokens"),
    "output_tokens": ("completion_tokens", "r.completion_tokens"),
}
"""What a subject came to, in `spend_totals` and in a row: nano-dollars, and numbers."""
_QUARTER = QUARTER_SECONDS * 1_000_000
# CROSS JOIN keeps SQLite from beginning with the contexts: rows are found by `seq` only.
_ROWS = "event_rows AS r CROSS JOIN event_contexts AS c LEFT JOIN event_details AS d ON d.seq = r.seq"
_OWN = "c.id = r.context"
_SHARE = public("c", "r.model")


@contextlib.contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection to which the database stands still until it is closed."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            yield connection.execution_options(isolation_level="REPEATABLE READ")
        else:
            connection.exec_driver_sql("BEGIN")
            yield connection


class SpendRepository:
    """Nano-dollars, exact up to the last row of the ledger. Methods block; call them off the event loop.

    A subject is a kind of `KINDS` and an id: a key's hex SHA-256, a member's `<team_id>/<user_id>`, a public model's
    name; `""` for `global`; or a kind of `OWN_KINDS`, counted by its tag. Spend that was set by `reset` counts from
    there on.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self.activity = ActivityRepository(engine)
        """Sums of days, for reports."""
        self.logs = SpendLogs(engine)
        """Single requests."""

    def spent(self, kind: str, id: str, since: float = 0.0, share: str = "") -> int:
        """What a subject's requests cost that arrived at Unix time `since` or later.

        `share` counts those for one public model only, or for all that a pattern such as `gpt-*` fits.
        """
        return self.spent_many(kind, [id], since, share)[id]

    def counted(self, kind: str, id: str, since: float, what: str) -> int:
        """One of `MEASURES` of a kind of `OWN_KINDS`."""
        tag = own_tag(kind, id)
        with snapshot(self._engine) as connection:
            return _Reader(connection, TAG, "", what).raw([tag], since)[tag]

    def spent_many(self, kind: str, ids: Iterable[str], since: float = 0.0, share: str = "") -> dict[str, int]:
        """The same for many subjects of a kind, each of which is in the answer."""
        if kind in OWN_KINDS:
            named = {own_tag(kind, id): id for id in ids}
            return {named[tag]: amount for tag, amount in self.spent_many(TAG, named, since, share).items()}
        _known(kind)
        if share and kind not in SHARED:
            raise ValueError(f"the spend of a {kind} is not kept by model")
        wanted = list(dict.fromkeys(ids))
        found: dict[str, int] = {}
        with snapshot(self._engine) as connection:
            reader = _Reader(connection, kind, share)
            for start in range(0, len(wanted), MOST_IDS):
                part = wanted[start : start + MOST_IDS]
                set_by_hand = reader.resets(part, since)
                plain = [id for id in part if id not in set_by_hand]
                found |= reader.raw(plain, since)
                ever = reader.raw(list(set_by_hand), 0.0)
                found |= {id: ever[id] + amount for id, amount in set_by_hand.items()}
        return found

    def reset(self, kind: str, id: str, by: str, to: int = 0) -> int:
        """Let a subject's spend be `to` nano-dollars from now on; what it was before. `by` is who asked for it.

        Nothing in the ledger changes: the difference is noted, and so are those of the single models, to nothing.
        """
        _known(kind)
        now = self._clock()
        with snapshot(self._engine) as connection:
            reader = _Reader(connection, kind, "")
            raw = reader.raw([id], 0.0)[id]
            before = raw + reader.resets([id], 0.0).get(id, 0)
            shares = reader.shares(id, 0.0) if kind in SHARED else {}
        rows = [{"share": "", "amount": to - raw}]
        rows += [{"share": share, "amount": -amount} for share, amount in shares.items() if amount]
        with self._engine.begin() as connection:
            connection.execute(
                insert(spend_resets), [{"kind": kind, "subject": id, "at": now, "by": by, **row} for row in rows]
            )
        return before

    def reset_all(self, kinds: Iterable[str], by: str) -> int:
        """Let the spend of every subject of these kinds be nothing from now on; how many subjects had any."""
        count = 0
        for kind in kinds:
            _known(kind)
            with snapshot(self._engine) as connection:
                reader = _Reader(connection, kind, "")
                amounts = reader.everything()
            now = self._clock()
            with self._engine.begin() as connection:
                for start in range(0, len(amounts), 10_000):
                    rows = [
                        {"kind": kind, "subject": id, "share": share, "at": now, "amount": -amount, "by": by}
                        for (id, share), amount in amounts[start : start + 10_000]
                    ]
                    connection.execute(insert(spend_resets), rows)
            count += sum(not share for (_, share), _ in amounts)
        return count


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"there is no spend of a {kind}; kinds are {', '.join(KINDS)}")


class _Reader:
    """Sums of one kind, in one snapshot of the database."""

    def __init__(self, connection: Connection, kind: str, share: str, what: str = "cost") -> None:
        self._total, self._row = MEASURES[what]
        self._connection = connection
        self._dialect = connection.dialect.name
        self._kind = kind
        self._share = share
        self._position = int(self._scalar("SELECT seq FROM ledger_positions WHERE name = 'spend'") or 0)

    def resets(self, ids: list[str], since: float) -> dict[str, int]:
        """What to add to the sums of all time, for subjects whose spend was set since."""
        rows = self._run(
            "SELECT subject, amount FROM spend_resets WHERE kind = :kind AND subject IN :ids AND share = :share"
            " AND at >= :since ORDER BY id",
            ids=ids,
            share=self._share,
            since=since,
        )
        return {subject: int(amount) for subject, amount in rows}

    def raw(self, ids: list[str], since: float) -> dict[str, int]:
        """What the ledger says."""
        found = dict.fromkeys(ids, 0)
        if not ids:
            return found
        if "*" in self._share:
            for id in ids:
                shares = self.shares(id, since)
                found[id] = sum(cost for name, cost in shares.items() if fnmatchcase(name, self._share))
            return found
        quarters, parts = self._parts(since)
        kept = self._run(
            f"SELECT id, sum({self._total}) FROM spend_totals WHERE kind = :kind AND id IN :ids AND share = :share"
            f" AND {quarters} GROUP BY id",
            ids=ids,
            share=self._share,
        )
        for id, cost in kept:
            found[id] += int(cost)
        only = f" AND {_SHARE} = :share" if self._share else ""
        for where in parts:
            if self._kind in (TAG, "global"):
                for id in ids:
                    of = matches(self._kind, self._dialect)
                    query = f"SELECT coalesce(sum({self._row}), 0) FROM {_ROWS} WHERE {where}{only} AND {of}"
                    found[id] += int(self._scalar(query, id=id, share=self._share))
                continue
            of = id_of(self._kind)
            query = (
                f"SELECT {of}, coalesce(sum({self._row}), 0) FROM {_ROWS}"
                f" WHERE {where}{only} AND {of} IN :ids GROUP BY 1"
            )
            for id, cost in self._run(query, ids=ids, share=self._share):
                found[id] += int(cost)
        return found

    def shares(self, id: str, since: float) -> dict[str, int]:
        """A subject's spend by public model."""
        quarters, parts = self._parts(since)
        found: dict[str, int] = {}
        kept = "SELECT share, sum(cost) FROM spend_totals WHERE kind = :kind AND id = :id AND share <> ''"
        of = matches(self._kind, self._dialect)
        rows = f"SELECT {_SHARE}, coalesce(sum(r.cost), 0) FROM {_ROWS}"
        for query in (
            f"{kept} AND {quarters} GROUP BY share",
            *(f"{rows} WHERE {where} AND {of} GROUP BY 1" for where in parts),
        ):
            for share, cost in self._run(query, id=id):
                if share:
                    found[share] = found.get(share, 0) + int(cost)
        return found

    def everything(self) -> list[tuple[tuple[str, str], int]]:
        """All time's sums by (id, share)."""
        of = "''" if self._kind == "global" else id_of(self._kind)
        tail = f"FROM {_ROWS} WHERE {_OWN} AND r.seq > :position"
        parts = [
            f"SELECT id, share, cost FROM spend_totals WHERE kind = :kind AND quarter = {EVER}",
            f"SELECT {of}, '', coalesce(r.cost, 0) {tail}",
        ]
        if self._kind in SHARED:
            parts.append(f"SELECT {of}, {_SHARE}, coalesce(r.cost, 0) {tail} AND {_SHARE} <> ''")
        sums = f"SELECT id, share, sum(cost) FROM ({' UNION ALL '.join(parts)}) AS s"
        rows = self._run(f"{sums} GROUP BY 1, 2 HAVING sum(cost) <> 0", position=self._position)
        return [((id, share), int(cost)) for id, share, cost in rows if id or self._kind == "global"]

    def _parts(self, since: float) -> tuple[str, list[str]]:
        """SQL for the quarters that count in full, and for rows: those not added up yet, those of a broken quarter."""
        start = int(since * 1e6)
        if start <= 0:
            return f"quarter = {EVER}", [f"{_OWN} AND r.seq > {self._position}"]
        first = -(-start // _QUARTER)
        parts = [f"{_OWN} AND r.seq > {self._position} AND r.at >= {start}"]
        if start % _QUARTER:
            marks = self._connection.execute(
                text("SELECT first_seq, last_seq FROM spend_quarters WHERE quarter = :quarter"), {"quarter": first - 1}
            ).first()
            if marks is not None:
                last = min(marks[1], self._position)
                within = f"r.at >= {start} AND r.at < {first * _QUARTER}"
                parts.append(f"{_OWN} AND r.seq >= {marks[0]} AND r.seq <= {last} AND {within}")
        return f"quarter >= {first}", parts

    def _run(self, query: str, **values: Any) -> Any:
        return self._connection.execute(_clause(query, values), {"kind": self._kind, **values})

    def _scalar(self, query: str, **values: Any) -> Any:
        return self._connection.execute(_clause(query, values), values).scalar()


def _clause(query: str, values: dict[str, Any]) -> TextClause:
    made = text(query)
    return made.bindparams(bindparam("ids", expanding=True)) if "ids" in values else made
