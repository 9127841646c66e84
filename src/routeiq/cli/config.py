"""`routeiq config`: check a configuration, show what it comes to."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from routeiq.config.load import find_paths, read
from routeiq.config.references import effective_environment, masked, resolve
from routeiq.config.report import Report
from routeiq.control.build import INVALID, build
from routeiq.core.settings import ERROR, BuildResult, Finding, Overrides

config_app = App(name="config", help="Check, show and reload the configuration.")
config_app.command("routeiq.cli.status:reload", name="reload", help="Make the running gateway read it again.")

Files = Annotated[
    list[Path] | None,
    Parameter(name=["--config", "-c"], negative="", help="A configuration file; may be given several times."),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


class Checked(msgspec.Struct):
    """What `config check --json` prints."""

    ok: bool
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    files: tuple[str, ...]


@config_app.command
def check(file: Path | None = None, /, *, config: Files = None, json: Json = False) -> int:
    """Tell everything that is wrong with a configuration.

    The exit status is 0 when it can be served, 2 when it has errors.

    Parameters
    ----------
    file
        The configuration file. Without one, LITELLM_CONFIG_PATH names it.
    """
    now = datetime.datetime.now(datetime.UTC)
    result = build(_paths(file, config), os.environ, Overrides(), now=now, cpus=os.cpu_count() or 1)
    if json:
        checked = Checked(result.ok, result.errors, result.warnings, result.files)
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(checked)) + b"\n")
    else:
        print_result(result, Console(), Console(stderr=True))
    return 0 if result.ok else INVALID


@config_app.command
def show(file: Path | None = None, /, *, config: Files = None, json: Json = False) -> int:
    """Print the configuration with includes merged and references resolved, secrets as `***`.

    Parameters
    ----------
    file
        The configuration file. Without one, LITELLM_CONFIG_PATH names it.
    """
    report = Report()
    paths = find_paths(_paths(file, config), os.environ, report)
    root = read(paths, report).root
    resolve(root, effective_environment(root, os.environ, report), report)
    _print_findings(report.errors, Console(stderr=True))
    if paths:
        print(_rendered(masked(root), as_json=json), end="")
    return INVALID if report.errors else 0


def print_result(result: BuildResult, out: Console, err: Console) -> None:
    """Findings one a line, then a line that sums up."""
    _print_findings((*result.errors, *result.warnings), err)
    counts = f"{_count(len(result.errors), 'error')}, {_count(len(result.warnings), 'warning')}"
    if result.ok:
        out.print(Text.assemble(("ok", "green"), f": {counts}"), soft_wrap=True)
    else:
        err.print(Text.assemble(("invalid", "red"), f": {counts}"), soft_wrap=True)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    for finding in findings:
        text = Text(str(finding))
        text.highlight_words([f"{finding.level}:"], "bold red" if finding.level == ERROR else "bold yellow")
        console.print(text, soft_wrap=True)


def _paths(file: Path | None, config: list[Path] | None) -> list[str]:
    return [str(path) for path in ([file] if file is not None else []) + (config or [])]


def _rendered(data: object, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(data, indent=2) + "\n"
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
