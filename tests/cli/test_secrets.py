"""`routeiq secrets`, over a file and a PostgreSQL server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from routeiq.core.database import Database, Postgres
from routeiq.core.stored import StoredCredential, StoredDeployment
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.stored import StoredRepository
from routeiq.store.vault import Vault
from support.gateway import ROUTEIQ, environment

OLD, NEW = "the old salt canary", "the new salt canary"


@pytest.fixture
def url(database: Database) -> str:
    migrate(database)
    made = engine(database)
    stored = StoredRepository(made, Vault(OLD))
    stored.put_deployment(
        StoredDeployment(id="d", name="n", params={"model": "openai/x", "api_key": "provider-canary"})
    )
    stored.put_credential(StoredCredential(name="c", values={"api_key": "provider-canary"}))
    made.dispose()
    return database.url if isinstance(database, Postgres) else f"sqlite:///{database}"


def run(*command: str, **environ: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [ROUTEIQ, "secrets", *command], env={**environment(), **environ}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    for secret in ("canary", "hunter2"):
        assert secret not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_rotation_and_what_can_be_read(url: str) -> None:
    old, new = Vault(OLD).key_id, Vault(NEW).key_id
    status, out, _ = run("check", DATABASE_URL=url, LITELLM_SALT_KEY=OLD)
    assert (status, out) == (0, f"2 under {old} (the key that is set)\n2 secrets, 0 can't be read\n")
    status, out, errors = run("check", DATABASE_URL=url, LITELLM_SALT_KEY=NEW)
    assert (status, out.splitlines()[-1]) == (1, "2 secrets, 2 can't be read")
    assert "error: deployments:d is encrypted under another key" in errors
    status, _, errors = run("rotate", "--from", "OTHER", DATABASE_URL=url, LITELLM_SALT_KEY=NEW, OTHER="wrong")
    assert status == 1
    assert "under another key" in errors
    status, out, _ = run("rotate", "--from", "OTHER", DATABASE_URL=url, LITELLM_SALT_KEY=NEW, OTHER=OLD)
    assert (status, out.split(" secrets")[0]) == (0, "2")
    status, out, _ = run("check", DATABASE_URL=url, LITELLM_MASTER_KEY=NEW)
    assert (status, out) == (0, f"2 under {new} (the key that is set)\n2 secrets, 0 can't be read\n")


def test_the_configuration_may_name_the_database(url: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"general_settings: {{database_url: '{url}', master_key: {OLD.replace(' ', '-')}}}\n")
    status, out, _ = run("check", "--config", str(file))
    assert (status, out.splitlines()[-1]) == (1, "2 secrets, 2 can't be read")


def test_what_is_missing_is_said(url: str, tmp_path: Path) -> None:
    for command, environ, message in (
        (("rotate", "--from", "NOT_SET"), {"DATABASE_URL": url}, "NOT_SET is not set"),
        (("rotate", "--from", "O"), {"DATABASE_URL": url, "O": OLD}, "LITELLM_SALT_KEY is not set"),
        (("check", "--state-dir", str(tmp_path / "x")), {}, "there is no database"),
        (("check",), {"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}, "does not answer"),
        (("check",), {"DATABASE_URL": "mysql://u:hunter2@h/x"}, ""),
    ):
        status, _, errors = run(*command, **environ)
        assert status == 1
        assert errors.startswith("error: ")
        assert message in errors
