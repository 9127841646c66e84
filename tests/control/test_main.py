"""The control plane as a process: feed, socket, ledger."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routeiq.core import snapshot as snapshots
from routeiq.core.messages import Drain, Frames, Message, Publish, Ready, Refused, frame
from routeiq.core.snapshot import Auth, Snapshot
from routeiq.ledger.event import Event, encode_line
from routeiq.store.database import database_path

KEY = "sk-control-1"


class Process:
    """One control plane and the supervisor's end of its feed."""

    def __init__(self, state: Path) -> None:
        self.state = state
        (state / "journal").mkdir(exist_ok=True)
        self.path = state / "control.sock"
        self.feed, theirs = socket.socketpair()
        self.feed.settimeout(15)
        self.frames = Frames()
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "routeiq.control", "--feed", str(theirs.fileno()), "--columns", "2",
                    "--state", str(state), "--socket", str(self.path),
                ],
                pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    def send(self, message: Message) -> None:
        self.feed.sendall(frame(message))

    def receive(self) -> Message:
        while True:
            found = self.frames.feed(self.feed.recv(65536))
            if found:
                return found[0]

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.path))
        connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=15)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    made: list[Process] = []

    def begin() -> Process:
        made.append(Process(tmp_path))
        return made[-1]

    yield begin
    for process in made:
        process.process.kill()
        process.process.wait()


def published() -> bytes:
    auth = Auth(master_key=hashlib.sha256(KEY.encode()).hexdigest())
    return snapshots.encode(Snapshot(revision="r1", created=0.0, deployments=(), groups={}, auth=auth))


def count(state: Path) -> int:
    with sqlite3.connect(database_path(state)) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def test_serves_ingests_and_drains_what_is_left(start: Callable[[], Process], tmp_path: Path) -> None:
    control = start()
    control.send(Publish(published()))
    assert control.receive() == Ready("r1")
    assert control.path.stat().st_mode & 0o077 == 0
    assert control.get("/metrics")[0] == 200
    segment = tmp_path / "journal" / "w1-1-1-0.jsonl"
    segment.write_bytes(encode_line(Event(id="a", at=1)) + b"\n")
    deadline = time.monotonic() + 5
    while count(tmp_path) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    control.send(Publish(b"\xc1 nonsense"))
    assert isinstance(control.receive(), Refused)
    assert json.loads(control.get("/api/v1/routeiq/status")[1])["revision"] == "r1"
    lines = b"".join(encode_line(Event(id=f"b{number}", at=1)) + b"\n" for number in range(20_000))
    (tmp_path / "journal" / "w1-2-1-0.jsonl").write_bytes(lines)
    control.send(Drain(10))
    code, errors = control.end()
    assert code == 0, errors
    assert count(tmp_path) == 20_001
    assert list((tmp_path / "journal").glob("w*")) == []


def test_the_end_of_the_feed_ends_it(start: Callable[[], Process]) -> None:
    control = start()
    control.send(Publish(published()))
    control.receive()
    control.feed.close()
    assert control.end()[0] == 0


def test_a_newer_schema_is_refused_by_name(start: Callable[[], Process], tmp_path: Path) -> None:
    control = start()
    control.send(Publish(published()))
    control.receive()
    control.process.kill()
    control.process.communicate()
    with sqlite3.connect(database_path(tmp_path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_compatibility SET oldest = '9999'")
    code, errors = start().end()
    assert code == 1
    assert "newer than this version" in errors
