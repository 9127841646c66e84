"""`routeiq secrets`: the key that secrets in the database are encrypted under."""

from __future__ import annotations

import datetime
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from routeiq.config.load import PATH_ENV, read
from routeiq.config.report import Report
from routeiq.config.server import compile_server
from routeiq.config.stored import settings
from routeiq.core.database import Database, parse_database
from routeiq.core.settings import Overrides
from routeiq.providers.catalog import load_catalog
from routeiq.store.database import engine, revision
from routeiq.store.stored import FIRST_SCHEMA, StoredRepository
from routeiq.store.vault import SecretsError, Vault

secrets_app = App(name="secrets", help="Look after the key that secrets in the database are encrypted under.")
FAILED = 1

Files = Annotated[
    list[Path] | None,
    Parameter(name=["--config", "-c"], negative="", help="A configuration file; may be given several times."),
]
State = Annotated[Path | None, Parameter(help="The state directory, where the configuration names no database.")]


class _Stop(Exception):
    """What the user is to be told."""


@secrets_app.command
def check(*, config: Files = None, state_dir: State = None) -> int:
    """Say under which keys secrets are encrypted, and whether they can be read with the key that is set."""
    try:
        with _opened(config, state_dir) as stored:
            values = stored.sealed()
            unreadable = _unreadable(stored)
    except (_Stop, SecretsError) as error:
        return _failed(error)
    for key_id, count in sorted(Counter(value.key_id for value in values).items()):
        mine = " (the key that is set)" if key_id and key_id == stored.vault.key_id else ""
        print(f"{count} under {key_id or 'no key of ours'}{mine}")
    for reason in unreadable:
        print(f"error: {reason}", file=sys.stderr)
    print(f"{len(values)} secrets, {len(unreadable)} can't be read")
    return FAILED if unreadable else 0


@secrets_app.command
def rotate(*, from_: Annotated[str, Parameter(name="--from")], config: Files = None, state_dir: State = None) -> int:
    """Encrypt every secret in the database anew under LITELLM_SALT_KEY (or the master key).

    All of them are, or none.

    Parameters
    ----------
    from_
        The environment variable that holds the key they are encrypted under now.
    """
    try:
        old = os.environ.get(from_)
        if not old:
            raise _Stop(f"the environment variable {from_} is not set: it must hold the old key")
        with _opened(config, state_dir) as stored:
            count = stored.rotate(Vault(old))
    except (_Stop, SecretsError) as error:
        return _failed(error)
    print(f"{count} secrets are under {stored.vault.key_id} now; restart every gateway on this database with this key")
    return 0


def _failed(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return FAILED


def _unreadable(stored: StoredRepository) -> list[str]:
    found: list[str] = []
    for value in stored.sealed():
        try:
            stored.vault.open(value.place, value.text)
        except SecretsError as error:
            found.append(str(error))
    return found


@contextmanager
def _opened(config: list[Path] | None, state_dir: Path | None) -> Iterator[StoredRepository]:
    """The database the configuration and the environment name. Raises `_Stop`."""
    from sqlalchemy.exc import SQLAlchemyError

    report = Report()
    paths = [str(path) for path in config or ()] or [os.environ[name] for name in PATH_ENV if os.environ.get(name)][:1]
    ctx = settings(read(paths, report), os.environ, load_catalog(), datetime.datetime.now(datetime.UTC))
    server = compile_server(ctx, Overrides(state_dir=str(state_dir) if state_dir else None), 1)
    for finding in (*report.errors, *ctx.report.errors):
        raise _Stop(finding.message)
    database = parse_database(server.database_url)
    _check_there(database)
    made = engine(database)
    try:
        yield StoredRepository(made, Vault(server.secrets_key))
    except SQLAlchemyError as error:
        raise _Stop(f"{database} does not answer: {type(error).__name__}") from None
    finally:
        made.dispose()


def _check_there(database: Database) -> None:
    if isinstance(database, Path) and not database.exists():
        raise _Stop(f"there is no database at {database}; name one with --config, --state-dir or DATABASE_URL")
    try:
        schema = revision(database)
    except Exception as error:
        raise _Stop(f"{database} does not answer: {type(error).__name__}") from None
    if schema is None or schema < FIRST_SCHEMA:
        raise _Stop(f"{database} holds no secrets: no gateway of this version has been on it yet")
