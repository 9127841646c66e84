"""`routeiq status` and `routeiq config reload`: ask the running supervisor."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from routeiq.cli.place import Json, StateDir, fail, state_directory
from routeiq.supervisor.answers import Reload, Status
from routeiq.supervisor.client import NotRunning, ask


def status(*, state_dir: StateDir = None, json: Json = False) -> int:
    """Show the processes of the running gateway."""
    try:
        found = ask(state_directory(state_dir), "status", Status, timeout=10)
    except (NotRunning, TimeoutError) as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode(found).decode())
        return 0
    table = Table("process", "pid", "up", "restarts", "revision", box=None, pad_edge=False)
    table.add_row("supervisor", str(found.pid), "", "", found.revision)
    for process in found.processes:
        up = f"{process.uptime:.0f} s" if process.pid else "restarting"
        table.add_row(process.name, str(process.pid or ""), up, str(process.restarts), process.revision)
    console = Console()
    console.print(f"{found.url}  state {found.state_dir}", highlight=False, soft_wrap=True)
    console.print(table)
    return 0


def reload(*, state_dir: StateDir = None, json: Json = False) -> int:
    """Make the running gateway read its configuration again.

    The exit status is 0 when it serves the new one, 2 when that has errors and the old one stays.
    """
    try:
        answer = ask(state_directory(state_dir), "reload", Reload)
    except (NotRunning, TimeoutError) as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode(answer).decode())
    else:
        err = Console(stderr=True, highlight=False)
        for finding in (*answer.errors, *answer.warnings):
            err.print(str(finding), markup=False, soft_wrap=True)
        print(
            f"revision {answer.revision} is served" if answer.ok else f"not reloaded: revision {answer.revision} stays"
        )
    return 0 if answer.ok else 2
