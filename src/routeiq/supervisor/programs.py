"""What the supervisor is asked to run: its options, and the programs under it."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `routeiq serve`. `None` leaves a setting to the configuration."""

    config: tuple[str, ...] = ()
    demo: bool = False
    host: str | None = None
    port: int | None = None
    workers: int | None = None
    state_dir: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    quiet: bool = False
    """No banner."""

    def builder_arguments(self) -> tuple[str, ...]:
        """These options as the builder takes them."""
        out: list[str] = []
        for path in self.config:
            out += ["--config", path]
        if self.demo:
            out.append("--demo")
        for name, value in (("--host", self.host), ("--port", self.port), ("--workers", self.workers)):
            if value is not None:
                out += [name, str(value)]
        if self.state_dir is not None:
            out += ["--state-dir", self.state_dir]
        return tuple(out)


@dataclass(frozen=True, slots=True)
class Programs:
    """The first words of each command line."""

    builder: tuple[str, ...]
    control: tuple[str, ...]
    worker: tuple[str, ...]
    longtail: tuple[str, ...]
    agents: tuple[str, ...]


def installed_programs() -> Programs:
    """The programs of this installation, run by this interpreter."""
    module = (sys.executable, "-m")
    return Programs(
        builder=(*module, "routeiq.control.build"),
        control=(*module, "routeiq.control"),
        worker=(*module, "routeiq.worker"),
        longtail=(*module, "routeiq.longtail"),
        agents=(*module, "routeiq.agents"),
    )
