"""`routeiq pipeline show`: the journey of a request, as the code has it."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from routeiq.core import snapshot as snapshots
from routeiq.core.settings import Overrides
from routeiq.pipeline.stages import JOURNEY

pipeline_app = App(name="pipeline", help="Show a request's way through the gateway.")


@pipeline_app.command
def show(
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Print the stages of a request in order.

    Parameters
    ----------
    config
        Show which function this configuration runs for each stage, and which stages it does without.
    json
        As JSON.
    """
    snapshot = None
    if config is not None:
        from routeiq.control.build import build

        now = datetime.datetime.now(datetime.UTC)
        result = build([str(config)], os.environ, Overrides(), now=now, cpus=os.cpu_count() or 1)
        if not result.ok or result.snapshot is None:
            errors = Console(stderr=True, highlight=False)
            for finding in result.errors:
                errors.print(str(finding), markup=False, soft_wrap=True)
            return 2
        snapshot = snapshots.decode(result.snapshot)
    rows = []
    for step in JOURNEY:
        runs = "driven by the provider's answer"
        if step.choose is not None and snapshot is not None:
            stage = step.choose(snapshot)
            runs = f"{stage.__module__}.{stage.__name__}" if stage is not None else "not needed"
        elif step.choose is not None:
            runs = "chosen by the configuration"
        rows.append({"stage": step.name, "does": step.does, "runs": runs})
    if json:
        print(msgspec.json.encode(rows).decode())
        return 0
    table = Table("stage", "does", "runs", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["stage"], row["does"], row["runs"])
    Console().print(table)
    return 0
