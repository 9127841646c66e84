"""A supervisor in a process of its own, over stand-ins for everything under it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routeiq.core import snapshot
from routeiq.core.settings import BuildResult, Finding, ServerSettings, encode
from routeiq.supervisor.answers import Reload, Status
from routeiq.supervisor.client import ask
from routeiq.supervisor.programs import Options, Programs
from routeiq.supervisor.supervise import Supervisor

DOUBLE = str(Path(__file__).with_name("double.py"))


def build_result(
    state: Path, revision: str, *, drain: float = 2.0, longtail: bool = False, **server: Any
) -> BuildResult:
    """What a good build answers."""
    deployment = snapshot.Deployment(id="d", group="g", provider="p", model="m", litellm_model="p/m", via="longtail")
    deployments = (deployment,) if longtail else ()
    compiled = snapshot.Snapshot(
        revision=revision, created=0.0, deployments=deployments, groups={}, limits=snapshot.Limits(drain_seconds=drain)
    )
    settings = {"port": 0, "workers": 2, "state_dir": str(state), "database_url": f"sqlite:///{state}/routeiq.db"}
    return BuildResult(ok=True, snapshot=snapshot.encode(compiled), server=ServerSettings(**{**settings, **server}))


class Running:
    """Starts and ends with the test."""

    def __init__(self, state: Path, **build: Any) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        self.set_build(**{"revision": "r1", **build})
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, __file__, str(self.state)], stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def set_build(self, revision: str, **build: Any) -> None:
        self.put(build_result(self.state, revision, **build))

    def set_bad_build(self, message: str) -> None:
        finding = Finding(level="error", message=message, path="model_list[0]", file="c.yaml", line=3, column=5)
        self.put(BuildResult(ok=False, errors=(finding,)))

    def put(self, result: BuildResult) -> None:
        file = self.state / "build.new"
        file.write_bytes(encode(result))
        file.rename(self.state / "build.msgpack")

    def said(self, needle: str = "") -> list[str]:
        file = self.state / "said.log"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if needle in line]

    def status(self) -> Status:
        return ask(self.state, "status", Status, timeout=5)

    def reload(self) -> Reload:
        return ask(self.state, "reload", Reload, timeout=30)

    def pid(self, name: str) -> int:
        return next(process.pid for process in self.status().processes if process.name == name)

    def wait(self, condition: Callable[[], Any], seconds: float = 30.0) -> float:
        """Until it holds; how long that took."""
        start = time.monotonic()
        while True:
            try:
                if condition():
                    return time.monotonic() - start
            except (RuntimeError, OSError):
                pass
            if time.monotonic() - start > seconds:
                raise AssertionError("\n".join(self.said()))
            time.sleep(0.01)

    def wait_ready(self, revision: str = "r1") -> None:
        self.wait(lambda: all(process.revision == revision for process in self.status().processes))

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stderr is not None and not self.process.stderr.closed:
            self.process.communicate()


async def main(state: str) -> int:
    """The supervisor, over the stand-ins."""
    double = (sys.executable, DOUBLE)
    programs = Programs(
        builder=(*double, "builder", state),
        control=(*double, "control"),
        worker=(*double, "worker"),
        longtail=(*double, "longtail"),
        agents=(*double, "agents"),
    )
    options = Options(quiet=os.environ.get("QUIET") == "1")
    return await Supervisor(options, programs).run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
