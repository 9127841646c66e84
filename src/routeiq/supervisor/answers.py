"""What the supervisor says on its admin socket, one JSON object a line."""

from __future__ import annotations

import msgspec

from routeiq.core.settings import Finding


class Reload(msgspec.Struct, kw_only=True):
    """The answer to `{"command":"reload"}`."""

    ok: bool
    revision: str
    """The one served now: the new one, or the old when not `ok`."""
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()


class Process(msgspec.Struct, kw_only=True):
    """One process under the supervisor. `pid` is 0 while it is being restarted, `uptime` in seconds."""

    name: str
    pid: int
    uptime: float
    restarts: int
    revision: str
    refusal: str = ""


class Status(msgspec.Struct, kw_only=True):
    """The answer to `{"command":"status"}`."""

    ok: bool = True
    pid: int
    url: str
    revision: str
    started: float
    """Unix seconds."""
    state_dir: str
    processes: tuple[Process, ...] = ()


class Command(msgspec.Struct):
    """A request."""

    command: str
