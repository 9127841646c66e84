"""One worker process without its supervisor: the data plane alone, ready in under a second.

with Worker(config_for(up, "gpt-4o")) as worker:
    worker.client().chat.completions.create(model="gpt-4o", messages=[…])
    worker.wait_events(1)           # straight from the journal
    worker.serve(other_config)      # another Snapshot, as a reload would bring it
"""

from __future__ import annotations

import datetime
import json
import socket
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import psutil
import yaml

from routeiq.control.build import build
from routeiq.core import snapshot as snapshots
from routeiq.core.counters import CounterTable
from routeiq.core.messages import Drain, Frames, Invalidate, Message, Publish, Ready, Refused, frame
from routeiq.core.settings import Overrides
from support.gateway import MASTER_KEY, Gateway, environment

CONTROL, WORKER, COLUMNS = 0, 1, 2


class Worker(Gateway):
    """A running worker; a context manager. Talking to it is as to a `Gateway`."""

    def __init__(
        self,
        config: dict[str, Any],
        *,
        key: str | None = MASTER_KEY,
        env: dict[str, str] | None = None,
        control: Path | None = None,
    ) -> None:
        """`env` is what the configuration is built with; `control` the Unix socket of a control plane."""
        super().__init__(config, key=key, env=env)
        self.control = control or self.directory / "control.sock"
        self.feed: socket.socket | None = None
        self.first = deepcopy(config)
        self.config: dict[str, Any] = {}
        """The configuration that was published last."""
        self._frames = Frames()
        self._inbox: list[Message] = []
        self._table: CounterTable | None = None
        self._seen: dict[str, int] = {}
        self._base = 0

    # --- life

    def start(self) -> None:
        """Start the process and give it its first Snapshot."""
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
            self.port = listener.getsockname()[1]
            here, there = socket.socketpair()
            with there, self.log_file.open("ab") as log:
                words = ["--fd", listener.fileno(), "--feed", there.fileno(), "--column", WORKER, "--columns", COLUMNS]
                words += ["--state", self.state_dir, "--control", self.control]
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "routeiq.worker", *map(str, words)],
                    env=environment(),
                    pass_fds=(listener.fileno(), there.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        self.feed = here
        answer = self.serve(self._config)
        assert isinstance(answer, Ready), answer

    def stop(self, timeout: float = 10.0) -> int | None:
        """End the process at once; what is in flight is cut."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(timeout)
        if self.feed is not None:
            self.feed.close()
            self.feed = None
        if self._table is not None:
            self._table.close()
            self._table = None
        return process.returncode if process is not None else None

    # --- the supervisor's side

    def snapshot(self, config: dict[str, Any]) -> snapshots.Snapshot:
        """The configuration compiled, as the supervisor would have it."""
        full = deepcopy(config)
        if self.key is not None:
            full.setdefault("general_settings", {}).setdefault("master_key", self.key)
        full.setdefault("routeiq", {}).setdefault("key_lookup", False)  # there is nobody to ask
        self.file.write_text(yaml.safe_dump(full, sort_keys=False))
        now = datetime.datetime.now(datetime.UTC)
        result = build([str(self.file)], self.env, Overrides(state_dir=str(self.state_dir)), now=now, cpus=2)
        assert result.ok, result.errors
        assert result.snapshot is not None
        return snapshots.decode(result.snapshot)

    def serve(self, config: dict[str, Any]) -> Message:
        """Publish a configuration and await the answer."""
        self.config = deepcopy(config)
        return self.publish(self.snapshot(config))

    def publish(self, snapshot: snapshots.Snapshot | bytes) -> Message:
        """Publish a Snapshot: `Ready`, or `Refused`."""
        encoded = snapshot if isinstance(snapshot, bytes) else snapshots.encode(snapshot)
        self.send(Publish(encoded))
        answer = self.receive()
        assert isinstance(answer, Ready | Refused)
        return answer

    def invalidate(self, *keys: str) -> None:
        """Tell the worker that keys changed."""
        self.send(Invalidate(keys))

    def drain(self, seconds: float) -> None:
        """Ask it to finish."""
        self.send(Drain(seconds))

    def send(self, message: Message) -> None:
        """Any message."""
        assert self.feed is not None
        self.feed.sendall(frame(message))

    def receive(self, timeout: float = 10.0) -> Message:
        """The worker's next message. Raises `RuntimeError` when it has gone."""
        assert self.feed is not None
        self.feed.settimeout(timeout)
        while not self._inbox:
            data = self.feed.recv(65536)
            if not data:
                raise RuntimeError(f"the worker is gone:\n{self.logs()[-4000:]}")
            self._inbox += self._frames.feed(data)
        return self._inbox.pop(0)

    # --- looking into it

    @property
    def memory(self) -> int:
        """Resident bytes."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def all_events(self) -> list[dict[str, Any]]:
        """Every Event of the journal."""
        files = sorted((self.state_dir / "journal").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def events(self) -> list[dict[str, Any]]:
        """The Events since `forget`."""
        return self.all_events()[self._base :]

    def forget(self) -> None:
        """Count Events and metrics from now."""
        self._base = len(self.all_events())
        self._seen = self.cells()

    def cells(self) -> dict[str, int]:
        """Every counter and gauge with its stored integer, summed over the columns."""
        if self._table is None:
            self._table = CounterTable(self.state_dir, column=CONTROL, columns=COLUMNS)
        found = {}
        for name, kind, row in self._table.items():
            if len(kind) == 1:
                found[name] = self._table.total(row)
        return found

    def moved(self) -> dict[str, int]:
        """What changed of `cells` since `forget`."""
        now = self.cells()
        return {
            name: value - self._seen.get(name, 0) for name, value in now.items() if value != self._seen.get(name, 0)
        }

    def wait_moved(self, name: str, value: int, timeout: float = 3.0) -> dict[str, int]:
        """Until a counter moved by `value`: workers add theirs to the table once a second. Raises `TimeoutError`."""
        end = time.monotonic() + timeout
        while (moved := self.moved()).get(name, 0) != value:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} moved by {moved.get(name, 0)}, not by {value}: {moved}")
            time.sleep(0.02)
        return moved

    def settled(self, timeout: float = 5.0) -> None:
        """Until nothing is in flight. Raises `TimeoutError`."""
        end = time.monotonic() + timeout
        while self.cells().get("routeiq_in_flight_requests", 0):
            if time.monotonic() > end:
                raise TimeoutError("requests are still in flight")
            time.sleep(0.01)

    def wait_events(self, count: int, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Until so many Events are there. Raises `TimeoutError`."""
        end = time.monotonic() + timeout
        while len(found := self.events()) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} events:\n{self.logs()[-2000:]}")
            time.sleep(0.01)
        return found
