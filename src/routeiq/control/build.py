"""Builds a Snapshot from the configuration, in a process of its own.

    python -m routeiq.control.build --config FILE      msgpack `core.settings.BuildResult` on standard output

The supervisor runs this at the start and at every reload, so that neither it nor a worker imports pydantic, and a
configuration that can't be built never replaces one that works. The exit status is 0, or 2 when there are errors.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Mapping, Sequence

from routeiq.config.compile import compile_snapshot
from routeiq.config.load import find_paths, load, read, read_demo
from routeiq.config.report import Report
from routeiq.config.server import compile_server
from routeiq.core.settings import BuildResult, Overrides, encode
from routeiq.core.snapshot import encode as encode_snapshot
from routeiq.providers.catalog import load_catalog

INVALID = 2
"""Exit status when the configuration has errors."""


def build(
    paths: Sequence[str],
    environ: Mapping[str, str],
    overrides: Overrides,
    *,
    now: datetime.datetime,
    cpus: int,
    demo: bool = False,
) -> BuildResult:
    """Everything that is wrong, or the Snapshot and the server's settings. Raises nothing of its own.

    `cpus` is what `workers: auto` means; `demo` takes the built-in configuration instead of files.
    """
    report = Report()
    if demo:
        source = read_demo(report)
    else:
        found = find_paths(paths, environ, report)
        source = read(found, report)
        if not source.files:
            return BuildResult(ok=False, errors=report.errors, warnings=report.warnings)
    ctx = load(source, environ, load_catalog(), now, report)
    server = compile_server(ctx, overrides, cpus)
    snapshot = compile_snapshot(ctx, host=server.host, now=now.timestamp())
    ok = not report.errors
    return BuildResult(
        ok=ok,
        snapshot=encode_snapshot(snapshot) if ok else None,
        server=server if ok else None,
        errors=report.errors,
        warnings=report.warnings,
        files=source.files,
    )


def main(arguments: Sequence[str]) -> int:
    """The command line of the module."""
    parser = argparse.ArgumentParser(prog="python -m routeiq.control.build", description="Build a Snapshot.")
    parser.add_argument("--config", action="append", default=[], metavar="FILE")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--state-dir")
    asked = parser.parse_args(arguments)
    overrides = Overrides(host=asked.host, port=asked.port, workers=asked.workers, state_dir=asked.state_dir)
    now = datetime.datetime.now(datetime.UTC)
    result = build(asked.config, os.environ, overrides, now=now, cpus=os.cpu_count() or 1, demo=asked.demo)
    sys.stdout.buffer.write(encode(result))
    sys.stdout.buffer.flush()
    return 0 if result.ok else INVALID


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
