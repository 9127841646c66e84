"""Files of the ledger: in a directory and in an S3 server, whole or not at all, gone on with where they stopped."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import IO, cast

import pyarrow.parquet
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import Engine

from routeiq.cli import make_app
from routeiq.control.exporting import Exporter, write_days
from routeiq.control.plane import Plane
from routeiq.core.database import Database, Postgres
from routeiq.core.snapshot import Export, Ledger
from routeiq.ledger import export as exports
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.export import ExportFailed, Place, export
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.retention import Retention

DAY = 86_400
START = 19_676
"""2023-11-15, in days."""


@pytest.fixture
def opened(database: Database, tmp_path: Path) -> Iterator[Engine]:
    """Requests on three days, 25 each."""
    migrate(database)
    journal = tmp_path / "journal"
    journal.mkdir()
    lines = [
        encode_line(
            Event(
                id=f"{day}-{number}", at=((START + day) * DAY + number) * 1_000_000 + 5, endpoint="chat", model="ü",
                cost=number if number % 5 else None, tags=("a", "b") if number % 2 else (), stream=number % 2 == 0,
                seconds=0.5 if number == 3 else 0.0, user_id="u",
            )
        )
        for day in range(3)
        for number in range(25)
    ]  # fmt: skip
    (journal / "w1-1-1-0.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ingester = Ingester(journal, opener(database))
    assert ingester.drain(10)
    ingester.close()
    made = engine(database)
    yield made
    made.dispose()


NOW = (START + 2) * DAY + 100.0
"""In the third day."""
NAMES = [f"requests-2023-11-{day}" for day in (15, 16, 17)]


def test_json_lines(opened: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "ROWS", 10)
    output = tmp_path / "a" / "b"
    done = list(export(opened, Place(str(output)), "jsonl", now=NOW))
    assert [(item.name, item.requests, item.skipped) for item in done] == [
        (f"{name}.jsonl", 25, False) for name in NAMES
    ]
    rows = [json.loads(line) for line in (output / done[1].name).read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"1-{number}" for number in range(25)]
    assert rows[7] | {
        "at": ((START + 1) * DAY + 7) * 1_000_000 + 5, "cost": 7, "cost_usd": "0.000000007", "tags": ["a", "b"],
        "stream": False, "model": "ü", "user_id": "u", "request_tags": [],
    } == rows[7]  # fmt: skip
    assert rows[0]["cost_usd"] is None
    assert done[0].size == (output / done[0].name).stat().st_size


def test_parquet_has_types(opened: Engine, tmp_path: Path) -> None:
    list(export(opened, Place(str(tmp_path / "out")), "parquet", now=NOW))
    table = pyarrow.parquet.read_table(tmp_path / "out" / f"{NAMES[0]}.parquet")
    assert table.num_rows == 25
    types = {field.name: str(field.type) for field in table.schema}
    assert types | {
        "seq": "int64", "at": "timestamp[us, tz=UTC]", "cost": "int64", "cost_usd": "decimal128(28, 9)",
        "stream": "bool",
        "tags": "list<element: string>", "seconds": "double", "prompt_tokens": "int64", "user_id": "string",
    } == types  # fmt: skip
    row = table.to_pylist()[3]
    assert row["at"] == datetime.datetime(2023, 11, 15, 0, 0, 3, 5, tzinfo=datetime.UTC)
    assert (row["cost"], row["cost_usd"], row["tags"], row["seconds"]) == (3, Decimal("0.000000003"), ["a", "b"], 0.5)
    assert table.column("cost_usd").null_count == 5


def test_what_is_there_is_passed_over_and_today_is_written_anew(opened: Engine, tmp_path: Path) -> None:
    place = Place(str(tmp_path / "out"))
    assert [item.skipped for item in export(opened, place, "jsonl", now=NOW)] == [False, False, False]
    assert [item.skipped for item in export(opened, place, "jsonl", now=NOW)] == [True, True, False]
    assert [item.skipped for item in export(opened, place, "jsonl", now=NOW, again=True)] == [False, False, False]
    one = list(export(opened, place, "parquet", first_day=START + 1, last_day=START + 1, now=NOW))
    assert [item.day for item in one] == ["2023-11-16"]


def test_an_export_that_is_cut_off_leaves_no_half_a_file(
    opened: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    monkeypatch.setattr(exports, "ROWS", 10)
    working = exports._rows

    def dying(opened: Engine, day: int, first: int, last: int) -> Iterator[list[dict[str, object]]]:
        for number, batch in enumerate(working(opened, day, first, last)):
            if day == START + 1 and number == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(exports, "_rows", dying)
    with pytest.raises(KeyboardInterrupt):
        list(export(opened, Place(str(output)), "jsonl", now=NOW))
    assert [file.name for file in output.iterdir()] == [f"{NAMES[0]}.jsonl"]
    monkeypatch.setattr(exports, "_rows", working)
    assert [item.skipped for item in export(opened, Place(str(output)), "jsonl", now=NOW)] == [True, False, False]


def test_days_that_are_going_are_left_out(opened: Engine, tmp_path: Path) -> None:
    retention = Retention(opened)
    while retention.step((START + 1) * DAY):
        pass
    left = [item.day for item in export(opened, Place(str(tmp_path / "out")), "jsonl", now=NOW)]
    assert left == ["2023-11-16", "2023-11-17"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server without a bucket; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_an_object_store(opened: Engine, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.session

    for name, value in {
        "AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=s3)
    bucket = f"ledger-{opened.dialect.name}"
    with pytest.raises(ExportFailed):
        list(export(opened, Place(f"s3://{bucket}/some/where"), "parquet", now=NOW))
    client.create_bucket(Bucket=bucket)
    place = Place(f"s3://{bucket}/some/where")
    assert [item.requests for item in export(opened, place, "parquet", now=NOW)] == [25, 25, 25]
    assert [item.skipped for item in export(opened, place, "parquet", now=NOW)] == [True, True, False]
    body = client.get_object(Bucket=bucket, Key=f"some/where/{NAMES[0]}.parquet")["Body"].read()
    assert pyarrow.parquet.read_table(io.BytesIO(body)).num_rows == 25


def test_the_command(
    opened: Engine,
    database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = ["--output", str(tmp_path / "out")]
    if isinstance(database, Postgres):
        monkeypatch.setenv("DATABASE_URL", database.url)
    else:
        place += ["--database", str(database)]

    def command(*words: str) -> int:
        words = ("ledger", "export", *place, *words)
        return int(make_app()(words, exit_on_error=False, result_action="return_value") or 0)

    assert command("--from", "2023-11-16", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["day"], item["requests"]) for item in told] == [("2023-11-16", 25), ("2023-11-17", 25)]
    assert command() == 0
    assert "2023-11-16  requests-2023-11-16.jsonl  there already" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    place[1] = str(tmp_path / "file" / "x")
    assert command() == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_place_that_fails_says_why(opened: Engine, tmp_path: Path) -> None:
    class Full(Place):
        def put(self, name: str, file: IO[bytes]) -> None:
            raise ExportFailed("no space left")

    with pytest.raises(ExportFailed, match="no space"):
        list(export(opened, Full(str(tmp_path / "out")), "jsonl", now=NOW))
    with pytest.raises(ExportFailed):
        Place("nothing://x")


def test_the_gateway_writes_finished_days_by_itself(opened: Engine, tmp_path: Path) -> None:
    plane = SimpleNamespace(snapshot=None)
    output = tmp_path / "out"
    exporter = Exporter(opened)

    async def run() -> None:
        job = asyncio.create_task(write_days(cast("Plane", plane), exporter))
        await asyncio.sleep(0.05)
        settings = Export(output=str(output), format="jsonl")
        plane.snapshot = SimpleNamespace(ledger=Ledger(export=settings))
        end = time.monotonic() + 10
        while len(list(output.glob("*.jsonl"))) < 2:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        job.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("routeiq.control.exporting.time", SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic))
        asyncio.run(run())
    assert sorted(file.name for file in output.iterdir()) == [f"{name}.jsonl" for name in NAMES[:2]]
    assert [file.name for file in exporter.files] == [f"{name}.jsonl" for name in NAMES[:2]]
    assert exporter.trouble is None
    exporter.run(Export(output="nothing://x", format="jsonl"))
    assert exporter.trouble
    assert exporter.files == ()
