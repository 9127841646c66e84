"""`/key/*` as https://docs.litellm.ai/docs/proxy/virtual_keys describes it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from sqlalchemy import text

from management.conftest import MASTER, Api, sha
from routeiq.core.accounts import KeyDefaults
from routeiq.core.keys import BudgetLimit, ModelRule, Subject
from routeiq.store.records import User


def test_a_key_is_made_shown_once_and_found(api: Api) -> None:
    made = api.post(
        "/key/generate",
        {
            "key_alias": "mine",
            "models": ["gpt-4o"],
            "max_budget": 1.5,
            "budget_duration": "1d",
            "rpm_limit": 3,
            "duration": "1h",
            "metadata": {"team": "core"},
            "tags": ["a"],
        },
    )
    assert re.fullmatch(r"sk-[\w-]{22}", made["key"])
    assert made["token"] == made["token_id"] == sha(made["key"])
    assert made["key_name"] == f"sk-...{made['key'][-4:]}"
    assert (made["max_budget"], made["spend"], made["models"]) == (1.5, 0.0, ["gpt-4o"])
    info = api.get("/key/info", key=made["key"])
    assert info["key"] == made["token"]
    assert info == api.get("/key/info", key=made["token"])
    assert made["key"] not in str(info)
    assert info["info"]["metadata"] == {"team": "core", "tags": ["a"]}
    assert info["info"]["budget_reset_at"] is not None
    found = api.as_(made["key"]).find()
    assert found is not None
    assert (found.name, found.tags, found.rules) == ("mine", ("a",), (ModelRule(kind="key", models=("gpt-4o",)),))
    assert found.subjects == (
        Subject(kind="key", id=made["token"], rpm=3, budgets=(BudgetLimit(amount=1_500_000_000, duration="1d"),)),
    )
    assert abs((found.expires or 0) - time.time() - 3600) < 60
    with api.plane.accounts.read() as db:
        rows = str(db.connection.execute(text("SELECT * FROM virtual_keys")).all())
    assert made["key"] not in rows
    assert made["key"][3:] not in rows


def test_every_answer_is_described(api: Api) -> None:
    described = api.get("/openapi.json")["paths"]
    ours = re.compile(r"/(v2/)?(key|user|team|organization|customer|end_user|budget)/(?!daily|spend)")
    for path, methods in described.items():
        for method, operation in methods.items() if ours.match(path) else ():
            assert operation["responses"]["200"]["content"]["application/json"]["schema"] != {}, (method, path)
            if method in ("post", "patch") and path not in ("/key/health",) and "/reset_budget" not in path:
                assert "requestBody" in operation, (method, path)


def test_an_empty_request_makes_a_key(api: Api) -> None:
    assert api.new_key().find() is not None
    assert api.post("/key/generate")["models"] == []


def test_a_key_of_ones_own_choice(api: Api) -> None:
    made = api.post("/key/generate", {"key": "sk-my-own-key"})
    assert made["key"] == "sk-my-own-key"
    assert api.fails(400, "/key/generate", {"key": "sk-my-own-key"})["code"] == "already_exists"
    assert api.fails(400, "/key/generate", {"key": MASTER})["code"] == "already_exists"
    assert api.fails(400, "/key/generate", {"key": "no-prefix"})["param"] == "key"
    api.post("/key/generate", {"key_alias": "a"})
    assert api.fails(400, "/key/generate", {"key_alias": "a"})["param"] == "key_alias"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_budget": -1}, "max_budget"),
        ({"max_budget": "much"}, "max_budget"),
        ({"rpm_limit": 2**60}, "rpm_limit"),
        ({"duration": "1x"}, "duration"),
        ({"budget_duration": "0d"}, "budget_duration"),
        ({"models": "gpt-4o"}, "models"),
        ({"metadata": []}, "metadata"),
        ({"guardrails": ["x"]}, "guardrails"),
        ({"tpd_limit": 5}, "tpd_limit"),
        ({"nonsense": 1}, "nonsense"),
        ({"allowed_routes": ["/chat/completions"]}, "allowed_routes"),
        ({"budget_limits": [{"budget_duration": "1d", "max_budget": 1}] * 2}, "budget_limits"),
        ({"budget_limits": [{"budget_duration": f"{n}h", "max_budget": 1} for n in range(1, 6)]}, "budget_limits"),
        ({"auto_rotate": True}, "auto_rotate"),
        ({"rpm_limit_type": "dynamic"}, "rpm_limit_type"),
        ({"temp_budget_increase": 1, "temp_budget_expiry": "0001-01-01T00:00:00+14:00"}, "temp_budget_expiry"),
        ({"temp_budget_increase": 1, "temp_budget_expiry": "9999-12-31T23:59:59-14:00"}, "temp_budget_expiry"),
        ({"key_alias": "\x00"}, "key_alias"),
        ({"user_id": ""}, "user_id"),
        ([], None),
    ],
)
def test_what_is_wrong_is_named(api: Api, body: Any, param: str | None) -> None:
    error = api.fails(400, "/key/generate", body)
    assert error["param"] == param
    assert param is None or param in error["message"]


def test_what_litellms_clients_send_empty_is_taken(api: Api) -> None:
    api.post(
        "/key/generate",
        {"aliases": {}, "config": {}, "permissions": {}, "guardrails": None, "allowed_cache_controls": [], "spend": 0},
    )


def test_changes_and_null(api: Api) -> None:
    key = api.new_key(max_budget=5, rpm_limit=1, models=["a"], duration="1d")
    digest = sha(key.key or "")
    changed = api.post("/key/update", {"key": key.key, "max_budget": None, "models": ["b"], "key_alias": "x"})
    assert (changed["max_budget"], changed["rpm_limit"], changed["models"]) == (None, 1, ["b"])
    assert api.told[-1].keys == (digest,)
    assert api.post("/key/update", {"key": digest, "duration": "-1"})["expires"] is None
    assert api.fails(404, "/key/update", {"key": "sk-nobody"})["code"] == "not_found"
    raised = api.post(
        "/key/update",
        {"key": digest, "max_budget": 1, "temp_budget_increase": 2, "temp_budget_expiry": "2099-01-01T00:00:00Z"},
    )
    assert raised["metadata"]["temp_budget_increase"] == 2.0
    found = key.find()
    assert found is not None
    assert found.subjects[0].budgets[0].extra == 2_000_000_000
    assert api.fails(400, "/key/update", {"key": digest, "temp_budget_increase": 1})["param"] == "temp_budget_increase"


def test_what_answers_have_in_the_metadata_is_taken_from_there(api: Api) -> None:
    made = api.post("/key/generate", {"metadata": {"a": 1, "tags": ["x"], "model_rpm_limit": {"m": 2}}})
    assert made["metadata"] == {"a": 1, "tags": ["x"], "model_rpm_limit": {"m": 2}}
    found = api.as_(made["key"]).find()
    assert found is not None
    assert (found.tags, found.subjects[1].share, found.subjects[1].rpm) == (("x",), "m", 2)
    changed = api.post("/key/update", {"key": made["key"], "metadata": {**made["metadata"], "b": 2}, "tags": []})
    assert changed["metadata"] == {"a": 1, "b": 2, "model_rpm_limit": {"m": 2}}
    assert api.fails(400, "/key/generate", {"metadata": {"tags": 7}})["param"] == "tags"


def test_bulk_update_says_what_came_of_each(api: Api) -> None:
    key = api.new_key()
    answer = api.post("/key/bulk_update", {"keys": [{"key": key.key, "max_budget": 3}, {"key": "sk-nobody"}]})
    assert answer["total_requested"] == 2
    assert answer["successful_updates"][0]["key_info"]["max_budget"] == 3
    assert answer["failed_updates"][0]["key"] == "sk-nobody"


def test_delete_is_done_once_and_asked_twice(api: Api) -> None:
    first, second = api.new_key(), api.new_key(key_alias="second")
    assert api.post("/key/delete", {"keys": [first.key, "sk-nobody"]}) == {"deleted_keys": [first.key]}
    assert api.told[-1].keys == (sha(first.key or ""),)
    assert api.post("/key/delete", {"keys": [first.key]}) == {"deleted_keys": []}
    assert api.post("/key/delete", {"key_aliases": ["second"]}) == {"deleted_keys": ["second"]}
    unknown = api.as_("sk-never-there").fails(401, "/key/info", method="GET")
    assert first.fails(401, "/key/info", method="GET") == unknown == second.fails(401, "/key/info", method="GET")
    api.fails(400, "/key/delete", {})


def test_lists(api: Api) -> None:
    for number in range(5):
        api.post("/key/generate", {"key_alias": f"key_{number}%", "user_id": f"u{number % 2}", "team_id": None})
    page = api.get("/key/list", size=2, sort_by="key_alias", sort_order="asc", return_full_object=True)
    assert [entry["key_alias"] for entry in page["keys"]] == ["key_0%", "key_1%"]
    assert (page["total_count"], page["current_page"], page["total_pages"]) == (5, 1, 3)
    assert api.get("/key/list", user_id="u0")["total_count"] == 3
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry) for entry in api.get("/key/list")["keys"])
    assert api.get("/key/list", key_alias="key_1%")["total_count"] == 1
    assert api.get("/key/list", key_alias="y_", substring_matching=True)["total_count"] == 5
    assert api.get("/key/list", key_alias="%k", substring_matching=True)["total_count"] == 0
    assert api.get("/key/aliases", search="_3")["aliases"] == ["key_3%"]
    for query in ({"size": 101}, {"page": 0}, {"sort_by": "spend"}, {"sort_order": "up"}):
        api.fails(400, "/key/list", method="GET", **query)


def test_blocking(api: Api) -> None:
    key = api.new_key()
    assert api.post("/key/block", {"key": key.key})["blocked"] is True
    assert key.fails(403, "/key/info", method="GET")["code"] == "key_blocked"
    assert api.post("/key/unblock", {"key": sha(key.key or "")})["blocked"] is False
    assert key.get("/key/info")["key"] == sha(key.key or "")
    assert key.post("/key/health")["key"] == "healthy"


def test_regeneration_with_and_without_grace(api: Api) -> None:
    old = api.new_key(key_alias="kept", max_budget=7)
    made = api.post(f"/key/{old.key}/regenerate", {"grace_period": "1h", "max_budget": 9})
    new = api.as_(made["key"])
    assert (made["key_alias"], made["max_budget"], made["rotation_count"]) == ("kept", 9, 1)
    assert set(api.told[-1].keys) == {sha(old.key or ""), sha(made["key"])}
    for key in (old, new):
        assert key.find() is not None
        assert key.get("/key/info")["key"] == sha(made["key"])
    assert old.post("/key/health")["key"] == "healthy"
    again = api.post("/key/regenerate", {"key": made["key"], "new_key": "sk-chosen-by-hand"})
    assert again["key"] == "sk-chosen-by-hand"
    assert new.find() is None
    assert old.find() is not None, "its grace period goes on"
    assert api.get("/key/list")["total_count"] == 1
    api.post("/key/delete", {"keys": ["sk-chosen-by-hand"]})
    assert old.find() is None


def test_spend_can_be_set_back(api: Api) -> None:
    key = api.new_key(max_budget=7, spend=5)
    digest = sha(key.key or "")
    assert api.get("/key/info", key=digest)["info"]["spend"] == 5.0
    answer = api.post(f"/key/{digest}/reset_spend", {"reset_to": 2})
    assert (answer["spend"], answer["previous_spend"], answer["max_budget"]) == (2.0, 5.0, 7.0)
    assert api.get("/key/info", key=digest)["info"]["spend"] == 2.0
    assert api.fails(400, f"/key/{digest}/reset_spend", {"reset_to": 3})["param"] == "reset_to"
    made = api.post("/key/regenerate", {"key": digest})
    assert made["spend"] == 2.0, "a new key does not make the money come back"
    found = api.as_(made["key"]).find()
    assert found is not None
    assert found.subjects[0].budgets[0].extra == -2_000_000_000
    api.post("/key/update", {"key": made["key"], "spend": 0})
    assert api.get("/key/info", key=made["key"])["info"]["spend"] == 0.0


def test_defaults_and_upper_bounds(api: Api) -> None:
    most = KeyDefaults(max_budget=10 * 10**9, duration="1d", rpm_limit=100)
    usual = KeyDefaults(models=("gpt-4o",), rpm_limit=50)
    api.configure(upperbound_key_generate_params=most, default_key_generate_params=usual)
    made = api.post("/key/generate")
    assert (made["max_budget"], made["rpm_limit"], made["models"]) == (10.0, 50, ["gpt-4o"])
    assert made["expires"] is not None
    for body in ({"max_budget": 11}, {"duration": "2d"}, {"duration": "-1"}, {"rpm_limit": 101}):
        assert api.fails(400, "/key/generate", body)["param"] in body
    assert api.fails(400, "/key/update", {"key": made["key"], "max_budget": 12})["param"] == "max_budget"
    api.post("/key/update", {"key": made["key"], "max_budget": 9})


@pytest.mark.parametrize(
    ("body", "calls", "reads", "writes"),
    [
        ({}, True, 200, 200),
        ({"key_type": "llm_api"}, True, 403, 403),
        ({"key_type": "management"}, False, 200, 200),
        ({"key_type": "read_only"}, False, 200, 403),
        ({"allowed_routes": ["info_routes", "llm_api_routes"]}, True, 200, 403),
        ({"allowed_routes": ["/key/info"]}, False, 200, 403),
        ({"allowed_routes": ["/key/*", "llm_api_routes"]}, True, 200, 200),
        ({"allowed_routes": ["/team/*"]}, False, 403, 403),
    ],
)
def test_a_key_is_held_to_its_routes(api: Api, body: dict[str, Any], calls: bool, reads: int, writes: int) -> None:
    with api.plane.accounts.write() as db:
        db.users.put(User(user_id="boss", role="proxy_admin"))
    key = api.new_key(user_id="boss", **body)
    found = key.find()
    assert found is not None
    assert found.calls == calls
    assert key.ask("GET", "/key/info")[0] == reads
    assert key.ask("POST", "/key/generate", {"allowed_routes": ["/team/*"]})[0] == writes
    assert key.ask("POST", "/global/spend/reset")[0] == (200 if body in ({}, {"key_type": "management"}) else 403)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"budget_id": None}, "max_budget"),
        ({"max_budget": 1000}, "max_budget"),
        ({"rpm_limit": 1000}, "rpm_limit"),
        ({"budget_limits": None, "rpm_limit": None, "budget_id": None}, "max_budget"),
        ({"temp_budget_increase": 1, "temp_budget_expiry": "300d"}, "temp_budget_increase"),
        ({"access_group_ids": ["beta", "more"]}, "access_group_ids"),
        ({"access_group_ids": None, "models": None}, "models"),
        ({"models": ["all-team-models"]}, "models"),
        ({"models": ["m", "all-team-models"]}, "models"),
        ({"tags": []}, "tags"),
        ({"organization_id": None}, "organization_id"),
        ({"metadata": {"tags": ["b"]}}, "tags"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nobody_loosens_their_own_key(api: Api, change: dict[str, Any], param: str) -> None:
    """What an admin gave a key, by itself or by what it refers to, whichever key its owner asks with."""
    api.post("/budget/new", {"budget_id": "small", "max_budget": 10, "rpm_limit": 5})
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "o"})
    api.post("/user/new", {"user_id": "u", "auto_create_key": False})
    api.post("/organization/member_add", {"organization_id": "o", "member": {"user_id": "u", "role": "internal_user"}})
    held = {
        "user_id": "u", "budget_id": "small", "models": ["m"], "access_group_ids": ["beta"], "tags": ["a", "b"],
        "organization_id": "o",
    }  # fmt: skip
    key = api.new_key(**held)
    api.post("/key/update", {"key": key.key, "temp_budget_increase": 1, "temp_budget_expiry": "1d"})
    before = key.find()
    for who in (key, api.new_key(user_id="u")):
        for path in ("/key/update", "/key/regenerate"):
            assert who.fails(403, path, {"key": key.key, **change})["param"] == param
    assert key.find() == before
    key.post("/key/update", {"key": key.key, "max_budget": 5, "tags": ["a", "b", "c"], "models": ["m"]})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_key_makes_no_key_that_may_use_more(api: Api) -> None:
    api.post("/user/new", {"user_id": "u", "auto_create_key": False})
    api.post("/budget/new", {"budget_id": "small", "max_budget": 10})
    key = api.new_key(user_id="u", models=["m"], budget_id="small")
    for body, param in (
        ({"models": ["all-team-models"], "max_budget": 1}, "models"),
        ({"models": ["m"], "access_group_ids": ["more"], "max_budget": 1}, "models"),
        ({"models": ["m"]}, "max_budget"),
    ):
        assert key.fails(403, "/key/generate", body)["param"] == param
    assert key.new_key(models=["m"], max_budget=1).key
