"""Compiles the server settings: command line, then environment, then file, then default."""

from __future__ import annotations

import os.path
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Literal

from routeiq.config import a2a, mcp
from routeiq.config.address import is_host
from routeiq.config.auth import MASTER_KEY_ENV
from routeiq.config.context import Context
from routeiq.config.report import NOWHERE, Path
from routeiq.core.database import parse_database
from routeiq.core.settings import Overrides, ServerSettings

DEFAULT_PORT = 4000
DEFAULT_HOST = "127.0.0.1"
HOST_ENV, PORT_ENV, STATE_ENV, DATABASE_ENV = "LITELLM_HOST", "LITELLM_PORT", "ROUTEIQ_STATE_DIR", "DATABASE_URL"
SALT_ENV = "LITELLM_SALT_KEY"
LOG_ENV, JSON_LOGS_ENV = "LITELLM_LOG", "JSON_LOGS"
LOG_LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "critical": "error",
}


def compile_server(ctx: Context, overrides: Overrides, cpus: int) -> ServerSettings:
    """Where and how to listen and where to keep state. `cpus` is what `workers: auto` means."""
    own = ctx.config.routeiq
    state_dir = _state_dir(ctx, overrides)
    for name in ("ssl_certfile", "ssl_keyfile"):
        file = getattr(own, name)
        if file is not None and not FilePath(file).is_file():
            ctx.error(("routeiq", name), "the file does not exist")
    if (own.ssl_certfile is None) != (own.ssl_keyfile is None):
        ctx.error(("routeiq",), "needs both ssl_certfile and ssl_keyfile, or neither")
    return ServerSettings(
        host=_host(ctx, overrides),
        port=_port(ctx, overrides),
        workers=_workers(overrides.workers if overrides.workers is not None else own.workers, cpus),
        state_dir=state_dir,
        database_url=_database(ctx, state_dir),
        secrets_key=secrets_key(ctx),
        ssl_certfile=own.ssl_certfile,
        ssl_keyfile=own.ssl_keyfile,
        log_level=_log_level(ctx),
        agents=mcp.enabled(ctx) or a2a.enabled(ctx),
        json_logs=ctx.config.litellm.json_logs or ctx.environ.get(JSON_LOGS_ENV, "").lower() in ("true", "1"),
    )


def secrets_key(ctx: Context) -> str:
    """What secrets in the database are encrypted under; empty when there is nothing."""
    found = ctx.environ.get(SALT_ENV) or ctx.config.general.master_key or ctx.environ.get(MASTER_KEY_ENV)
    return found or ""


def _workers(asked: int | Literal["auto"] | None, cpus: int) -> int:
    if asked == "auto":
        return max(1, cpus)
    return asked or 1


def _host(ctx: Context, overrides: Overrides) -> str:
    host = overrides.host or ctx.environ.get(HOST_ENV) or ctx.config.routeiq.host or DEFAULT_HOST
    if not is_host(host):
        ctx.error(("routeiq", "host"), "is not a host name or address")
    return host


def _port(ctx: Context, overrides: Overrides) -> int:
    if overrides.port is not None:
        return overrides.port
    text = ctx.environ.get(PORT_ENV)
    if text:
        if text.isascii() and text.isdigit() and int(text) <= 65_535:
            return int(text)
        ctx.report.error(NOWHERE, ("routeiq", "port"), f"the environment variable {PORT_ENV} is not a port")
    port = ctx.config.routeiq.port
    return DEFAULT_PORT if port is None else port


def _state_dir(ctx: Context, overrides: Overrides) -> str:
    """An absolute path. The default follows the XDG base directory specification."""
    home = ctx.environ.get("HOME", "")
    text = overrides.state_dir or ctx.environ.get(STATE_ENV) or ctx.config.routeiq.state_dir
    if text is None:
        base = ctx.environ.get("XDG_STATE_HOME") or (os.path.join(home, ".local", "state") if home else "")
        if not base:
            hint = f"set routeiq.state_dir or {STATE_ENV}"
            ctx.report.error(NOWHERE, ("routeiq", "state_dir"), "no directory for state: HOME is not set", hint)
        text = os.path.join(base, "routeiq")
    if text.startswith("~/"):
        text = os.path.join(home, text[2:])
    if "\0" in text:
        ctx.error(("routeiq", "state_dir"), "is not a path")
    return os.path.abspath(text)


def _database(ctx: Context, state_dir: str) -> str:
    """The database's URL. Nothing of its values is in a finding."""
    default = f"sqlite:///{os.path.join(state_dir, 'routeiq.db')}"
    where: Path = ("general_settings", "database_url")
    url = ctx.config.general.database_url
    mark = ctx.root.mark_of(where)
    if url is None:
        url, mark = ctx.environ.get(DATABASE_ENV) or None, NOWHERE
    if url is None:
        return default
    try:
        database = parse_database(url)
    except ValueError as error:
        ctx.report.error(mark, where, str(error))
        return default
    if isinstance(database, FilePath):
        return f"sqlite:///{os.path.abspath(database)}"
    if find_spec("psycopg") is None:
        ctx.report.error(mark, where, "PostgreSQL needs the extra", "pip install 'routeiq[postgres]'")
    for name in database.unused:
        ctx.report.warning(mark, where, f"the parameter {name} has no effect")
    return url


def _log_level(ctx: Context) -> str:
    text = ctx.environ.get(LOG_ENV)
    if text:
        level = LOG_LEVELS.get(text.lower())
        if level is not None:
            return level
        ctx.report.warning(NOWHERE, (), f"{LOG_ENV} is not one of debug, info, warning and error; it has no effect")
    return ctx.config.routeiq.log_level or "info"
