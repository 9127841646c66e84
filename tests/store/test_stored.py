"""Deployments, credentials, tags and access groups at rest, in a file and on a PostgreSQL server."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from routeiq.core.database import Database
from routeiq.core.policies import UsagePolicy
from routeiq.core.stored import Stored, StoredAccessGroup, StoredCredential, StoredDeployment, StoredTag
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from routeiq.store.stored import StoredRepository
from routeiq.store.vault import Damaged, NoKey, Vault, WrongKey

OLD, NEW = Vault("the old salt"), Vault("the new salt")
DEPLOYMENT = StoredDeployment(
    id="d1", name="gpt-4o", params={"model": "openai/gpt-4o", "api_key": "sk-canary"}, info={"mode": "chat"},
    created_by="u1", updated_by="u1",
)  # fmt: skip
CREDENTIAL = StoredCredential(name="azure", values={"api_key": "sk-canary-2"}, info={"custom_llm_provider": "azure"})
TAG = StoredTag(name="batch", description="at night", models=("m",), max_budget=5 * 10**9, budget_duration="1d", rpm=3)
GROUP = StoredAccessGroup(name="beta", models=("gpt-4o", "claude"))


@pytest.fixture
def opened(database: Database) -> Iterator[Engine]:
    migrate(database)
    made = engine(database)
    yield made
    made.dispose()


@pytest.fixture
def stored(opened: Engine) -> StoredRepository:
    return StoredRepository(opened, OLD, clock=lambda: 1_790_000_000.25)


def test_what_is_put_is_found(stored: StoredRepository) -> None:
    assert stored.load() == (Stored(revision=0), ())
    kept = stored.put_deployment(DEPLOYMENT)
    assert (kept.created_at, kept.updated_at) == (1_790_000_000.25, 1_790_000_000.25)
    secret, tag, group = stored.put_credential(CREDENTIAL), stored.put_tag(TAG), stored.put_access_group(GROUP)
    found, damaged = stored.load()
    assert found == Stored(revision=4, deployments=(kept,), credentials=(secret,), tags=(tag,), access_groups=(group,))
    assert damaged == ()
    assert (stored.deployment("d1"), stored.credential("azure")) == (kept, secret)
    assert (stored.tag("batch"), stored.tags(), stored.access_groups()) == (tag, (tag,), (group,))
    assert (stored.deployment("d2"), stored.credential("x"), stored.tag("x")) == (None, None, None)
    assert stored.revision() == 4


def test_policies_of_usage(stored: StoredRepository) -> None:
    kept = stored.put_policy(
        UsagePolicy(policy_id="p", conditions={"model": ("gpt-*",)}, group_by=("key",), limit_value=0.5, action="log")
    )
    assert stored.load()[0] == Stored(revision=1, policies=(kept,))
    assert (stored.policy("p"), stored.policy("x"), stored.policies()) == (kept, None, (kept,))
    again = stored.put_policy(UsagePolicy(policy_id="p", enabled=False, created_at=kept.created_at))
    assert stored.policies() == (again,)
    assert stored.remove_policy("p")
    assert not stored.remove_policy("p")
    assert stored.revision() == 4


def test_what_is_put_again_is_replaced_and_keeps_its_beginning(stored: StoredRepository, opened: Engine) -> None:
    stored.put_deployment(DEPLOYMENT)
    later = StoredRepository(opened, OLD, clock=lambda: 1_790_000_100.0)
    later.put_deployment(StoredDeployment(id="d1", name="other", params={"model": "m"}, blocked=True, updated_by="u2"))
    found = stored.deployment("d1")
    assert found is not None
    assert (found.name, found.params, found.info, found.blocked) == ("other", {"model": "m"}, {}, True)
    assert (found.created_at, found.created_by) == (1_790_000_000.25, "u1")
    assert (found.updated_at, found.updated_by) == (1_790_000_100.0, "u2")


def test_removing_says_whether_there_was_anything(stored: StoredRepository) -> None:
    stored.put_deployment(DEPLOYMENT)
    stored.put_credential(CREDENTIAL)
    stored.put_tag(TAG)
    stored.put_access_group(GROUP)
    for remove, name in (
        (stored.remove_deployment, "d1"), (stored.remove_credential, "azure"), (stored.remove_tag, "batch"),
        (stored.remove_access_group, "beta"),
    ):  # fmt: skip
        assert [remove(name), remove(name)] == [True, False]
    assert stored.load()[0] == Stored(revision=12)


def test_nothing_secret_is_in_the_database(stored: StoredRepository, opened: Engine) -> None:
    stored.put_deployment(DEPLOYMENT)
    stored.put_credential(CREDENTIAL)
    with opened.connect() as connection:
        rows = [*connection.execute(text("SELECT * FROM deployments")), *connection.execute(
            text("SELECT * FROM credentials")
        )]  # fmt: skip
    assert len(rows) == 2
    assert "canary" not in str(rows)
    assert "canary" not in repr(stored.load())


def test_another_key_is_an_error_and_a_moved_value_is_left_out(stored: StoredRepository, opened: Engine) -> None:
    stored.put_deployment(DEPLOYMENT)
    stored.put_deployment(StoredDeployment(id="d2", name="x", params={"model": "m"}))
    with pytest.raises(WrongKey, match="deployments:d1"):
        StoredRepository(opened, NEW).load()
    with pytest.raises(NoKey, match="deployments:d1"):
        StoredRepository(opened, Vault("")).load()
    with pytest.raises(NoKey):
        StoredRepository(opened, Vault("")).put_deployment(DEPLOYMENT)
    with opened.begin() as connection:
        connection.execute(
            text("UPDATE deployments SET params = (SELECT params FROM deployments WHERE id = 'd1') WHERE id = 'd2'")
        )
    found, damaged = stored.load()
    assert [item.id for item in found.deployments] == ["d1"]
    assert len(damaged) == 1
    assert damaged[0].startswith("deployments:d2 ")
    with pytest.raises(Damaged):
        stored.deployment("d2")


def test_rotation_seals_everything_anew_or_nothing(stored: StoredRepository, opened: Engine) -> None:
    stored.put_deployment(DEPLOYMENT)
    stored.put_credential(CREDENTIAL)
    renewed = StoredRepository(opened, NEW)
    assert renewed.rotate(OLD) == 2
    assert renewed.rotate(OLD) == 0
    assert {item.key_id for item in renewed.sealed()} == {NEW.key_id}
    assert renewed.load()[0].deployments[0].params == DEPLOYMENT.params
    with pytest.raises(WrongKey):
        stored.load()
    stored.put_credential(StoredCredential(name="b", values={}))
    before = renewed.sealed()
    with pytest.raises(WrongKey):
        StoredRepository(opened, Vault("a third")).rotate(OLD)
    assert renewed.sealed() == before


def test_changes_at_once_are_all_counted(stored: StoredRepository) -> None:
    def change(number: int) -> None:
        for step in range(5):
            stored.put_tag(StoredTag(name=f"t{number}-{step}"))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored.revision() == 20
    assert len(stored.tags()) == 20
