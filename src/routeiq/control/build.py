"""Builds a Snapshot from the configuration, in a process of its own.

    python -m routeiq.control.build --config FILE      msgpack `core.settings.BuildResult` on standard output

The supervisor runs this at the start and at every reload, so that neither it nor a worker imports pydantic, and a
configuration that can't be built never replaces one that works. The exit status is 0, or 2 when there are errors.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import gc
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec

from routeiq.config.compile import compile_snapshot
from routeiq.config.context import Context
from routeiq.config.load import find_paths, load, read, read_demo
from routeiq.config.report import NOWHERE, Report
from routeiq.config.report import Path as Place
from routeiq.config.server import compile_server
from routeiq.config.source import Source
from routeiq.config.stored import agent_key, join, server_key, settings, stores_models
from routeiq.control.artifacts import copies
from routeiq.control.stored import Reading
from routeiq.control.stored import read as read_stored
from routeiq.core.provider import ProviderSpec
from routeiq.core.routing import Choosing
from routeiq.core.settings import WARNING, BuildResult, Finding, Overrides, ServerSettings, encode
from routeiq.core.snapshot import Snapshot
from routeiq.core.snapshot import encode as encode_snapshot
from routeiq.core.stored import Stored
from routeiq.providers.catalog import load_catalog
from routeiq.routing.registry import make

INVALID = 2
"""Exit status when the configuration has errors."""
_ROW = re.compile(r"model_list\[\d+\]|mcp_servers\.[^.\[]+|agent(?:s|_list)\[\d+\]")


class Reader(Protocol):
    """Gives what is in the database."""

    def __call__(self, server: ServerSettings, *, models: bool) -> Reading:
        """`models` says whether deployments and credentials are asked for."""


@dataclass(frozen=True, slots=True)
class Built:
    """One build, with what was left out of it."""

    result: BuildResult
    left_out: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    """Deployments of the database that can't be served, by id, MCP servers and agents by their keys, and why."""


def build(
    paths: Sequence[str],
    environ: Mapping[str, str],
    overrides: Overrides,
    *,
    now: datetime.datetime,
    cpus: int,
    demo: bool = False,
    stored: Reader | None = None,
) -> BuildResult:
    """Everything that is wrong, or the Snapshot and the server's settings. Raises nothing of its own.

    `cpus` is what `workers: auto` means; `demo` takes the built-in configuration instead of files; `stored` reads the
    database, which is not looked at without it.
    """
    return try_build(paths, environ, overrides, now=now, cpus=cpus, demo=demo, stored=stored).result


def try_build(
    paths: Sequence[str],
    environ: Mapping[str, str],
    overrides: Overrides,
    *,
    now: datetime.datetime,
    cpus: int,
    demo: bool = False,
    stored: Reader | None = None,
) -> Built:
    """`build`, with what was left out. Rows of the database with mistakes don't keep the rest from being served."""
    report = Report()
    if demo:
        source = read_demo(report)
    else:
        found = find_paths(paths, environ, report)
        source = read(found, report)
        if not source.files:
            return Built(BuildResult(ok=False, errors=report.errors, warnings=report.warnings))
    catalog = load_catalog()
    rows = Stored()
    if stored is not None:
        reading = _reading(stored, source, environ, overrides, catalog, now, cpus)
        rows = reading.stored
        for message in reading.warnings:
            report.warning(NOWHERE, (), message)
        for message in reading.errors:
            report.error(NOWHERE, (), message)
    left_out: dict[str, tuple[Finding, ...]] = {}
    while True:
        attempt = Report(list(report.findings))
        whole = Source(copy.deepcopy(source.root), source.files)
        joined = join(whole.root, rows, attempt)
        ctx = load(whole, environ, catalog, now, attempt)
        server = compile_server(ctx, overrides, cpus)
        ctx = replace(
            ctx,
            stored_servers=frozenset(joined.servers),
            stored_agents=frozenset(joined.agents),
            copies=copies(ctx, Path(server.state_dir)),
        )
        snapshot = compile_snapshot(ctx, host=server.host, now=now.timestamp(), stored=rows)
        _try_strategies(ctx, snapshot)
        faulty = _faulty(attempt.errors, joined.ids)
        if not faulty:
            break
        left_out |= faulty
        rows = msgspec.structs.replace(
            rows,
            deployments=tuple(item for item in rows.deployments if item.id not in faulty),
            mcp_servers=tuple(item for item in rows.mcp_servers if server_key(item.id) not in faulty),
            agents=tuple(item for item in rows.agents if agent_key(item.id) not in faulty),
        )
        for findings in faulty.values():
            report.findings += [
                msgspec.structs.replace(finding, level=WARNING, message=f"is not served: {finding.message}")
                for finding in findings
            ]
    ok = not attempt.errors
    result = BuildResult(
        ok=ok,
        snapshot=encode_snapshot(snapshot) if ok else None,
        server=server if ok else None,
        errors=attempt.errors,
        warnings=attempt.warnings,
        files=source.files,
    )
    return Built(result, left_out)


def _reading(
    stored: Reader,
    source: Source,
    environ: Mapping[str, str],
    overrides: Overrides,
    catalog: Mapping[str, ProviderSpec],
    now: datetime.datetime,
    cpus: int,
) -> Reading:
    first = settings(source, environ, catalog, now)
    server = compile_server(first, overrides, cpus)
    if first.report.errors:
        return Reading(Stored())  # which are told when all of it is looked at
    return stored(server, models=stores_models(first))


def _try_strategies(ctx: Context, snapshot: Snapshot) -> None:
    """Make every strategy once, as workers will: what is wrong with its arguments is told here."""
    own = ctx.config.routeiq.auto_models
    wanted: list[tuple[Place, Choosing]] = []
    ranked = next((group.choosing for group in snapshot.groups.values() if group.choosing is not None), None)
    if ranked is not None:
        wanted.append((("router_settings", "routing_strategy_args"), ranked))
    for name, auto in snapshot.auto_models.items():
        where: Place = ("routeiq", "auto_models", name)
        wanted.append(((*where, "args") if own[name].args else where, auto.choosing))
    for path, choosing in wanted if not ctx.report.errors else ():
        try:
            make(choosing)
        except ValueError as error:
            ctx.error(path, str(error))


def _faulty(errors: Sequence[Finding], ids: Mapping[str, str]) -> dict[str, tuple[Finding, ...]]:
    """The errors about rows of the database, by what these are called."""
    found: dict[str, tuple[Finding, ...]] = {}
    for error in errors:
        place = _ROW.match(error.path)
        id = ids.get(place[0]) if place else None
        if id is not None:
            found[id] = (*found.get(id, ()), error)
    return found


def try_rows(arguments: Sequence[str], environ: Mapping[str, str], rows: Stored) -> Built:
    """A build by the same arguments with `rows` in the place of the database's."""
    asked = parse(arguments)

    def given(server: ServerSettings, *, models: bool) -> Reading:  # noqa: ARG001 - a Reader
        return Reading(
            rows if models else msgspec.structs.replace(rows, deployments=(), credentials=(), mcp_servers=(), agents=())
        )

    now = datetime.datetime.now(datetime.UTC)
    cpus = os.cpu_count() or 1
    return try_build(asked.config, environ, _overrides(asked), now=now, cpus=cpus, demo=asked.demo, stored=given)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line of the module."""
    parser = argparse.ArgumentParser(prog="python -m routeiq.control.build", description="Build a Snapshot.")
    parser.add_argument("--config", action="append", default=[], metavar="FILE")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--state-dir")
    return parser.parse_args(arguments)


def _overrides(asked: argparse.Namespace) -> Overrides:
    return Overrides(host=asked.host, port=asked.port, workers=asked.workers, state_dir=asked.state_dir)


def main(arguments: Sequence[str]) -> int:
    """Build, and answer on standard output; the exit status."""
    asked = parse(arguments)
    now = datetime.datetime.now(datetime.UTC)
    cpus = os.cpu_count() or 1
    result = build(asked.config, os.environ, _overrides(asked), now=now, cpus=cpus, demo=asked.demo, stored=read_stored)
    sys.stdout.buffer.write(encode(result))
    sys.stdout.buffer.flush()
    return 0 if result.ok else INVALID


if __name__ == "__main__":
    status = main(sys.argv[1:])
    gc.freeze()  # what is loaded would be collected once more on the way out: a third of the time of all this
    sys.exit(status)
