"""RouteIQ for a side-by-side harness that starts gateways by functions.

The harness hands over a context with `port` (where to listen), `upstream` (the port of an OpenAI-compatible server on
127.0.0.1), `run` (a directory) and `spawn(command)`, and takes back an address, headers and a model name. Register
`routeiq_peer.routeiq` under a name, with the directory of this file on `sys.path`; it needs nothing but Python.
`ROUTEIQ_BIN` names the command when it isn't beside the interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness import MASTER_KEY, gateway_config

MODEL = "bench-model"


class Context(Protocol):
    """What the harness hands over."""

    port: int
    upstream: int
    run: Path
    spawn: Callable[[list[str]], None]


@dataclass
class Target:
    """What it takes back."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    model: str = MODEL


def routeiq(ctx: Context) -> Target:
    """Start the gateway with one worker and everything on; the caller waits until it answers."""
    file = Path(ctx.run) / f"routeiq-{ctx.port}.yaml"
    file.write_text(json.dumps(gateway_config(ctx.port, {MODEL: ctx.upstream})))
    command = os.environ.get("ROUTEIQ_BIN") or str(Path(sys.prefix) / "bin" / "routeiq")
    state = Path(ctx.run) / f"routeiq-{ctx.port}-state"
    ctx.spawn([command, "serve", "--config", str(file), "--state-dir", str(state)])
    return Target(f"http://127.0.0.1:{ctx.port}/v1/chat/completions", {"Authorization": f"Bearer {MASTER_KEY}"})
