"""CPU microseconds per Event of taking the Journal into the ledger and adding it up.

python bench/ingest.py [EVENTS] [BATCH_BYTES]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from routeiq.core.usage import Usage
from routeiq.ledger.event import Event, LineTemplate, encode_line
from routeiq.ledger.ingest import BATCH_BYTES, Ingester
from routeiq.ledger.target import opener
from routeiq.store.database import database_path
from routeiq.store.migrate import ensure_schema

CALLERS = 50


def caller(number: int) -> Event:
    """What the Events of one caller have in common."""
    return Event(
        id="",
        at=0,
        endpoint="chat",
        key=hashlib.sha256(str(number).encode()).hexdigest(),
        key_name="team-a",
        group="gpt-4o",
        deployment="d1a2b3c4d5e6",
        provider="openai",
        upstream_model="gpt-4o-2024-08-06",
        strategy="simple-shuffle",
        revision="abcdef123456",
        worker=1,
    )


def plain(count: int) -> Iterator[bytes]:
    """Lines such as chat completions leave that nothing happened to."""
    templates = [LineTemplate(caller(number)) for number in range(CALLERS)]
    for number in range(count):
        yield templates[number % CALLERS].line(
            str(uuid.uuid4()),
            1_700_000_000_000_000 + number * 100,
            b'"gpt-4o"',
            False,
            Usage(prompt=200 + number % 7, completion=150),
            1_234_567 + number,
            500_000 + number,
            20_000 + number % 1000,
            120,
        )


def detailed(count: int) -> Iterator[bytes]:
    """Lines with a request ID, which are written without a template."""
    for number in range(count):
        event = caller(number % CALLERS)
        event.id = str(uuid.uuid4())
        event.at = 1_700_000_000_000_000 + number * 100
        event.request_id = f"request-{number}"
        event.model = "gpt-4o"
        event.prompt_tokens, event.completion_tokens = 200 + number % 7, 150
        event.cost = 1_234_567 + number
        event.duration, event.ttft, event.overhead = 500_000 + number, 20_000 + number % 1000, 120
        yield encode_line(event)


def measure(kind: str, lines: list[bytes], batch_bytes: int) -> None:
    """Fill a journal, then ingest it."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        journal = state / "journal"
        journal.mkdir()
        segment = journal / f"w1-{int(time.time() * 1000)}-1-0.jsonl"
        segment.write_bytes(b"\n".join([*lines, b""]))
        size = segment.stat().st_size
        ensure_schema(database_path(state))
        ingester = Ingester(journal, opener(database_path(state)), batch_bytes=batch_bytes)
        cpu, wall = time.process_time(), time.perf_counter()
        ingester.drain(600)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        ingester.close()
        stored = database_path(state).stat().st_size
        count = len(lines)
        print(
            f"{kind:8} {count} events of {size / count:.0f} bytes: {cpu / count * 1e6:.2f} us CPU and"
            f" {wall / count * 1e6:.2f} us wall per event, {stored / count:.0f} bytes per event"
        )


def main(count: int = 200_000, batch_bytes: int = BATCH_BYTES) -> None:
    """Both kinds of lines."""
    for kind in (plain, detailed):
        measure(kind.__name__, list(kind(count)), batch_bytes)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
