"""Keys, users, teams, organizations and budgets at rest, on a file and on a PostgreSQL server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import Engine, text

from routeiq.core.database import Database
from routeiq.core.keys import BudgetLimit, Key, ModelRule, Refusal, Subject
from routeiq.store.accounts import Accounts
from routeiq.store.compiled import FOR_EVER, Rules
from routeiq.store.database import engine
from routeiq.store.lookup import Lookup
from routeiq.store.migrate import migrate
from routeiq.store.records import (
    Budget,
    EndUser,
    Limits,
    Organization,
    OrganizationMember,
    Spending,
    Team,
    TeamMember,
    User,
    VirtualKey,
    Window,
)
from routeiq.store.rows import contains
from routeiq.store.standing import memberships
from routeiq.store.tables import virtual_keys
from routeiq.store.tables_accounts import users

DIGEST, OTHER = "ab" * 32, "cd" * 32
NOW = 1_700_000_000.0
"""14 November 2023, 22:13:20 UTC."""


@pytest.fixture
def opened(database: Database) -> Iterator[Engine]:
    migrate(database)
    made = engine(database)
    yield made
    made.dispose()


@pytest.fixture
def accounts(opened: Engine) -> Accounts:
    return Accounts(opened, lambda: NOW)


def find(opened: Engine, digest: str = DIGEST, rules: Rules | None = None, now: float = NOW) -> Key | None:
    return Lookup(opened, lambda: now, lambda: rules or Rules()).find(digest)


def put(accounts: Accounts, *records: object) -> None:
    with accounts.write() as db:
        tables = {
            VirtualKey: db.keys,
            User: db.users,
            Team: db.teams,
            TeamMember: db.team_members,
            Organization: db.organizations,
            OrganizationMember: db.organization_members,
            Budget: db.budgets,
            EndUser: db.end_users,
        }
        for record in records:
            tables[type(record)].put(record)  # type: ignore[attr-defined,index]


def test_records_come_back_as_they_went(accounts: Accounts) -> None:
    user = User(
        user_id="u \x01 ü", email="Ann@Example.com", metadata={"a": [1, None, "\x00"]}, limits=Limits(rpm_limit=3)
    )
    put(accounts, user)
    with accounts.read() as db:
        assert db.users.get("u \x01 ü") == user
        assert db.users.get("nobody") is None
        assert db.users.many(["u \x01 ü", "nobody"]) == {"u \x01 ü": user}
        assert [found.user_id for found in db.users.all(users.c.email == "ann@example.com")] == ["u \x01 ü"]
    with accounts.write() as db:
        assert not db.users.add(User(user_id="u \x01 ü", alias="another"))
        assert db.users.add(User(user_id="u2"))
        assert db.users.remove_one("u2")
        assert not db.users.remove_one("u2")


def test_all_or_nothing(accounts: Accounts) -> None:
    with pytest.raises(ZeroDivisionError), accounts.write() as db:  # noqa: PT012
        db.users.put(User(user_id="u1"))
        raise ZeroDivisionError
    with accounts.read() as db:
        assert db.users.get("u1") is None


def test_wildcards_are_themselves_and_pages_follow_each_other(accounts: Accounts) -> None:
    put(accounts, *(User(user_id=f"u{number:02}", alias="100%" if number % 2 else "1000") for number in range(9)))
    with accounts.read() as db:
        page = db.users.page(contains(users.c.alias, "0%"), page=1, size=3)
        assert ([user.user_id for user in page.records], page.total) == (["u01", "u03", "u05"], 4)
        page = db.users.page(contains(users.c.alias, "0%"), page=2, size=3)
        assert [user.user_id for user in page.records] == ["u07"]
        assert db.users.count(contains(users.c.alias, "_")) == 0


def test_changes_of_one_record_wait_for_each_other(accounts: Accounts) -> None:
    put(accounts, Team(team_id="t", limits=Limits(rpm_limit=0)))

    def add() -> None:
        for _ in range(10):
            with accounts.write() as db:
                team = db.teams.lock("t")
                assert team is not None
                limits = msgspec.structs.replace(team.limits, rpm_limit=(team.limits.rpm_limit or 0) + 1)
                db.teams.put(msgspec.structs.replace(team, limits=limits))

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with accounts.read() as db:
        found = db.teams.get("t")
    assert found is not None
    assert found.limits.rpm_limit == 30


def test_rows_of_older_versions_and_for_them(opened: Engine, accounts: Accounts) -> None:
    older = {"id": DIGEST, "name": "old", "models": ["gpt-*"], "rpm": 7, "max_budget": 5, "budget_seconds": 86400}
    statement = text("INSERT INTO virtual_keys (digest, key, updated_at) VALUES (:d, :k, 3.0)")
    with opened.begin() as connection:
        connection.execute(statement, {"d": DIGEST, "k": json.dumps(older)})
    found = find(opened)
    assert found == Key(
        id=DIGEST,
        name="old",
        rules=(ModelRule(kind="key", models=("gpt-*",)),),
        subjects=(Subject(kind="key", id=DIGEST, rpm=7, budgets=(BudgetLimit(amount=5, duration="86400s"),)),),
    )
    with accounts.write() as db:
        record = db.keys.get(DIGEST)
        assert record is not None
        db.keys.put(record)
        db.keys.put(VirtualKey(digest=OTHER, team_id="t"))
    assert find(opened) == found
    with opened.connect() as connection:
        rows = dict(connection.execute(text("SELECT digest, key FROM virtual_keys")).all())
    assert json.loads(rows[DIGEST]) == older
    assert json.loads(rows[OTHER])["blocked"], "an older version can't see whether the team is blocked"


def test_the_whole_chain(opened: Engine, accounts: Accounts) -> None:
    put(
        accounts,
        Budget(budget_id="b-key", limits=Limits(max_budget=100, budget_duration="1d", rpm_limit=1, tpm_limit=9)),
        Budget(budget_id="b-member", limits=Limits(max_budget=7), allowed_models=("a",)),
        Budget(budget_id="b-org", limits=Limits(max_budget=1000, budget_duration="30d")),
        User(user_id="u", role="proxy_admin", limits=Limits(max_budget=50, tpm_limit=4), models=("x",)),
        Organization(organization_id="o", budget_id="b-org", models=("a", "b", "c")),
        Team(team_id="t", organization_id="o", models=("a", "b"), limits=Limits(model_rpm_limit={"a": 2}), tags=("x",)),
        TeamMember(team_id="t", user_id="u", budget_id="b-member"),
        VirtualKey(
            digest=DIGEST,
            alias="mine",
            user_id="u",
            team_id="t",
            budget_id="b-key",
            models=("all-team-models",),
            limits=Limits(rpm_limit=5, model_max_budget={"a": Window(max_budget=3, budget_duration="1h")}),
        ),
    )
    found = find(opened)
    assert found is not None
    assert (found.name, found.role, found.admin, found.tags) == ("mine", "proxy_admin", True, ("x",))
    assert (found.user_id, found.team_id, found.organization_id) == ("u", "t", "o")
    assert found.rules == (
        ModelRule(kind="team", models=("a", "b")),
        ModelRule(kind="user", models=("a",)),
        ModelRule(kind="organization", models=("a", "b", "c")),
    )
    assert found.subjects == (
        Subject(kind="key", id=DIGEST, rpm=5, tpm=9, budgets=(BudgetLimit(amount=100, duration="1d"),)),
        Subject(kind="key", id=DIGEST, share="a", budgets=(BudgetLimit(amount=3, duration="1h"),)),
        Subject(kind="user", id="u", tpm=4),
        Subject(kind="member", id="t/u", budgets=(BudgetLimit(amount=7),)),
        Subject(kind="team", id="t"),
        Subject(kind="team", id="t", share="a", rpm=2),
        Subject(kind="organization", id="o", budgets=(BudgetLimit(amount=1000, duration="30d"),)),
    )
    strict = find(opened, rules=Rules(user_budget_for_teams=True))
    assert strict is not None
    assert strict.subjects[2] == Subject(kind="user", id="u", tpm=4, budgets=(BudgetLimit(amount=50),))


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (Organization(organization_id="o", blocked=True), "organization_blocked"),
        (Team(team_id="t", organization_id="o", blocked=True), "team_blocked"),
        (User(user_id="u", blocked=True), "user_blocked"),
    ],
)
def test_who_is_blocked_takes_the_keys_along(opened: Engine, accounts: Accounts, record: object, code: str) -> None:
    put(accounts, Organization(organization_id="o"), Team(team_id="t", organization_id="o"), User(user_id="u"))
    put(accounts, VirtualKey(digest=DIGEST, user_id="u", team_id="t"), record)
    found = find(opened)
    assert found is not None
    assert isinstance(found.refused, Refusal)
    assert found.refused.code == code


@pytest.mark.parametrize(
    ("key", "user", "team", "expected"),
    [
        ((), (), None, ()),
        (("a",), ("b",), None, (("key", ("a",)), ("user", ("b",)))),
        (("a",), ("b",), (), (("key", ("a",)),)),
        ((), ("no-default-models",), None, (("user", ()),)),
        ((), ("no-default-models",), ("a",), (("team", ("a",)),)),
        (("all-team-models",), (), ("a",), (("team", ("a",)),)),
        (("all-proxy-models",), (), ("all-proxy-models",), ()),
        (("group",), (), None, (("key", ("g1", "g2")),)),
    ],
)
def test_models(
    opened: Engine,
    accounts: Accounts,
    key: tuple[str, ...],
    user: tuple[str, ...],
    team: tuple[str, ...] | None,
    expected: tuple[tuple[str, tuple[str, ...]], ...],
) -> None:
    put(accounts, User(user_id="u", models=user))
    if team is not None:
        put(accounts, Team(team_id="t", models=team))
    put(accounts, VirtualKey(digest=DIGEST, user_id="u", team_id="t" if team is not None else "", models=key))
    found = find(opened, rules=Rules(expand=lambda names: ("g1", "g2") if names == ("group",) else names))
    assert found is not None
    assert found.rules == tuple(ModelRule(kind=kind, models=models) for kind, models in expected)


def test_what_was_reset_and_raised_for_a_while(opened: Engine, accounts: Accounts) -> None:
    today = 1_699_920_000.0
    limits = Limits(
        max_budget=100,
        budget_duration="1d",
        budget_limits=(Window(max_budget=10, budget_duration="1h"),),
        temp_budget_increase=40,
        temp_budget_expiry=NOW + 60,
    )
    spending = Spending(carry={"1d": -30, "1h": 2}, at=today + 3600)
    put(accounts, VirtualKey(digest=DIGEST, limits=limits, spending=spending))

    def budgets(now: float) -> tuple[BudgetLimit, ...]:
        found = find(opened, now=now)
        assert found is not None
        return found.subjects[0].budgets

    hour = BudgetLimit(amount=10, duration="1h")
    day = BudgetLimit(amount=100, duration="1d")
    assert budgets(NOW) == (msgspec.structs.replace(day, extra=70, extra_until=NOW + 60), hour)
    assert budgets(NOW + 61) == (msgspec.structs.replace(day, extra=30, extra_until=today + 86400), hour)
    assert budgets(today + 86400) == (day, hour)
    put(accounts, VirtualKey(digest=DIGEST, limits=Limits(max_budget=1), spending=Spending(carry={"": 1}, at=NOW)))
    assert budgets(NOW) == (BudgetLimit(amount=1, extra=-1, extra_until=FOR_EVER),)


def test_a_regenerated_key_works_on_for_its_grace_period(opened: Engine, accounts: Accounts) -> None:
    put(accounts, VirtualKey(digest=OTHER, alias="k", user_id="u"))
    with accounts.write() as db:
        db.keys.retire(DIGEST, OTHER, NOW + 10)
    found = find(opened, DIGEST)
    assert found is not None
    assert (found.id, found.digest, found.expires, found.subjects[0].id) == (OTHER, DIGEST, NOW + 10, OTHER)
    assert find(opened, DIGEST, now=NOW + 10) is None
    with accounts.write() as db:
        record = db.keys.of_alias("k")
        assert record is not None
        assert db.keys.delete([record], "admin", NOW) == [OTHER, DIGEST]
    assert find(opened, DIGEST) is None
    assert find(opened, OTHER) is None
    with opened.connect() as connection:
        assert connection.execute(text("SELECT alias, deleted_by FROM deleted_keys")).one() == ("k", "admin")


def test_end_users(opened: Engine, accounts: Accounts) -> None:
    put(accounts, Budget(budget_id="free", limits=Limits(max_budget=5, rpm_limit=2)))
    put(accounts, EndUser(user_id="e1", blocked=True), EndUser(user_id="e2", models=("a",)))
    plain = Lookup(opened, lambda: NOW)
    assert plain.find_end_user("nobody") is None
    found = plain.find_end_user("e1")
    assert found is not None
    assert found.blocked
    free = Lookup(opened, lambda: NOW, lambda: Rules(default_end_user_budget="free"))
    found = free.find_end_user("nobody")
    assert found is not None
    assert found.subjects == (Subject(kind="end_user", id="nobody", rpm=2, budgets=(BudgetLimit(amount=5),)),)
    found = free.find_end_user("e2")
    assert found is not None
    assert found.rules == (ModelRule(kind="customer", models=("a",)),)
    assert found.subjects[0].rpm == 2


def test_what_a_user_is_where(opened: Engine, accounts: Accounts) -> None:
    put(
        accounts,
        User(user_id="u", role="internal_user"),
        TeamMember(team_id="t1", user_id="u", role="admin"),
        TeamMember(team_id="t2", user_id="u"),
        OrganizationMember(organization_id="o", user_id="u", role="org_admin"),
    )
    assert memberships(opened, "u") == ("internal_user", {"t1": "admin", "t2": "user"}, {"o": "org_admin"})
    assert memberships(opened, "nobody") == ("", {}, {})


def test_whom_a_budget_counts_for(accounts: Accounts) -> None:
    put(
        accounts,
        VirtualKey(digest=DIGEST, budget_id="b"),
        Team(team_id="t", member_budget_id="b"),
        Organization(organization_id="o", budget_id="b"),
        EndUser(user_id="e", budget_id="b"),
        TeamMember(team_id="t2", user_id="u", budget_id="b"),
        EndUser(user_id="f", budget_id="c"),
    )
    with accounts.read() as db:
        assert sorted(db.budget_users("b")) == ["end_user:e", f"key:{DIGEST}", "organization:o", "team:t", "user:u"]


def test_a_key_is_found_at_once(opened: Engine, accounts: Accounts) -> None:
    put(accounts, User(user_id="u"), Team(team_id="t"), TeamMember(team_id="t", user_id="u"))
    many = [f"{number:064x}" for number in range(20_000)]
    columns = "digest, key, updated_at, user_id, team_id, data"
    data = msgspec.json.encode(VirtualKey(digest=many[7], user_id="u", team_id="t")).decode()
    with opened.begin() as connection:
        statement = text(f"INSERT INTO virtual_keys ({columns}) VALUES (:d, '{{}}', 1.0, 'u', 't', :data)")
        connection.execute(statement, [{"d": digest, "data": data} for digest in many])
    repository = Lookup(opened)
    repository.find(many[1])
    begin = time.perf_counter()
    for digest in many[:200]:
        assert repository.find(digest) is not None
    assert (time.perf_counter() - begin) / 200 < 0.01
    with opened.connect() as connection:
        assert connection.execute(virtual_keys.select().where(virtual_keys.c.digest == many[3])).one().user_id == "u"
