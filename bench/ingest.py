"""CPU microseconds per Event of taking the Journal into the ledger.

python bench/ingest.py [EVENTS] [BATCH_BYTES]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
import uuid
from pathlib import Path

from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import BATCH_BYTES, Ingester
from routeiq.store.database import connect, database_path
from routeiq.store.migrate import ensure_schema


def event(number: int) -> bytes:
    """A line such as a chat completion leaves."""
    return encode_line(
        Event(
            id=str(uuid.uuid4()),
            at=1_700_000_000_000_000 + number * 100,
            endpoint="chat",
            key=hashlib.sha256(str(number % 50).encode()).hexdigest(),
            key_name="team-a",
            model="gpt-4o",
            group="gpt-4o",
            deployment="d1a2b3c4d5e6",
            provider="openai",
            upstream_model="gpt-4o-2024-08-06",
            strategy="simple-shuffle",
            prompt_tokens=200 + number % 7,
            completion_tokens=150,
            cost=1_234_567 + number,
            duration=500_000 + number,
            ttft=20_000 + number % 1000,
            overhead=120,
            revision="abcdef123456",
            worker=1,
        )
    )


def main(count: int = 200_000, batch_bytes: int = BATCH_BYTES) -> None:
    """Fill a journal, then ingest it."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        journal = state / "journal"
        journal.mkdir()
        segment = journal / f"w1-{int(time.time() * 1000)}-1-0.jsonl"
        segment.write_bytes(b"".join(event(number) + b"\n" for number in range(count)))
        size = segment.stat().st_size
        ensure_schema(database_path(state))
        ingester = Ingester(journal, lambda: connect(database_path(state)), batch_bytes=batch_bytes)
        cpu, wall = time.process_time(), time.perf_counter()
        while ingester.step():
            pass
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        ingester.close()
        stored = database_path(state).stat().st_size
        print(
            f"{count} events of {size / count:.0f} bytes: {cpu / count * 1e6:.2f} us CPU and"
            f" {wall / count * 1e6:.2f} us wall per event, {stored / count:.0f} bytes per row"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
