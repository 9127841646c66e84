"""`routeiq ledger`: whether the account of all requests is right, and how far it has come."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from routeiq.cli.place import Json, StateDir, fail, state_directory
from routeiq.cli.requests import database_of
from routeiq.core.money import dollars

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from routeiq.core.database import Database

ledger_app = App(name="ledger", help="Check the account of all requests.")

Where = Annotated[
    str | None,
    Parameter(
        name="--database",
        help="A file, or a URL without a password. Default: DATABASE_URL, or the file in the state directory.",
    ),
]
Day = Annotated[datetime.date | None, Parameter(help="A day, UTC: 2027-01-31.")]


class Unusable(Exception):
    """There is no ledger, or it can't be read."""


@ledger_app.command
def verify(
    *,
    state_dir: StateDir = None,
    database: Where = None,
    from_: Annotated[Day, Parameter(name="--from")] = None,
    to: Day = None,
    json: Json = False,
) -> int:
    """Add the ledger up again and compare: exits with 1 when something differs. The gateway may run meanwhile.

    Looks at rows (none missing, none twice), their contexts, details and usage, the sums by day, subject and model,
    spend that was set by hand, and the journal's positions.

    Parameters
    ----------
    from_
        The first day whose sums are worked out again.
    to
        The last.
    """
    from routeiq.ledger.verify import verify as look

    journal = state_directory(state_dir) / "journal"
    try:
        with opened(database, state_dir) as engine:
            report = look(
                engine,
                first_day=_day(from_, 0),
                last_day=_day(to, 2**31),
                journal=journal if journal.is_dir() else None,
            )
    except Unusable as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode({"ok": report.ok, **msgspec.to_builtins(report)}).decode())
        return 0 if report.ok else 1
    print(f"{report.rows} requests, ${dollars(report.cost)}; sums of {report.days} days worked out again")
    for finding in report.findings:
        print(f"{finding.check}: {finding.message}: {finding.count}")
        for example in finding.examples:
            print(f"  {msgspec.json.encode(example).decode()}")
    print("the ledger agrees with itself" if report.ok else f"{len(report.findings)} checks failed")
    return 0 if report.ok else 1


@ledger_app.command
def status(*, state_dir: StateDir = None, database: Where = None, json: Json = False) -> int:
    """Show what the ledger has, and how far it is added up."""
    from routeiq.store.ledger import ledger_status

    try:
        with opened(database, state_dir) as engine:
            found = ledger_status(engine)
    except Unusable as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode(found).decode())
        return 0
    for name, value in msgspec.to_builtins(found).items():
        shown: Any = value
        if name in ("first_at", "last_at") and value is not None:
            shown = datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat(timespec="seconds")
        elif name == "cost":
            shown = f"${dollars(value)}"
        print(f"{name:<12}{'-' if shown is None else shown}")
    return 0


@ledger_app.command
def export(
    *,
    output: str,
    format: Literal["jsonl", "parquet"] = "jsonl",
    from_: Annotated[Day, Parameter(name="--from")] = None,
    to: Day = None,
    again: Annotated[bool, Parameter(negative="")] = False,
    state_dir: StateDir = None,
    database: Where = None,
    json: Json = False,
) -> int:
    """Write requests to files, one a day. Days that are over and have their file are passed over.

    Parameters
    ----------
    output
        A directory, or s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix.
    format
        JSON lines, or Parquet with a timestamp and the cost as a decimal beside nano-dollars.
    from_
        The first day.
    to
        The last. Default: the newest there is; today's is written as far as it has come, and anew the next time.
    again
        Write files that are there, too.
    """
    from routeiq.ledger import export as exports

    try:
        place = exports.Place(output)
        with opened(database, state_dir) as engine:
            for done in exports.export(
                engine, place, format, first_day=_day(from_, 0), last_day=_day(to, 2**31), again=again
            ):
                if json:
                    print(msgspec.json.encode(done).decode(), flush=True)
                else:
                    said = "there already" if done.skipped else f"{done.requests} requests, {done.size} bytes"
                    print(f"{done.day}  {done.name}  {said}", flush=True)
    except (Unusable, exports.ExportFailed) as error:
        return fail(str(error))
    return 0


@contextmanager
def opened(database: str | None, state_dir: Path | None) -> Iterator[Engine]:
    """The ledger's Engine. Raises `Unusable`, also for what the database says while it is worked with."""
    from sqlalchemy.exc import SQLAlchemyError

    from routeiq.store.database import engine
    from routeiq.store.migrate import MigrationFailed, current

    try:
        where: Database = database_of(database or os.environ.get("DATABASE_URL"), state_dir)
    except ValueError as error:
        raise Unusable(str(error)) from None
    if isinstance(where, Path) and not where.exists():
        raise Unusable(f"there is no ledger at {where}; DATABASE_URL or --database may name another")
    try:
        if not current(where):
            raise Unusable(f"{where} has the schema of an older version; start the gateway once")
        made = engine(where)
        try:
            yield made
        finally:
            made.dispose()
    except MigrationFailed as error:
        raise Unusable(str(error)) from error
    except SQLAlchemyError as error:
        raise Unusable(f"the ledger can't be read: {str(error).partition(chr(10))[0]}") from error


def _day(day: datetime.date | None, default: int) -> int:
    return default if day is None else (day - datetime.date(1970, 1, 1)).days
