"""A worker in this process, for faults that can't be had from outside."""

from __future__ import annotations

import argparse
import asyncio
import datetime
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from routeiq.control.build import build as build_configuration
from routeiq.core import snapshot as snapshots
from routeiq.core.settings import Overrides
from routeiq.pipeline import stages
from routeiq.process.http import ClientConnection
from routeiq.worker.main import build
from routeiq.worker.server import Worker
from support.raw import request

CONFIG = {
    "model_list": [{"model_name": "demo", "litellm_params": {"model": "demo/chat"}}],
    "routeiq": {"timeouts": {"client_header": 0.2}},
}
CHAT = request(body={"model": "demo", "messages": [{"role": "user", "content": "hi"}]})


def run(directory: Path, main: Callable[[Worker, int], Awaitable[None]]) -> None:
    """Build a worker, listen, and call `main(worker, port)`."""
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    overrides = Overrides(state_dir=str(directory / "state"))
    result = build_configuration([str(file)], {}, overrides, now=datetime.datetime.now(datetime.UTC), cpus=1)
    assert result.snapshot is not None, result.errors
    snapshot = snapshots.decode(result.snapshot)
    (directory / "state").mkdir()
    control = str(directory / "control.sock")
    args = argparse.Namespace(state=directory / "state", column=1, columns=2, control=control, longtail="", agents="")

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        worker = build(args, snapshot, loop)
        server = await loop.create_server(lambda: ClientConnection(worker), "127.0.0.1", 0)
        worker.tick()
        await main(worker, server.sockets[0].getsockname()[1])
        assert await worker.drain(server, 1, 0)

    asyncio.run(outer())


async def exchange(port: int, data: bytes) -> bytes:
    """Send, and read until the answer or the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    out = b""
    try:
        async with asyncio.timeout(3):
            while not (b"\r\n\r\n" in out and out.endswith(b"}")):
                more = await reader.read(65536)
                if not more:
                    break
                out += more
    finally:
        writer.close()
    return out


def test_deadlines_outlive_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without descriptors, for instance, must not let slow clients stay for ever."""

    def broken(*_: object) -> None:
        raise OSError("too many open files")

    async def main(worker: Worker, port: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(worker.services, "tidy", broken)
            await asyncio.sleep(1.2)
            assert (await exchange(port, b"GET / HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408 ")
            assert (await exchange(port, CHAT)).startswith(b"HTTP/1.1 200 ")

    run(tmp_path, main)


def test_a_journal_that_can_not_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("too many open files")

    async def main(worker: Worker, port: int) -> None:
        monkeypatch.setattr("os.scandir", broken)
        worker.services.tidy(worker.now())
        assert (await exchange(port, CHAT)).startswith(b"HTTP/1.1 200 ")

    run(tmp_path, main)
    monkeypatch.undo()
    assert [len(file.read_bytes().splitlines()) for file in (tmp_path / "state" / "journal").iterdir()] == [1]


def test_a_fault_of_ours_is_a_500(tmp_path: Path) -> None:
    def broken(exchange: Any) -> bool:
        raise RuntimeError("secret details")

    async def main(worker: Worker, port: int) -> None:
        plan = worker.plan
        good = plan.stages
        for place in range(len(good)):
            plan.stages = (*good[:place], broken, *good[place + 1 :])
            answer = await exchange(port, CHAT)
            assert answer.startswith(b"HTTP/1.1 500 "), place
            assert b"internal_error" in answer
            assert b"secret details" not in answer
            assert worker.services.in_flight == 0
        plan.stages = good
        assert (await exchange(port, CHAT)).startswith(b"HTTP/1.1 200 ")
        assert worker.services.in_flight == 0
        assert not worker.services.active

    run(tmp_path, main)


def test_a_fault_before_the_pipeline_is_a_500(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(worker: Worker, port: int) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("secret details")

        with monkeypatch.context() as patch:
            patch.setattr(worker, "serve", broken)
            answer = await exchange(port, CHAT)
            assert answer.startswith(b"HTTP/1.1 500 ")
            assert b"secret details" not in answer
        assert (await exchange(port, CHAT)).startswith(b"HTTP/1.1 200 ")

    run(tmp_path, main)


def test_the_journey_is_what_is_run() -> None:
    assert [step.name for step in stages.JOURNEY] == [
        "authenticate", "read", "attribute", "choose", "recall", "use tools", "play", "account", "admit", "count",
        "note", "decide", "call", "relay", "settle",
    ]  # fmt: skip
