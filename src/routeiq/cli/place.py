"""Where commands that talk to a running gateway find it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

StateDir = Annotated[Path | None, Parameter(help="The gateway's state directory. Default: as `routeiq serve` has it.")]
Json = Annotated[bool, Parameter(negative="", help="Print JSON.")]


def state_directory(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The one given, or where a gateway without a setting of its own keeps its state."""
    if given is not None:
        return given
    if environ.get("ROUTEIQ_STATE_DIR"):
        return Path(environ["ROUTEIQ_STATE_DIR"])
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "routeiq"


def fail(message: str) -> int:
    """Tell on stderr; the exit status of a failed command."""
    print(f"error: {message}", file=sys.stderr)
    return 1
