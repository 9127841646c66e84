"""From files, or bytes, to a Context that can be compiled or shown."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from routeiq.config.context import Context
from routeiq.config.demo import DEMO, NAME
from routeiq.config.prices import PriceTable
from routeiq.config.report import NOWHERE, Mark, Report
from routeiq.config.source import Node, Source, from_value, load_files, parse
from routeiq.config.validate import validate
from routeiq.core.provider import ProviderSpec

PATH_ENV = ("LITELLM_CONFIG_PATH", "CONFIG_FILE_PATH")


def find_paths(paths: Sequence[str], environ: Mapping[str, str], report: Report) -> tuple[str, ...]:
    """The files to read: those given, else the one the environment names; none is an error."""
    if paths:
        return tuple(paths)
    for name in PATH_ENV:
        if environ.get(name):
            return (environ[name],)
    hint = f"give --config FILE, set {PATH_ENV[0]}, or try `routeiq demo`"
    report.error(NOWHERE, (), "no configuration file is named", hint)
    return ()


def read(paths: Sequence[str], report: Report) -> Source:
    """The files as one tree."""
    return load_files(paths, report)


def read_demo(report: Report) -> Source:
    """The built-in configuration as a tree."""
    return read_bytes(DEMO, NAME, report)


def read_bytes(data: bytes, name: str, report: Report) -> Source:
    """A configuration that is not in a file."""
    return Source(parse(data, name, report) or Node({}, Mark(name, 1, 1)), ())


def read_value(value: Any, report: Report) -> Source:
    """A configuration in Python's own words: dicts, lists, text, numbers, flags and `None`."""
    return Source(from_value(value, (), report) or Node({}, NOWHERE), ())


def load(
    source: Source,
    environ: Mapping[str, str],
    providers: Mapping[str, ProviderSpec],
    now: datetime.datetime,
    report: Report,
) -> Context:
    """The validated configuration. What is wrong is in the report and left out."""
    config, effective = validate(source.root, environ, providers, report)
    return Context(config, source.root, effective, providers, PriceTable(now), report)
