"""How PostgreSQL keeps the rows of Events: in partitions by `seq`, so that old ones go as a whole.

https://www.postgresql.org/docs/current/ddl-partitioning.html. A new partition is made apart and attached, which holds
up nobody who reads or writes.
"""

from __future__ import annotations

import re

TABLES = ("event_rows", "event_details", "event_usage")
"""Each has the same partitions."""
SIZE = 10_000_000
"""Rows of a partition."""
AHEAD = 2 * SIZE
"""Rows there is room for, at the least, when a batch is committed."""
BOUNDS = (
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
    " FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('{table}')"
)
_BOUND = re.compile(r"FROM \((MINVALUE|'?-?\d+'?)\) TO \('?(\d+)'?\)")


def upper_bound(text: str) -> int:
    """The first `seq` that is not in a partition, from PostgreSQL's words for its bounds."""
    found = _BOUND.search(text)
    if found is None:
        raise ValueError(f"a partition has bounds of another kind: {text}")
    return int(found[2])


def made(table: str, start: int, end: int) -> tuple[str, ...]:
    """Statements that make one partition."""
    name = f"{table}_p{start}"
    return (
        f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)",
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})",
    )
