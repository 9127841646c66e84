"""Directories of an object store, copied: whole, once a version, and by name only within themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from routeiq.store import objects
from routeiq.store.objects import Unfetched, fetch, newest_copy

URL = "s3://models/router"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    _, port = running.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of it, with an empty bucket `models`."""
    for name, value in {
        "AWS_ENDPOINT_URL": server, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "AKIAX",
        "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket="models")
    yield client
    for each in client.list_objects_v2(Bucket="models").get("Contents", ()):
        client.delete_object(Bucket="models", Key=each["Key"])


def put(bucket: Any, name: str, body: bytes) -> None:
    bucket.put_object(Bucket="models", Key=f"router/{name}", Body=body)


def test_a_copy_for_each_version(bucket: Any, tmp_path: Path) -> None:
    put(bucket, "manifest.json", b"one")
    put(bucket, "deep/weights", b"w" * 5000)
    first = fetch(URL, tmp_path)
    assert (first / "manifest.json").read_bytes() == b"one"
    assert (first / "deep/weights").read_bytes() == b"w" * 5000
    assert fetch(URL, tmp_path) == first
    put(bucket, "manifest.json", b"two")
    second = fetch(URL, tmp_path)
    assert (second / "manifest.json").read_bytes() == b"two"
    assert (first / "manifest.json").read_bytes() == b"one", "workers may still read it"
    assert newest_copy(URL, tmp_path) == second
    for number in range(5):
        put(bucket, "manifest.json", b"%d" % number)
        last = fetch(URL, tmp_path)
    assert len(list(last.parent.iterdir())) == objects.KEPT
    assert not first.exists()


def test_what_can_not_be_copied_leaves_nothing(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unfetched, match="holds no files"):
        fetch(URL, tmp_path)
    with pytest.raises(Unfetched, match="can't be listed"):
        fetch("s3://no-such-bucket/router", tmp_path)
    put(bucket, "a", b"a")
    monkeypatch.setattr(objects, "MOST_BYTES", 0)
    with pytest.raises(Unfetched, match="holds more than"):
        fetch(URL, tmp_path)
    monkeypatch.undo()
    assert newest_copy(URL, tmp_path) is None
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
