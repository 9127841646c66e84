"""Spend and activity in LiteLLM's shapes, over both databases, and who sees whose."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from routeiq.control.app import create_app
from routeiq.control.plane import Plane
from routeiq.core.counters import CounterTable
from routeiq.core.database import Database
from routeiq.core.money import Prices
from routeiq.core.snapshot import Auth, Deployment, Group, Snapshot
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.database import engine
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.migrate import migrate
from routeiq.store.records import Team, TeamMember, User, VirtualKey
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.spend import SpendRepository

DAY = 86_400 * 1_000_000
START = 19_676 * DAY
"""2023-11-15."""
DATES = "start_date=2023-11-15&end_date=2023-11-17"
MASTER = "sk-master"
KEYS = {"sk-ann": ("ann", ""), "sk-ann-team": ("ann", "red"), "sk-bob": ("bob", "red"), "sk-lead": ("lead", "")}
DOLLAR = 10**9


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def events() -> list[Event]:
    """Over three days: ann 1 + 2 + 4 dollars (4 for team red), bob 8 for red, and a failure."""
    common: dict[str, Any] = {
        "endpoint": "chat",
        "model": "gpt",
        "group": "gpt",
        "provider": "openai",
        "deployment": "d1",
    }
    return [
        Event(
            id="a", at=START + 1000, cost=DOLLAR, prompt_tokens=10, completion_tokens=5, key=sha("sk-ann"),
            key_name="ann's", user_id="ann", tags=("blue",), ttft=500_000, duration=1_500_000, run_id="run-1", **common,
        ),
        Event(
            id="b", at=START + DAY, cost=2 * DOLLAR, prompt_tokens=20, key=sha("sk-ann"), key_name="ann's",
            user_id="ann", request_tags=("blue", "green"), user="end-1", **common,
        ),
        Event(
            id="c", at=START + 2 * DAY, cost=4 * DOLLAR, prompt_tokens=40, key=sha("sk-ann-team"), user_id="ann",
            team_id="red", organization_id="org", user="end-1", cached_tokens=3, **common,
        ),
        Event(
            id="d", at=START + 2 * DAY, cost=8 * DOLLAR, prompt_tokens=80, key=sha("sk-bob"), user_id="bob",
            team_id="red", **{**common, "provider": "anthropic", "group": "claude", "model": "claude"},
        ),
        Event(id="e", at=START + 2 * DAY + 1, status=429, error="limited", key=sha("sk-bob"), user_id="bob",
              team_id="red", request_id="mine", **common),
    ]  # fmt: skip


class Api:
    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, key: str = MASTER, status: int = 200) -> Any:
        answer = self.client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.post(path, headers={"Authorization": f"Bearer {MASTER}"}, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Iterator[Api]:
    state = tmp_path / "state"
    journal = state / "journal"
    journal.mkdir(parents=True)
    migrate(database)
    (journal / "w1-1-1-0.jsonl").write_bytes(b"".join(encode_line(event) + b"\n" for event in events()))
    ingester = Ingester(journal, opener(database))
    assert ingester.drain(10)
    ingester.close()
    opened = engine(database)
    accounts = Accounts(opened)
    with accounts.write() as db:
        for user in ("ann", "bob", "lead"):
            db.users.put(User(user_id=user))
        db.teams.put(Team(team_id="red"))
        for user, role in (("ann", "user"), ("bob", "user"), ("lead", "admin")):
            db.team_members.put(TeamMember(team_id="red", user_id=user, role=role))
        for key, (user, team) in KEYS.items():
            db.keys.put(VirtualKey(digest=sha(key), user_id=user, team_id=team))
    snapshot = Snapshot(
        revision="r", created=0.0,
        deployments=(
            Deployment(
                id="d1", group="gpt", provider="openai", model="gpt-4o", litellm_model="openai/gpt-4o",
                prices=Prices(input=1_000_000, output=2_000_000),
            ),
            Deployment(id="d2", group="free", provider="openai", model="m", litellm_model="openai/m"),
        ),
        groups={"gpt": Group(name="gpt", deployments=(0,)), "free": Group(name="free", deployments=(1,))},
        auth=Auth(master_key=sha(MASTER), lookup=True),
    )  # fmt: skip
    plane = Plane(
        CounterTable(state, column=0, columns=2), Lookup(opened), accounts, RequestRepository(opened),
        ResponseRepository(opened), A2aTaskRepository(opened), SpendRepository(opened), DecisionRepository(opened),
        FeedbackRepository(opened), snapshot,
    )  # fmt: skip
    with TestClient(create_app(plane), raise_server_exceptions=False) as client:
        yield Api(client)
    opened.dispose()


def test_logs(api: Api) -> None:
    newest, *others = api.get("/spend/logs")
    assert [row["request_id"] for row in others] == ["d", "c", "b", "a"]
    assert (newest["status"], newest["spend"], newest["metadata"]["error_information"]["error_code"]) == (
        "failure",
        0,
        "429",
    )
    oldest = others[-1]
    expected = {
        "call_type": "acompletion", "api_key": sha("sk-ann"), "spend": 1.0, "total_tokens": 15, "prompt_tokens": 10,
        "completion_tokens": 5, "startTime": "2023-11-15T00:00:00.001Z", "endTime": "2023-11-15T00:00:01.501Z",
        "completionStartTime": "2023-11-15T00:00:00.501Z", "request_duration_ms": 1500, "model": "gpt",
        "model_id": "d1", "model_group": "gpt", "custom_llm_provider": "openai", "user": "ann", "team_id": None,
        "end_user": "", "session_id": "run-1", "request_tags": ["blue"], "status": "success",
    }  # fmt: skip
    assert oldest | expected == oldest
    assert [row["request_id"] for row in api.get("/spend/logs?request_id=mine")] == ["e"]
    assert [row["request_id"] for row in api.get("/spend/logs?request_id=a")] == ["a"]
    assert [row["request_id"] for row in api.get("/spend/logs?api_key=sk-bob")] == ["e", "d"]
    unsummarized = api.get("/spend/logs?start_date=2023-11-15&end_date=2023-11-16&summarize=false")
    assert [row["request_id"] for row in unsummarized] == ["b", "a"]


def test_logs_by_day(api: Api) -> None:
    days = api.get("/spend/logs?start_date=2023-11-16&end_date=2023-11-19")
    assert [(day["startTime"], day["spend"]) for day in days] == [
        ("2023-11-16", 2.0), ("2023-11-17", 12.0), ("2023-11-18", 0), ("2023-11-19", 0)
    ]  # fmt: skip
    assert days[1]["users"] == {"ann": 4.0, "bob": 8.0}
    assert days[1]["models"] == {"gpt": 4.0, "claude": 8.0}
    assert days[1][sha("sk-bob")] == 8.0


def test_logs_in_pages(api: Api) -> None:
    page = api.get("/spend/logs/v2?start_date=2023-11-15 00:00:00&end_date=2023-11-17 23:59:59&page=2&page_size=2")
    assert [row["request_id"] for row in page["data"]] == ["c", "b"]
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (5, 2, 2, 3)
    for query, ids in {
        "status_filter=failure": "e", "team_id=red&min_spend=5": "d", "model_group=claude": "d",
        "session_id=run-1": "a",
        "end_user=end-1": "cb", "key_alias=ann's": "ba", "max_spend=1.5": "a", "user_id=nobody": "",
        "sort_order=asc": "abcde", "model_id=d1&sort_order=asc&start_date=2023-11-16": "bcde",
        "end_date=2023-11-15": "a",
    }.items():  # fmt: skip
        assert "".join(row["request_id"] for row in api.get(f"/spend/logs/v2?{query}")["data"]) == ids, query


@pytest.mark.parametrize(
    ("key", "ids"), [("sk-ann", "cba"), ("sk-ann-team", "cba"), ("sk-bob", "ed"), ("sk-lead", "edc")]
)
def test_who_sees_which_logs(api: Api, key: str, ids: str) -> None:
    assert "".join(row["request_id"] for row in api.get("/spend/logs", key)) == ids
    assert "".join(row["request_id"] for row in api.get("/spend/logs/v2", key)["data"]) == ids
    days = api.get(f"/user/daily/activity?{DATES}", key)["results"]
    assert sum(day["metrics"]["api_requests"] for day in days) == len(ids)
    assert api.get("/spend/logs?request_id=a", "sk-bob") == []
    for path in ("/global/spend", "/global/spend/keys", "/gateway/daily/activity", "/global/activity"):
        api.get(path, key, 403)


def test_nobody_asks_for_others(api: Api) -> None:
    for path in (
        "/spend/logs?user_id=bob", f"/user/daily/activity?{DATES}&user_id=bob",
        f"/team/daily/activity?{DATES}&team_ids=blue", f"/organization/daily/activity?{DATES}&organization_ids=other",
        f"/key/spend/report?{DATES}&api_key={sha('sk-bob')}", f"/user/spend/report?{DATES}&user_id=bob",
    ):  # fmt: skip
        assert api.get(path, "sk-ann", 403)["error"]["code"] == "not_allowed"


def test_daily_activity_of_users(api: Api) -> None:
    found = api.get(f"/user/daily/activity?{DATES}")
    assert [day["date"] for day in found["results"]] == ["2023-11-17", "2023-11-16", "2023-11-15"]
    newest = found["results"][0]
    assert newest["metrics"] | {
        "spend": 12.0, "prompt_tokens": 120, "cache_read_input_tokens": 3, "api_requests": 3, "successful_requests": 2,
        "failed_requests": 1, "total_tokens": 120,
    } == newest["metrics"]  # fmt: skip
    breakdown = newest["breakdown"]
    assert breakdown["model_groups"]["claude"]["metrics"]["spend"] == 8.0
    assert breakdown["providers"]["openai"]["metrics"]["api_requests"] == 2
    assert breakdown["endpoints"]["chat"]["metrics"]["spend"] == 12.0
    assert breakdown["entities"]["ann"]["api_key_breakdown"][sha("sk-ann-team")]["metrics"]["spend"] == 4.0
    assert breakdown["api_keys"][sha("sk-bob")]["metadata"]["team_id"] == "red"
    assert found["metadata"]["total_spend"] == 15.0
    assert found["metadata"]["has_more"] is False
    first = api.get(f"/user/daily/activity?{DATES}&page_size=1")
    assert (first["metadata"]["page"], first["metadata"]["has_more"]) == (1, True)
    pages = first["metadata"]["total_pages"]
    spends = [api.get(f"/user/daily/activity?{DATES}&page_size=1&page={n + 1}")["metadata"] for n in range(pages)]
    assert sum(page["total_spend"] for page in spends) == 15.0
    assert spends[-1]["has_more"] is False
    only = api.get(f"/user/daily/activity?{DATES}&user_id=bob&model=claude&api_key={sha('sk-bob')}")
    assert only["metadata"]["total_spend"] == 8.0


def test_aggregated_activity_tells_the_dearest_keys_apart(api: Api) -> None:
    found = api.get(f"/user/daily/activity/aggregated?{DATES}&api_key_limit=1")
    assert list(found["results"][0]["breakdown"]["api_keys"]) == [sha("sk-bob")]
    assert found["metadata"]["total_spend"] == 15.0
    assert (found["metadata"]["api_key_limit"], found["metadata"]["total_api_keys"]) == (1, 3)


def test_daily_activity_of_others(api: Api) -> None:
    def entities(path: str, key: str = MASTER) -> dict[str, float]:
        found: dict[str, float] = {}
        for day in api.get(f"{path}{'&' if '?' in path else '?'}{DATES}", key)["results"]:
            for id, entry in day["breakdown"]["entities"].items():
                found[id] = found.get(id, 0) + entry["metrics"]["spend"]
        return found

    assert entities("/team/daily/activity") == {"red": 12.0}
    assert entities("/team/daily/activity", "sk-lead") == {"red": 12.0}
    assert entities("/team/daily/activity?team_ids=red", "sk-ann") == {"red": 4.0}
    assert entities("/team/daily/activity?exclude_team_ids=red") == {}
    assert entities("/organization/daily/activity/aggregated") == {"org": 4.0}
    assert entities("/tag/daily/activity") == {"blue": 3.0, "green": 2.0}
    assert entities("/tag/daily/activity?tags=green,x") == {"green": 2.0}
    assert entities("/customer/daily/activity") == {"end-1": 6.0}
    assert entities("/end_user/daily/activity?end_user_ids=end-1", "sk-bob") == {}
    found = api.get(f"/gateway/daily/activity?{DATES}")
    assert [day["metrics"]["spend"] for day in found["results"]] == [12.0, 2.0, 1.0]


def test_days_of_another_time_zone_reach_into_the_next(api: Api) -> None:
    def days(offset: int) -> list[str]:
        query = f"start_date=2023-11-16&end_date=2023-11-16&timezone={offset}"
        return [day["date"] for day in api.get(f"/user/daily/activity?{query}")["results"]]

    assert days(0) == ["2023-11-16"]
    assert days(480) == ["2023-11-17", "2023-11-16"]
    assert days(-330) == ["2023-11-16", "2023-11-15"]


def test_activity_as_a_file(api: Api) -> None:
    rows = list(csv.DictReader(io.StringIO(api.get(f"/user/daily/activity/export?{DATES}"))))
    assert [(row["date"], row["user"], row["spend"]) for row in rows][:2] == [
        ("2023-11-15", "ann", "1.0"), ("2023-11-16", "ann", "2.0")
    ]  # fmt: skip
    assert len(api.get(f"/team/daily/activity/export?{DATES}&format=json")) == 3


def test_reports(api: Api) -> None:
    teams = api.get(f"/global/spend/report?{DATES}")
    assert teams[-1]["group_by_day"] == "2023-11-17"
    assert [(team["team_name"], team["total_spend"]) for team in teams[-1]["teams"]] == [("red", 12.0)]
    assert {row["api_key"] for row in teams[-1]["teams"][0]["metadata"]} == {sha("sk-ann-team"), sha("sk-bob")}
    customers = api.get(f"/global/spend/report?{DATES}&group_by=customer")
    assert [day["customers"][0]["total_spend"] for day in customers] == [2.0, 4.0]
    (own,) = api.get(f"/global/spend/report?{DATES}&api_key=sk-bob")
    assert (own["api_key"], own["total_cost"], own["total_input_tokens"]) == (sha("sk-bob"), 8.0, 80)
    assert {row["model"]: row["total_cost"] for row in own["model_details"]} == {"claude": 8.0, "gpt": 0.0}
    assert [row["total_cost"] for row in api.get(f"/team/spend/report?{DATES}&team_id=red")] == [
        row["total_cost"] for row in api.get(f"/team/spend/report?{DATES}&team_id=red", "sk-lead")
    ]
    for path in ("/key/spend/report", "/user/spend/report", "/organization/spend/report"):
        assert sum(row["total_cost"] for row in api.get(f"{path}?{DATES}")) == 15.0
    assert api.get(f"/global/spend/provider?{DATES}") == [
        {"provider": "anthropic", "spend": 8.0}, {"provider": "openai", "spend": 7.0}
    ]  # fmt: skip
    assert api.get(f"/global/spend/provider?{DATES}", "sk-ann") == [{"provider": "openai", "spend": 7.0}]
    assert api.get("/spend/tags") == [
        {"individual_request_tag": "blue", "log_count": 2, "total_spend": 3.0},
        {"individual_request_tag": "green", "log_count": 1, "total_spend": 2.0},
    ]
    assert api.get(f"/global/spend/tags?{DATES}&tags=green")["spend_per_tag"] == [
        {"name": "green", "spend": 2.0, "log_count": 1}
    ]
    assert api.get("/global/spend/all_tag_names") == {"tag_names": ["blue", "green"]}
    activity = api.get(f"/global/activity?{DATES}")
    assert (activity["sum_api_requests"], activity["sum_total_tokens"]) == (5, 155)
    assert {row["model"] for row in api.get(f"/global/activity/model?{DATES}")} == {"gpt", "claude"}
    for path in ("keys", "models", "logs"):
        assert api.get(f"/global/spend/{path}") == []  # nothing in the last thirty days
    assert api.get("/global/spend/teams")["teams"] == []


def test_all_spend_may_be_set_to_nothing(api: Api) -> None:
    assert api.get("/global/spend") == {"spend": 15.0, "max_budget": None}
    assert api.post("/global/spend/reset")["status"] == "success"
    assert api.get("/global/spend") == {"spend": 15.0, "max_budget": None}
    answer = api.client.post("/global/spend/reset", headers={"Authorization": "Bearer sk-lead"})
    assert answer.status_code == 403


def test_prices_of_requests(api: Api) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
    response = {"model": "gpt", "choices": [], "usage": usage}
    assert api.post("/spend/calculate", {"completion_response": response}) == {"cost": 33e-6}
    assert api.post("/spend/calculate", {"model": "openai/gpt-4o", "completion_response": response}) == {"cost": 33e-6}
    asked = api.post("/spend/calculate", {"model": "gpt", "messages": [{"role": "user", "content": "x" * 400}]})
    assert 100e-6 < asked["cost"] < 120e-6
    for body, status in (
        ({}, 400), ({"model": "none", "messages": []}, 404), ({"model": "free", "messages": []}, 404),
        ({"model": "gpt"}, 400), ({"completion_response": {"model": "gpt"}}, 400), ({"model": "gpt", "x": 1}, 400),
    ):  # fmt: skip
        assert set(api.post("/spend/calculate", body, status)["error"]) >= {"message", "code"}


@pytest.mark.parametrize(
    "query", ["", "?start_date=2023-11-15", "?start_date=x&end_date=y", "?start_date=2023-11-17&end_date=2023-11-15"]
)
def test_dates_that_are_none(api: Api, query: str) -> None:
    for path in (
        "/user/daily/activity",
        "/team/daily/activity/aggregated",
        "/global/spend/report",
        "/key/spend/report",
    ):
        assert api.get(path + query, status=400)["error"]["message"]


def test_activity_by_key(api: Api) -> None:
    found = api.get(f"/user/daily/activity/aggregated/keys?{DATES}&limit=2")
    assert [row["metrics"]["spend"] for row in found["api_keys"]] == [8.0, 4.0]
    assert (found["total_api_keys"], found["offset"], found["limit"]) == (3, 0, 2)
    assert found["api_keys"][0]["metadata"] == {
        "key_alias": None, "team_id": "red", "user_id": "bob", "user_email": None, "key_exists": True
    }  # fmt: skip
    (rest,) = api.get(f"/user/daily/activity/aggregated/keys?{DATES}&limit=2&offset=2")["api_keys"]
    assert rest["metadata"]["key_alias"] == "ann's"
    mine = api.get(f"/user/daily/activity/aggregated/keys?{DATES}&user_id=bob", "sk-bob")
    assert [row["api_key"] for row in mine["api_keys"]] == [sha("sk-bob")]
    api.get(f"/user/daily/activity/aggregated/keys?{DATES}&user_id=ann", "sk-bob", status=403)

    def keys(path: str, key: str = MASTER) -> list[str]:
        return [row["api_key"] for row in api.get(path, key)["api_keys"]]

    assert keys(f"/team/daily/activity/aggregated/search?{DATES}&search={sha('sk-bob')[:8]}") == [sha("sk-bob")]
    assert keys(f"/user/daily/activity/aggregated/search?{DATES}&search=ANN") == [sha("sk-ann")]
    assert keys(f"/user/daily/activity/aggregated/search?{DATES}&search=ann", "sk-bob") == []
    assert keys(f"/user/daily/activity/aggregated/model_top_keys?{DATES}&model_group=claude") == [sha("sk-bob")]
    top = f"/user/daily/activity/aggregated/model_top_keys?{DATES}&model_group=gpt&limit=1"
    assert keys(top) == [sha("sk-ann-team")]


def test_who_has_spent_what(api: Api) -> None:
    assert [row["spend"] for row in api.get("/spend/keys")] == [8.0, 4.0, 3.0, 0.0]
    assert [row["token"] for row in api.get("/spend/keys", "sk-bob")] == [sha("sk-bob")]
    assert [(row["user_id"], row["spend"]) for row in api.get("/spend/users")] == [
        ("bob", 8.0), ("ann", 7.0), ("lead", 0.0)
    ]  # fmt: skip
    assert [row["user_id"] for row in api.get("/spend/users?user_id=ann")] == ["ann"]
    assert [row["user_id"] for row in api.get("/spend/users", "sk-bob")] == ["bob"]


def test_what_the_users_of_a_team_have_spent(api: Api) -> None:
    def spent(key: str) -> dict[str, float]:
        found = api.get(f"/team/spend/by_user?team_ids=red&{DATES}", key)["results"]
        assert all(row["team_id"] == "red" for row in found)
        return {row["user_id"]: row["spend"] for row in found}

    assert spent(MASTER) == spent("sk-lead") == {"bob": 8.0, "ann": 4.0}
    assert spent("sk-ann") == {"ann": 4.0}
    assert api.get("/team/spend/by_user")["results"] == []
