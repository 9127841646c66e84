"""Sums of days from the ledger, by anything a context tells. A second behind the ledger, and quick at any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import String, bindparam, text

from routeiq.store.tables_spend import METRICS

if TYPE_CHECKING:
    from sqlalchemy import Engine

DIMENSIONS = {
    "day": "s.day",
    "model": "s.model",
    "upstream_model": "coalesce(nullif(c.upstream_model, ''), s.model)",
    "provider": "c.provider",
    "deployment": "c.deployment",
    "endpoint": "c.endpoint",
    "key": 'c."key"',
    "key_name": "c.key_name",
    "user_id": "c.user_id",
    "team_id": "c.team_id",
    "organization_id": "c.organization_id",
    "label": "s.id",
}
"""What sums can be grouped and filtered by. `label`, the end user or the tag, is there where a `kind` is asked for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Whose requests a caller may see: all, or those that one of these is about."""

    all: bool = True
    keys: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()

    def columns(self) -> dict[str, frozenset[str]]:
        """By the column of a context."""
        return {
            "key": self.keys, "user_id": self.users, "team_id": self.teams, "organization_id": self.organizations
        }  # fmt: skip


ALL = Seen()


class Sum(msgspec.Struct, kw_only=True):
    """Sums of the requests that have these values in common: `METRICS` of `tables_spend`."""

    of: dict[str, Any]
    requests: int
    failed: int
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    written_tokens: int
    reasoning_tokens: int
    cost: int
    duration: int

    def add(self, other: Sum) -> None:
        """Add another's figures."""
        for name in METRICS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which days, whose requests, and which of them."""

    first_day: int
    last_day: int
    """Days since 1970, UTC; both are in it."""
    seen: Seen = ALL
    kind: str = ""
    """`end_user` or `tag`: sums of `spend_labels`, which have a `label`."""
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Values allowed by dimension."""
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)


class ActivityRepository:
    """`spend_days` and `spend_labels`. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sums(
        self,
        wanted: Wanted,
        by: Iterable[str],
        *,
        order: str = "1",
        limit: int | None = None,
        offset: int = 0,
        keep_keys: Sequence[str] | None = None,
    ) -> list[Sum]:
        """Sums by these dimensions, in `order` (SQL). With `keep_keys` all other keys are one, without a name."""
        names = list(by)
        columns = [DIMENSIONS[name] for name in names]
        where, values = _where(wanted)
        if keep_keys is not None:
            kept = f"CASE WHEN {DIMENSIONS['key']} IN :kept THEN"
            columns = [
                f"{kept} {column} ELSE '' END" if name in ("key", "key_name") else column
                for name, column in zip(names, columns, strict=True)
            ]
            values["kept"] = list(keep_keys)
        places = ", ".join(str(number + 1) for number in range(len(columns)))
        query = (
            f"SELECT {', '.join([*columns, *(f'sum(s.{name})' for name in METRICS)])} {_source(wanted)}"
            f" WHERE {where}{f' GROUP BY {places}' if places else ''} ORDER BY {order}"
        )
        if limit is not None:
            query += " LIMIT :limit OFFSET :offset"
            values |= {"limit": limit, "offset": offset}
        count = len(names)
        return [
            Sum(
                of=dict(zip(names, row[:count], strict=True)),
                **{name: int(value or 0) for name, value in zip(METRICS, row[count:], strict=True)},
            )
            for row in self._run(query, values)
        ]

    def total(self, wanted: Wanted) -> Sum:
        """One sum of all."""
        return self.sums(wanted, ())[0]

    def count(self, wanted: Wanted, by: Iterable[str]) -> int:
        """How many sums there are by these dimensions."""
        where, values = _where(wanted)
        columns = ", ".join(DIMENSIONS[name] for name in by)
        query = f"SELECT count(*) FROM (SELECT DISTINCT {columns} {_source(wanted)} WHERE {where}) AS found"
        return int(self._run(query, values)[0][0])

    def _run(self, query: str, values: dict[str, Any]) -> list[Any]:
        made = text(query).bindparams(
            *(
                bindparam(name, type_=String, expanding=True)
                for name, value in values.items()
                if isinstance(value, list)
            )
        )
        with self._engine.connect() as connection:
            return list(connection.execute(made, values))


def _source(wanted: Wanted) -> str:
    table = "spend_labels" if wanted.kind else "spend_days"
    return f"FROM {table} AS s JOIN event_contexts AS c ON c.id = s.context"


def _where(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    parts = ["s.day >= :first_day AND s.day <= :last_day"]
    values: dict[str, Any] = {"first_day": wanted.first_day, "last_day": wanted.last_day}
    if wanted.kind:
        parts.append("s.kind = :kind")
        values["kind"] = wanted.kind
    for word, filters in (("IN", wanted.only), ("NOT IN", wanted.without)):
        for name, allowed in filters.items():
            parameter = f"{'not_' if word == 'NOT IN' else ''}{name}"
            parts.append(f"{DIMENSIONS[name]} {word} :{parameter}")
            values[parameter] = list(allowed)
    if not wanted.seen.all:
        parts.append(seen_sql(wanted.seen, values))
    return " AND ".join(parts), values


def seen_sql(seen: Seen, values: dict[str, Any]) -> str:
    """SQL over a context `c` for what may be seen; its parameters are put among the values."""
    either = []
    for name, allowed in seen.columns().items():
        if allowed:
            either.append(f"{DIMENSIONS[name]} IN :seen_{name}")
            values[f"seen_{name}"] = sorted(allowed)
    return f"({' OR '.join(either)})" if either else "false"
