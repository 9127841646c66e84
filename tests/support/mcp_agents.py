"""The process with MCP alone, without its supervisor: ready in half a second.

with AgentsProcess({"mcp_servers": {…}}) as agents:
    McpClient(agents, None).names()
"""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from routeiq.control.build import build
from routeiq.core.messages import Frames, Publish, Ready, frame
from routeiq.core.settings import Overrides
from support.gateway import environment


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AgentsProcess:
    """A running process; a context manager. Without a key in the configuration nobody is asked for one."""

    def __init__(self, config: dict[str, Any], env: dict[str, str] | None = None) -> None:
        self._config = config
        self._env = env or {}
        self._temporary = tempfile.TemporaryDirectory(prefix="riq-")
        self.directory = Path(self._temporary.name)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> AgentsProcess:
        state = self.directory / "state"
        state.mkdir()
        file = self.directory / "config.json"
        file.write_text(json.dumps(self._config))
        now = datetime.datetime.now(datetime.UTC)
        result = build([str(file)], self._env, Overrides(state_dir=str(state)), now=now, cpus=1)
        assert result.snapshot is not None, result.errors
        here, there = socket.socketpair()
        words = ["--feed", there.fileno(), "--socket", self.socket, "--column", 1, "--columns", 2]
        words += ["--state", state, "--control", self.directory / "control.sock"]
        with there, (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "routeiq.agents", *map(str, words)],
                env=environment(), pass_fds=(there.fileno(),), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._feed = here
        here.sendall(frame(Publish(result.snapshot)))
        here.settimeout(20)
        frames = Frames()
        answers = frames.feed(here.recv(65536))
        assert answers, self.logs()
        assert isinstance(answers[0], Ready), answers
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._feed.close()
        self._temporary.cleanup()

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.directory / "agents.sock")

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection to it."""
        return _UnixConnection(self.socket, timeout)

    def logs(self) -> str:
        """What it has written."""
        return (self.directory / "log").read_text(errors="replace")
