"""`routeiq requests`: what the gateway has served, from its ledger."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from routeiq.cli.place import Json, StateDir, fail, state_directory
from routeiq.core.database import Database, parse_database
from routeiq.core.money import dollars
from routeiq.ledger.tail import LedgerTail, LedgerUnreadable
from routeiq.store.database import database_path

POLL_SECONDS = 0.3

requests_app = App(name="requests", help="Look at requests that were served.")


@requests_app.command
def tail(
    *,
    state_dir: StateDir = None,
    database: str | None = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="--no-follow")] = False,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20,
    json: Json = False,
    model: str | None = None,
    key: str | None = None,
) -> int:
    """Print the last requests, one a line.

    Parameters
    ----------
    database
        The ledger, where neither DATABASE_URL nor the state directory has it: a file, or a URL without a password.
    follow
        Go on with new ones until Ctrl-C.
    count
        How many to begin with.
    model
        Only those for this model.
    key
        Only those of this key: its name, or its SHA-256 in hex.
    """
    try:
        where = database_of(database or os.environ.get("DATABASE_URL"), state_dir)
        ledger = LedgerTail(where, model=model, key=key)
    except (LedgerUnreadable, ValueError) as error:
        return fail(str(error))
    console = Console(highlight=False)
    try:
        if not json:
            console.print(header(), soft_wrap=True)
        rows = ledger.last(max(0, count))
        while True:
            for row in rows:
                if json:
                    print(as_json(row), flush=True)
                else:
                    console.print(as_text(row), soft_wrap=True)
            if not follow:
                return 0
            time.sleep(POLL_SECONDS)
            rows = ledger.more()
    except KeyboardInterrupt:
        return 0
    except LedgerUnreadable as error:
        return fail(str(error))
    finally:
        ledger.close()


def database_of(named: str | None, state_dir: Path | None) -> Database:
    """A path, a URL, or else the state directory's file. Raises `ValueError` for a URL that is none."""
    if not named:
        return database_path(state_directory(state_dir))
    if "://" not in named and not named.startswith("sqlite:"):
        return Path(named)
    try:
        return parse_database(named)
    except ValueError as error:
        raise ValueError(f"the database's URL {error}") from None


def as_json(row: dict[str, Any]) -> str:
    """A row as one line of JSON: money in nano-dollars, durations in microseconds."""
    shown = dict(row)
    for name in ("tags", "request_tags"):
        shown[name] = msgspec.Raw((row[name] or "[]").encode())
    for name in ("stream", "estimated", "hedged"):
        shown[name] = bool(row[name])
    return msgspec.json.encode(shown).decode()


def header() -> Text:
    """The line above the requests."""
    return Text(_line("TIME", "STATUS", "IN/OUT", "COST", "TTFT", "TOTAL", "MODEL"), style="bold")


def as_text(row: dict[str, Any]) -> Text:
    """A row as one line for people."""
    ok = row["status"] < 400
    where = f"{row['model']} → {row['provider']}/{row['upstream_model']}" if row["deployment"] else row["model"]
    notes = [row["error"]] if row["error"] else []
    notes += [f"{row[name]} {name}" for name in ("retries", "fallbacks") if row[name]]
    notes += ["hedged"] if row["hedged"] else []
    text = Text(
        _line(
            datetime.fromtimestamp(row["at"] / 1e6).strftime("%H:%M:%S"),
            str(row["status"]),
            f"{row['prompt_tokens']}/{row['completion_tokens']}",
            f"${dollars(row['cost'])}" if row["cost"] is not None else "-",
            _milliseconds(row["ttft"]),
            _milliseconds(row["duration"]),
            where,
        )
    )
    if not ok:
        text.stylize("red")
    if notes:
        text.append("  " + ", ".join(notes), style="dim")
    return text


def _line(*cells: str) -> str:
    when, status, tokens, cost, ttft, total, rest = cells
    return f"{when:<9}{status:<7}{tokens:>11}  {cost:>13} {ttft:>9} {total:>9}  {rest}"


def _milliseconds(microseconds: int) -> str:
    return f"{microseconds / 1000:.0f} ms" if microseconds else "-"
