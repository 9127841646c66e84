"""The build with a database beside the files: what joins, what is left out, what is served while it is away."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from routeiq.config.compile import revision_of
from routeiq.control.build import Built, try_build
from routeiq.control.stored import FILE, read
from routeiq.core import snapshot
from routeiq.core.database import Database, Postgres
from routeiq.core.keys import BudgetLimit, Subject
from routeiq.core.settings import Overrides
from routeiq.core.snapshot import Snapshot
from routeiq.core.stored import StoredAccessGroup, StoredCredential, StoredDeployment, StoredTag
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.stored import StoredRepository
from routeiq.store.vault import Vault

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
SALT = "the salt of this installation"
TEXT = """
model_list:
  - {model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k}, model_info: {id: file, access_groups: [g]}}
credential_list:
  - {credential_name: filed, credential_values: {api_key: filed-key}}
general_settings: {master_key: sk-a-long-enough-master-key, store_model_in_db: true}
"""
GOOD = StoredDeployment(
    id="d1", name="n", params={"model": "openai/gpt-4o", "litellm_credential_name": "main"},
    info={"access_groups": ["g"]}, created_at=1_790_000_000.0, created_by="u1",
)  # fmt: skip
CREDENTIAL = StoredCredential(name="main", values={"api_key": "db-key"})


class Place:
    """A configuration file, a state directory and a database."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.file = directory / "c.yaml"
        self.file.write_text(TEXT)
        self.state = directory / "state"
        url = database.url if isinstance(database, Postgres) else f"sqlite:///{database}"
        self.environ = {"HOME": "/home/someone", "DATABASE_URL": url, "LITELLM_SALT_KEY": SALT}
        migrate(database)
        self.engine = engine(database)
        self.stored = StoredRepository(self.engine, Vault(SALT))

    def build(self, **environ: str) -> Built:
        overrides = Overrides(state_dir=str(self.state))
        environ = {**self.environ, **environ}
        return try_build([str(self.file)], environ, overrides, now=NOW, cpus=1, stored=read)

    def served(self, **environ: str) -> Snapshot:
        result = self.build(**environ).result
        assert result.snapshot is not None, result.errors
        return snapshot.decode(result.snapshot)


@pytest.fixture
def place(tmp_path: Path, database: Database) -> Place:
    return Place(tmp_path, database)


def test_rows_join_the_files(place: Place) -> None:
    first = place.served()
    assert (list(first.groups), first.stored) == (["m"], 0)
    place.stored.put_credential(CREDENTIAL)
    place.stored.put_deployment(GOOD)
    place.stored.put_access_group(StoredAccessGroup(name="g", models=("x",)))
    place.stored.put_tag(StoredTag(name="t", max_budget=10**9, budget_duration="1d", rpm=5))
    place.stored.put_tag(StoredTag(name="free"))
    found = place.served()
    assert list(found.groups) == ["m", "n"]
    deployment = found.deployments[1]
    assert deployment.id == "d1"
    assert b"Bearer db-key" in deployment.heads["chat"]
    info = msgspec.json.decode(deployment.info)
    assert info["db_model"] is True
    assert (info["created_by"], info["created_at"]) == ("u1", "2026-09-21T14:13:20Z")
    assert found.access_groups == {"g": ("m", "n", "x")}
    budget = BudgetLimit(amount=10**9, duration="1d")
    assert found.tags == {"t": Subject(kind="tag", id="t", rpm=5, budgets=(budget,))}
    assert found.stored == 5
    assert found.revision == revision_of(found) != first.revision


def test_without_the_setting_only_tags_and_access_groups_are_read(place: Place) -> None:
    place.file.write_text(TEXT.replace(", store_model_in_db: true", ""))
    place.stored.put_deployment(GOOD)
    place.stored.put_tag(StoredTag(name="t", rpm=5))
    found = place.served(LITELLM_SALT_KEY="quite another one")
    assert list(found.groups) == ["m"]
    assert list(found.tags) == ["t"]
    assert not found.store_models
    assert not (place.state / FILE).exists()


def test_a_row_with_a_mistake_is_left_out_and_named(place: Place) -> None:
    place.stored.put_deployment(GOOD)  # its credential is not there
    place.stored.put_deployment(msgspec.structs.replace(GOOD, id="d2", params={"model": "openai/x", "api_key": "k"}))
    built = place.build()
    assert built.result.ok
    assert list(built.left_out) == ["d1"]
    (warning,) = [w for w in built.result.warnings if "d1" in w.file]
    assert str(warning) == (
        "deployment d1 in the database: warning: model_list[1].litellm_params.litellm_credential_name: "
        "is not served: no credential is called main"
    )
    assert [d.id for d in place.served().deployments] == ["file", "d2"]


@pytest.mark.parametrize("name", ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "DATABASE_URL", "ADMIN_API_KEYS"])
def test_a_row_can_t_have_the_gateway_s_own_secrets(place: Place, name: str) -> None:
    params = {"model": "openai/x", "api_base": "https://example.com", "api_key": f"os.environ/{name}"}
    place.stored.put_deployment(msgspec.structs.replace(GOOD, params=params))
    built = place.build(OTHER="o", **{name: place.environ.get(name, "v")})
    assert list(built.left_out) == ["d1"]
    params = {**params, "api_key": "os.environ/OTHER"}
    place.stored.put_deployment(msgspec.structs.replace(GOOD, params=params))
    assert b"Bearer o\r\n" in place.served(OTHER="o").deployments[1].heads["chat"]


def test_what_the_files_say_wins(place: Place) -> None:
    place.stored.put_deployment(msgspec.structs.replace(GOOD, id="file"))
    place.stored.put_credential(StoredCredential(name="filed", values={"api_key": "db-key"}))
    params = {"model": "openai/x", "litellm_credential_name": "filed"}
    place.stored.put_deployment(msgspec.structs.replace(GOOD, params=params))
    found = place.served()
    assert [d.id for d in found.deployments] == ["file", "d1"]
    assert found.deployments[0].group == "m"
    assert b"Bearer filed-key" in found.deployments[1].heads["chat"]
    files = [w.file for w in place.build().result.warnings if "in the files" in w.message]
    assert sorted(files) == ["credential filed in the database", "deployment file in the database"]


def test_another_salt_is_an_error_that_says_what_to_do(place: Place) -> None:
    place.stored.put_deployment(GOOD)
    result = place.build(LITELLM_SALT_KEY="quite another one").result
    assert not result.ok
    assert "set LITELLM_SALT_KEY" in result.errors[0].message


def test_without_any_key_the_master_key_is_the_salt_and_without_both_there_is_a_warning(place: Place) -> None:
    del place.environ["LITELLM_SALT_KEY"]
    sealing = StoredRepository(place.engine, Vault("sk-a-long-enough-master-key"))
    sealing.put_credential(CREDENTIAL)
    sealing.put_deployment(GOOD)
    assert list(place.served().groups) == ["m", "n"]
    for name in ("d1", "main"):
        sealing.remove_deployment(name)
        sealing.remove_credential(name)
    place.file.write_text(TEXT.replace("master_key: sk-a-long-enough-master-key, ", ""))
    warnings = [warning.message for warning in place.build().result.warnings]
    assert "neither LITELLM_SALT_KEY nor a master key is set: deployments can't be stored in the database" in warnings


def broken_file(tmp_path: Path) -> str:
    file = tmp_path / "broken.db"
    file.write_bytes(b"no database" * 1000)
    return f"sqlite:///{file}"


def gone_server(_: Path) -> str:
    return "postgresql://u:p@127.0.0.1:1/x"


@pytest.mark.parametrize("away", [broken_file, gone_server])
def test_while_the_database_is_away_its_last_word_is_served(
    place: Place, tmp_path: Path, away: Callable[[Path], str]
) -> None:
    place.stored.put_credential(CREDENTIAL)
    place.stored.put_deployment(GOOD)
    before = place.served()
    kept = place.state / FILE
    assert kept.stat().st_mode & 0o077 == 0
    assert b"db-key" not in kept.read_bytes()
    url = away(tmp_path)
    during = place.served(DATABASE_URL=url)
    assert (during.revision, during.stored) == (before.revision, before.stored)
    (warning,) = [w.message for w in place.build(DATABASE_URL=url).result.warnings if "does not answer" in w.message]
    assert "served as it was at" in warning
    kept.write_text("riq1:torn")
    found = place.build(DATABASE_URL=url)
    assert any("can't be read" in w.message for w in found.result.warnings)
    kept.unlink()
    alone = place.served(DATABASE_URL=url)
    assert (list(alone.groups), alone.stored) == (["m"], -1)
    assert any(
        "only what the configuration files say" in w.message for w in place.build(DATABASE_URL=url).result.warnings
    )
