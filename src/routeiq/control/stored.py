"""Reads what is in the database for a build; while it is away, what it said last.

database ──► Stored ──► `stored.sealed` in the state directory, encrypted like the secrets in the database
   └─ does not answer: what that file says, with a warning
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from routeiq.config.stored import moment
from routeiq.core import stored as structs
from routeiq.core.database import Database, parse_database
from routeiq.core.settings import ServerSettings
from routeiq.core.stored import Stored
from routeiq.store.database import engine, revision
from routeiq.store.stored import FIRST_SCHEMA, StoredRepository
from routeiq.store.vault import SecretsError, Vault

FILE = "stored.sealed"
_PLACE = "file:stored"
EMPTY = Stored(revision=0)
"""A database with nothing in it, or none yet."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a build takes from the database. Messages hold no secrets."""

    stored: Stored
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def read(server: ServerSettings, *, models: bool, clock: Callable[[], float] = time.time) -> Reading:
    """What is stored; `models` says whether deployments, credentials and MCP servers are asked for."""
    database = parse_database(server.database_url)
    vault = Vault(server.secrets_key)
    kept = Path(server.state_dir) / FILE
    try:
        found, damaged = _load(database, vault, models=models)
    except SecretsError as error:
        return Reading(EMPTY, errors=(str(error),))
    except (SQLAlchemyError, sqlite3.Error, OSError, _driver_error()) as error:
        return _remembered(kept, vault, type(error).__name__, models=models)
    warnings = tuple(f"{reason}; it is not served" for reason in damaged)
    if models:
        if not vault.ready:
            message = "neither LITELLM_SALT_KEY nor a master key is set: deployments can't be stored in the database"
            warnings += (message,)
        elif found != EMPTY or kept.exists():
            trouble = _remember(kept, vault, found, clock())
            warnings += (trouble,) if trouble else ()
    return Reading(found, warnings)


def _driver_error() -> type[Exception]:
    try:
        from psycopg import Error
    except ImportError:
        return sqlite3.Error
    return Error


def _load(database: Database, vault: Vault, *, models: bool) -> tuple[Stored, tuple[str, ...]]:
    if isinstance(database, Path) and not database.exists():
        return EMPTY, ()
    schema = revision(database)
    if schema is None or schema < FIRST_SCHEMA:
        return EMPTY, ()
    opened = engine(database)
    try:
        return StoredRepository(opened, vault).load(secrets=models)
    finally:
        opened.dispose()


def _remember(file: Path, vault: Vault, found: Stored, now: float) -> str:
    """Keep it for when the database is away; why that was not possible, if so."""
    sealed = vault.seal(_PLACE, structs.encode(found))
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(sealed)
        os.utime(new, (now, now))
        new.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        return f"the models of the database can't be kept for when it is away: {error.strerror}"
    return ""


def _remembered(file: Path, vault: Vault, why: str, *, models: bool) -> Reading:
    trouble = f"the database does not answer ({why})"
    try:
        when = file.stat().st_mtime
        found = structs.decode(vault.open(_PLACE, file.read_text()))
    except FileNotFoundError:
        return Reading(Stored(), (f"{trouble}: only what the configuration files say is served",))
    except (OSError, ValueError, SecretsError, msgspec.DecodeError) as error:
        reason = str(error) if isinstance(error, SecretsError) else type(error).__name__
        message = f"{trouble}, and {FILE} can't be read ({reason}): only what the configuration files say is served"
        return Reading(Stored(), (message,))
    if not models:
        found = msgspec.structs.replace(found, deployments=(), credentials=(), mcp_servers=(), agents=())
    return Reading(found, (f"{trouble}: what it says is served as it was at {moment(when)}",))
