"""Costs can be worked out again from the ledger, to the nano-dollar."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.money import Prices
from routeiq.core.usage import Usage
from routeiq.ledger.event import (
    COMMON_USAGE,
    RARE_USAGE,
    Event,
    LineTemplate,
    decode_line,
    encode_line,
    note_usage,
    usage_of,
)
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.store.database import connect, database_path, engine
from routeiq.store.migrate import migrate
from routeiq.store.requests import RequestRepository
from support.bills import PRICES, usages


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "routeiq.db"
    migrate(path)
    return path


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PRICES, usages() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9))), min_size=1))
def test_the_cost_of_a_row_is_the_cost_of_its_usage(empty: Path, requests: list[tuple[Prices, Usage]]) -> None:
    lines = []
    constant = Event(id="", at=0, endpoint="chat")
    for number, (prices, usage) in enumerate(requests):
        event = msgspec.structs.replace(constant, id=str(number), at=1, cost=prices.cost(usage))
        note_usage(event, usage)
        if usage.rare:
            lines.append(encode_line(event))
        else:
            template = LineTemplate(constant)
            lines.append(template.line(event.id, 1, b'""', False, usage, event.cost, 0, 0, 0))
        assert usage_of(decode_line(lines[-1])) == usage
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        (state / "journal").mkdir()
        shutil.copy(empty, database_path(state))
        (state / "journal" / "w1-1-1-0.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        ingester = Ingester(state / "journal", opener(database_path(state)))
        assert ingester.drain(20)
        ingester.close()
        database = engine(database_path(state))
        rows = RequestRepository(database).page(limit=1000)[::-1]
        database.dispose()
    assert len(rows) == len(requests)
    for row, (prices, usage) in zip(rows, requests, strict=True):
        assert usage_of(row) == usage
        assert row["cost"] == prices.cost(usage_of(row))


def test_rows_from_before_the_new_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "routeiq.db"
    migrate(path, "0001")
    columns = "seq, context, id, at, model, prompt_tokens, completion_tokens, duration, ttft, overhead, cost"
    connection = connect(path)
    connection.execute(
        f"INSERT INTO event_rows ({columns}, cached_tokens, reasoning_tokens) "
        "VALUES (1, 1, 'a', 5, 'm', 10, 20, 1, 1, 1, 7, 3, 2)"
    )
    connection.close()
    migrate(path)
    connection = connect(path)
    connection.row_factory = lambda cursor, row: dict(zip([c[0] for c in cursor.description], row, strict=True))
    (row,) = connection.execute("SELECT * FROM events").fetchall()
    connection.close()
    assert usage_of({**row, "estimated": False}) == Usage(10, 20, 3, 0, 2)
    migrate(path, "0001")
    connection = connect(path)
    assert connection.execute("SELECT cost, cached_tokens FROM event_rows").fetchall() == [(7, 3)]
    connection.close()


def test_every_count_has_a_column() -> None:
    values = {name: number for number, name in enumerate((*COMMON_USAGE, *RARE_USAGE), 1)}
    usage = msgspec.convert(values | {"estimated": True, "service_tier": "batch"}, Usage)
    event = Event(id="a", at=1)
    note_usage(event, usage)
    assert usage_of(event) == usage
    assert decode_line(encode_line(event)) == event


@pytest.mark.parametrize("column", [*COMMON_USAGE.values(), *RARE_USAGE.values()])
def test_every_count_is_described(column: str) -> None:
    assert f"`{column}`" in (Path(__file__).parents[2] / "docs" / "costs.md").read_text()
