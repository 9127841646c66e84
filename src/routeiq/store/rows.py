"""Records in tables: read whole, written whole, found by the columns that stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from sqlalchemy import and_, delete, func, select

from routeiq.store.database import insert_into

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table

R = TypeVar("R")
Id = str | tuple[str, str]
_encode = msgspec.json.Encoder().encode
_CHUNK = 500
"""Ids in one query: SQLite takes 32,766 parameters."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """How a record lies in its table."""

    table: Table
    primary: tuple[str, ...]
    decode: Callable[[str], R]
    columns: Callable[[R], dict[str, Any]]
    """What stands beside the record."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some of the records that were asked for, and how many there are."""

    records: list[R]
    total: int
    size: int

    @property
    def pages(self) -> int:
        """How many of this size there are."""
        return -(-self.total // self.size)


class Rows(Generic[R]):
    """One table in one transaction."""

    def __init__(self, connection: Connection, kind: Kind[R]) -> None:
        self.connection = connection
        self._kind = kind
        self._table = kind.table

    def get(self, id: Id) -> R | None:
        """The record with this id."""
        found = self.connection.execute(select(self._table).where(self._is(id))).one_or_none()
        return self.decode(found) if found is not None else None

    def lock(self, id: Id) -> R | None:
        """The same, and nobody else changes it before the transaction ends."""
        found = self.connection.execute(select(self._table).where(self._is(id)).with_for_update()).one_or_none()
        return self.decode(found) if found is not None else None

    def many(self, ids: Iterable[str]) -> dict[str, R]:
        """Those there are of these, by their id; for tables with one column as key."""
        wanted = sorted({id for id in ids if id})
        column = self._table.c[self._kind.primary[0]]
        found: dict[str, R] = {}
        for start in range(0, len(wanted), _CHUNK):
            query = select(self._table).where(column.in_(wanted[start : start + _CHUNK]))
            for row in self.connection.execute(query):
                found[getattr(row, column.name)] = self.decode(row)
        return found

    def add(self, record: R) -> bool:
        """Whether it could be put in: False when its id is taken."""
        made = insert_into(self.connection, self._table).values(self._values(record))
        done = made.on_conflict_do_nothing(index_elements=self._kind.primary).returning(*self._primary())
        return self.connection.execute(done).first() is not None

    def put(self, record: R) -> None:
        """Put in or replace."""
        values = self._values(record)
        made = insert_into(self.connection, self._table).values(values)
        self.connection.execute(made.on_conflict_do_update(index_elements=self._kind.primary, set_=values))

    def remove(self, where: ColumnElement[bool]) -> int:
        """How many there were."""
        return self.connection.execute(delete(self._table).where(where)).rowcount

    def remove_one(self, id: Id) -> bool:
        """Whether there was one."""
        return self.remove(self._is(id)) > 0

    def all(self, where: ColumnElement[bool], limit: int | None = None) -> list[R]:
        """Those for which this holds, by their id."""
        query = select(self._table).where(where).order_by(*self._primary()).limit(limit)
        return [self.decode(row) for row in self.connection.execute(query)]

    def count(self, where: ColumnElement[bool]) -> int:
        """How many there are."""
        return int(self.connection.execute(select(func.count()).select_from(self._table).where(where)).scalar_one())

    def page(
        self,
        where: ColumnElement[bool],
        *,
        page: int,
        size: int,
        by: ColumnElement[Any] | None = None,
        descending: bool = False,
    ) -> Page[R]:
        """The `page`-th (from 1) `size` records, in the order of a column and then of their id."""
        first = () if by is None else (by.desc() if descending else by.asc(),)
        query = select(self._table).where(where).order_by(*first, *self._primary())
        found = self.connection.execute(query.limit(size).offset((page - 1) * size)).all()
        return Page([self.decode(row) for row in found], self.count(where), size)

    def decode(self, row: Any) -> R:
        """The record of a row."""
        return self._kind.decode(row.data)

    def _values(self, record: R) -> dict[str, Any]:
        return {**self._kind.columns(record), "data": _encode(record).decode()}

    def _primary(self) -> list[ColumnElement[Any]]:
        return [self._table.c[name] for name in self._kind.primary]

    def _is(self, id: Id) -> ColumnElement[bool]:
        parts = (id,) if isinstance(id, str) else id
        return and_(*(column == part for column, part in zip(self._primary(), parts, strict=True)))


def contains(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether a column has this text in it, in any case; `%` and `_` are themselves."""
    return column.icontains(text, autoescape=True)
