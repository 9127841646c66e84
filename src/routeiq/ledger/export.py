"""The ledger as files, one a day: JSON lines or Parquet, in a directory or an object store.

Days are UTC's. A file is written here first and put in its place as a whole, so there is never half of one; a day that
is over and has its file is passed over, so an export that was cut off goes on where it stopped.
https://developmentseed.org/obstore/latest/getting-started/
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import text

from routeiq.core.money import dollars
from routeiq.store.tables import events
from routeiq.store.tables_spend import DAY_QUARTERS

if TYPE_CHECKING:
    from sqlalchemy import Engine

Format = Literal["jsonl", "parquet"]
ROWS = 10_000
"""Read and written at a time."""
DAY_SECONDS = 86_400
_DAY = DAY_SECONDS * 1_000_000
_FLAGS = ("stream", "estimated", "hedged")
_LISTS = ("tags", "request_tags")


class ExportFailed(Exception):
    """It can't be written there."""


class DayFile(msgspec.Struct, frozen=True):
    """What became of one day."""

    day: str
    name: str
    requests: int
    size: int
    """Bytes."""
    skipped: bool = False
    """It was there already."""


class Place:
    """A directory, or a prefix in an object store. Raises `ExportFailed`."""

    def __init__(self, output: str) -> None:
        """`output` is a path, or a URL: `s3://`, `gs://`, `az://`; credentials are those of the environment."""
        try:
            import obstore
            from obstore.store import LocalStore, from_url
        except ImportError:
            raise ExportFailed("an export needs the extra: pip install 'routeiq[export]'") from None
        self._obstore = obstore
        try:
            self._store: Any
            if "://" in output:
                self._store = from_url(output)
            else:
                self._store = LocalStore(Path(output).absolute(), mkdir=True)
        except Exception as error:  # obstore's have no common base but this
            raise ExportFailed(_said(error)) from error

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            self._obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        except Exception as error:
            raise ExportFailed(_said(error)) from error
        return True

    def put(self, name: str, file: IO[bytes]) -> None:
        """Put a whole file there, in the place of another of its name."""
        try:
            self._obstore.put(self._store, name, file)
        except Exception as error:
            raise ExportFailed(_said(error)) from error


def export(
    engine: Engine,
    place: Place,
    form: Format,
    *,
    first_day: int = 0,
    last_day: int = 2**31,
    again: bool = False,
    now: float | None = None,
) -> Iterator[DayFile]:
    """Write each day (since 1970) that has requests; tells of every one when it is done.

    Only what is added up is written. The day that is not over is written anew every time; `again` does so with all.
    Raises `ExportFailed`, SQLAlchemy's errors.
    """
    if form == "parquet":
        _parquet()
    today = int((time.time() if now is None else now) // DAY_SECONDS)
    for day, first, last in _days(engine, first_day, last_day):
        date = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
        name = f"requests-{date}.{form}"
        if day < today and not again and place.has(name):
            yield DayFile(date, name, 0, 0, skipped=True)
            continue
        with tempfile.TemporaryFile() as file:
            count = (_write_jsonl if form == "jsonl" else _write_parquet)(file, _rows(engine, day, first, last))
            size = file.tell()
            file.seek(0)
            place.put(name, file)
        yield DayFile(date, name, count, size)


def _days(engine: Engine, first_day: int, last_day: int) -> list[tuple[int, int, int]]:
    """Days that have requests, and the rows they are among."""
    day = f"quarter / {DAY_QUARTERS}"
    query = (
        f"SELECT {day}, min(first_seq), max(last_seq) FROM spend_quarters WHERE {day} >= :first AND {day} <= :last"
        " GROUP BY 1 ORDER BY 1"
    )
    with engine.connect() as connection:
        pruned = connection.execute(text("SELECT seq FROM ledger_positions WHERE name = 'pruned'")).scalar() or 0
        rows = connection.execute(text(query), {"first": first_day, "last": last_day}).all()
    return [(int(day), int(first), int(last)) for day, first, last in rows if first > pruned]


def _rows(engine: Engine, day: int, first: int, last: int) -> Iterator[list[dict[str, Any]]]:
    where = "seq > :after AND seq <= :last AND at >= :start AND at < :end"
    query = text(f"SELECT * FROM events WHERE {where} ORDER BY seq LIMIT :rows")
    after = first - 1
    while True:
        with engine.connect() as connection:
            values = {"after": after, "last": last, "start": day * _DAY, "end": (day + 1) * _DAY, "rows": ROWS}
            found = [dict(row) for row in connection.execute(query, values).mappings()]
        if found:
            yield found
        if len(found) < ROWS:
            return
        after = found[-1]["seq"]


def _write_jsonl(file: IO[bytes], batches: Iterator[list[dict[str, Any]]]) -> int:
    count = 0
    encode = msgspec.json.Encoder().encode
    for batch in batches:
        for row in batch:
            row["cost_usd"] = None if row["cost"] is None else dollars(row["cost"])
            file.write(encode(_typed(row)) + b"\n")
        count += len(batch)
    return count


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    for name in _LISTS:
        row[name] = msgspec.json.decode(row[name]) if row[name] else []
    for name in _FLAGS:
        row[name] = bool(row[name])
    return row


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ExportFailed("Parquet needs the extra: pip install 'routeiq[export]'") from None
    return pyarrow


def _write_parquet(file: IO[bytes], batches: Iterator[list[dict[str, Any]]]) -> int:
    """`at` is a timestamp, `cost` in nano-dollars and, in dollars, a decimal of nine places."""
    arrow = _parquet()
    types = {"at": arrow.timestamp("us", tz="UTC"), "seconds": arrow.float64(), "cost_usd": arrow.decimal128(28, 9)}
    types |= dict.fromkeys(_FLAGS, arrow.bool_()) | dict.fromkeys(_LISTS, arrow.list_(arrow.string()))
    names = [*events.columns.keys(), "cost_usd"]
    for column in events.columns:
        python = column.type.python_type
        types.setdefault(column.name, arrow.int64() if python is int else arrow.string())
    schema = arrow.schema([(name, types[name]) for name in names])
    count = 0
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            for row in batch:
                row["cost_usd"] = None if row["cost"] is None else Decimal(row["cost"]).scaleb(-9)
            writer.write_table(arrow.Table.from_pylist([_typed(row) for row in batch], schema=schema))
            count += len(batch)
    return count


def _said(error: Exception) -> str:
    """An error's first line."""
    return str(error).strip().partition("\n")[0][:500] or type(error).__name__
