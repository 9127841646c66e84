"""`/team/*`, `/user/*`, `/organization/*`: https://docs.litellm.ai/docs/proxy/access_control"""

from __future__ import annotations

from typing import Any

import pytest

from management.conftest import Api, sha
from routeiq.core.accounts import UserDefaults
from routeiq.core.keys import BudgetLimit, Subject


def user(api: Api, user_id: str, **body: Any) -> Api:
    """A user, and be who has its key."""
    return api.as_(api.post("/user/new", {"user_id": user_id, **body})["key"])


def test_a_user_comes_with_a_key(api: Api) -> None:
    made = api.post("/user/new", {"user_email": "Ann@example.com", "user_role": "internal_user", "max_budget": 5})
    assert made["key"].startswith("sk-")
    assert (made["user_role"], made["max_budget"], made["spend"], made["teams"]) == ("internal_user", 5.0, 0.0, [])
    ann = api.as_(made["key"])
    info = ann.get("/user/info")
    assert (info["user_id"], info["user_info"]["user_email"]) == (made["user_id"], "Ann@example.com")
    assert [key["token"] for key in info["keys"]] == [sha(made["key"])]
    found = ann.find()
    assert found is not None
    assert found.subjects[1] == Subject(kind="user", id=made["user_id"], budgets=(BudgetLimit(amount=5_000_000_000),))
    assert api.post("/user/new", {"auto_create_key": False})["key"] is None
    for body in ({"duration": "1x"}, {"key_type": "other"}, {"key_alias": "\x00"}, {"password": "secret"}):
        assert api.fails(400, "/user/new", body)["param"] in body
    api.post("/budget/new", {"budget_id": "free", "max_budget": 1})
    shared = user(api, "shared", budget_id="free", key_alias="of shared", key_type="llm_api").find()
    assert shared is not None
    assert (shared.name, shared.routes) == ("of shared", ("llm_api_routes",))
    assert shared.subjects[0].budgets == (BudgetLimit(amount=10**9),)
    assert api.fails(409, "/user/new", {"user_id": made["user_id"]})["code"] == "already_exists"
    assert api.fails(409, "/user/new", {"user_email": "ann@EXAMPLE.com"})["param"] == "user_email"


def test_users_change_what_is_theirs_only(api: Api) -> None:
    ann = user(api, "ann")
    assert ann.post("/user/update", {"user_id": "ann", "user_alias": "Ann"})["data"]["user_alias"] == "Ann"
    for body in ({"max_budget": 1000}, {"user_role": "proxy_admin"}, {"spend": 0}, {"models": []}, {"blocked": False}):
        assert ann.fails(403, "/user/update", {"user_id": "ann", **body})["param"] in body
    user(api, "bob")
    assert ann.fails(404, "/user/update", {"user_id": "bob"}) == {
        **ann.fails(404, "/user/update", {"user_id": "nob"}),
        "message": "There is no user 'bob'.",
    }
    ann.fails(403, "/user/new", {})
    ann.fails(403, "/user/delete", {"user_ids": ["bob"]})
    assert api.post("/user/update", {"user_id": "ann", "max_budget": 3})["data"]["max_budget"] == 3.0
    assert api.told[-1].subjects == ("user:ann",)


def test_lists_of_users(api: Api) -> None:
    for number in range(3):
        user(api, f"u{number}", user_email=f"u{number}@example.com", user_role="internal_user_viewer")
    page = api.get("/user/list", page_size=2)
    assert ([it["user_id"] for it in page["users"]], page["total"], page["total_pages"]) == (["u0", "u1"], 3, 2)
    assert page["users"][0]["key_count"] == 1
    assert api.get("/user/list", user_ids="u1,u2,nobody")["total"] == 2
    assert api.get("/user/list", user_email="U1@")["total"] == 1
    assert api.get("/user/list", role="proxy_admin")["total"] == 0
    assert set(api.get("/user/available_roles")) == {
        "proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"
    }  # fmt: skip
    answer = api.post("/user/bulk_update", {"users": [{"user_id": "u0", "rpm_limit": 2}, {"user_id": "nobody"}]})
    assert [result["success"] for result in answer["results"]] == [True, False]
    assert api.get("/v2/user/info", user_id="u0")["rpm_limit"] == 2


def test_a_deleted_user_takes_its_keys_along(api: Api) -> None:
    ann = user(api, "ann")
    api.post("/team/new", {"team_id": "t", "members_with_roles": [{"user_id": "ann"}]})
    assert api.post("/user/delete", {"user_ids": ["ann"]})["deleted_users"] == ["ann"]
    assert ann.find() is None
    assert api.get("/team/info", team_id="t")["team_info"]["members_with_roles"] == []
    api.fails(404, "/user/delete", {"user_ids": ["ann"]})


def test_defaults_of_users(api: Api) -> None:
    api.post("/team/new", {"team_id": "all"})
    api.configure(
        default_internal_user_params=UserDefaults(user_role="internal_user_viewer", max_budget=10**9, teams=("all",))
    )
    made = api.post("/user/new", {})
    assert (made["user_role"], made["max_budget"], made["teams"]) == ("internal_user_viewer", 1.0, ["all"])


def test_a_team_and_its_members(api: Api) -> None:
    user(api, "ann", user_email="ann@example.com")
    team = api.post(
        "/team/new",
        {
            "team_alias": "core",
            "models": ["gpt-4o"],
            "max_budget": 100,
            "team_member_budget": 7,
            "members_with_roles": [{"role": "admin", "user_id": "ann"}],
        },
    )
    id = team["team_id"]
    assert team["members_with_roles"] == [{"user_id": "ann", "user_email": "ann@example.com", "role": "admin"}]
    added = api.post("/team/member_add", {"team_id": id, "member": {"role": "user", "user_email": "bob@example.com"}})
    bob = added["updated_users"][0]["user_id"]
    assert added["updated_team_memberships"][0]["litellm_budget_table"]["max_budget"] == 7.0
    assert api.fails(400, "/team/member_add", {"team_id": id, "member": {"user_id": bob}})["code"] == "already_exists"
    updated = api.post("/team/member_update", {"team_id": id, "user_id": bob, "max_budget_in_team": 3, "rpm_limit": 2})
    assert (updated["max_budget_in_team"], updated["rpm_limit"]) == (3.0, 2)
    key = api.new_key(team_id=id, user_id=bob)
    found = key.find()
    assert found is not None
    members = {subject.kind: subject for subject in found.subjects}
    assert members["member"] == Subject(
        kind="member", id=f"{id}/{bob}", rpm=2, budgets=(BudgetLimit(amount=3 * 10**9),)
    )
    assert members["team"].budgets == (BudgetLimit(amount=100 * 10**9),)
    info = api.get("/team/info", team_id=id)
    assert [entry["token"] for entry in info["keys"]] == [sha(key.key or "")]
    assert {it["user_id"]: it["litellm_budget_table"]["max_budget"] for it in info["team_memberships"]} == {
        "ann": 7.0,
        bob: 3.0,
    }
    answer = api.post(f"/team/{id}/member/{bob}/reset_budget")
    assert answer["budget_source"] == "team_default"
    assert api.post(f"/team/{id}/member/{bob}/reset_spend", {"reset_to": 0})["spend"] == 0.0
    me = key.get(f"/team/{id}/members/me")
    assert (me["user_id"], me["role"], me["litellm_budget_table"]["max_budget"]) == (bob, "user", 7.0)
    api.post("/team/member_delete", {"team_id": id, "user_email": "bob@example.com"})
    assert key.find() is None
    bulk = api.post("/team/bulk_member_add", {"team_id": id, "members": [{"user_id": "ann"}, {"user_id": "new"}]})
    assert (bulk["successful_additions"], bulk["failed_additions"]) == (1, 1)


def test_a_team_is_changed_listed_blocked_and_deleted(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "team_alias": "100%", "models": ["a"], "tags": ["x"]})
    assert api.fails(400, "/team/new", {"team_id": "t"})["code"] == "already_exists"
    key = api.new_key(team_id="t")
    assert api.post("/team/update", {"team_id": "t", "max_budget": 3})["data"]["max_budget"] == 3.0
    assert api.post("/team/t", {"max_budget": None}, method="PATCH")["max_budget"] is None
    assert api.post("/team/model/add", {"team_id": "t", "models": ["b"]})["models"] == ["a", "b"]
    assert api.post("/team/model/delete", {"team_id": "t", "models": ["a"]})["models"] == ["b"]
    api.fails(400, "/team/model/delete", {"team_id": "t", "models": ["b"]})
    assert api.fails(403, "/key/generate", {"team_id": "t", "models": ["a"]})["param"] == "models"
    api.post("/team/new", {"team_id": "t2", "team_alias": "1000"})
    assert [team["team_id"] for team in api.get("/team/list")] == ["t", "t2"]
    assert api.get("/v2/team/list", team_alias="0%")["total"] == 1
    assert api.get("/v2/team/list", page_size=1)["total_pages"] == 2
    api.post("/team/block", {"team_id": "t"})
    assert key.fails(403, "/key/info", method="GET")["code"] == "team_blocked"
    api.post("/team/unblock", {"team_id": "t"})
    assert key.get("/team/info")["team_id"] == "t"
    answer = api.post("/team/delete", {"team_ids": ["t"]})
    assert answer["deleted_teams"] == ["t"]
    assert key.find() is None
    api.fails(404, "/team/info", method="GET", team_id="t")


def test_what_members_may_do_is_what_the_team_permits(api: Api) -> None:
    api.post("/team/new", {"team_id": "t"})
    ann = user(api, "ann", teams=["t"])
    assert ann.fails(403, "/key/generate", {"team_id": "t"})["param"] == "team_id"
    assert "/key/info" in ann.get("/team/permissions_list", team_id="t")["team_member_permissions"]
    api.post("/team/permissions_update", {"team_id": "t", "team_member_permissions": ["/key/generate", "/key/update"]})
    own = ann.new_key(team_id="t")
    assert own.get("/key/info")["info"]["user_id"] == "ann"
    ann.post("/key/update", {"key": own.key, "key_alias": "renamed"})
    assert ann.fails(403, "/key/delete", {"keys": [own.key]})["code"] == "not_allowed"
    for body in ({"team_member_permissions": []}, {"max_budget": 5}):
        ann.fails(403, "/team/update", {"team_id": "t", **body})
    api.fails(400, "/team/permissions_update", {"team_id": "t", "team_member_permissions": ["/nonsense"]})


def test_an_admin_of_a_team_manages_it_within_its_limits(api: Api) -> None:
    lead, ann = user(api, "lead"), user(api, "ann")
    api.post(
        "/team/new",
        {
            "team_id": "t",
            "max_budget": 10,
            "models": ["a", "b"],
            "members_with_roles": [{"user_id": "lead", "role": "admin"}],
        },
    )
    lead.post("/team/member_add", {"team_id": "t", "member": [{"user_id": "ann"}]})
    service = lead.as_(lead.post("/key/service-account/generate", {"team_id": "t", "max_budget": 5})["key"])
    of_ann = lead.new_key(team_id="t", user_id="ann", models=["a"])
    assert of_ann.get("/key/info")["info"]["user_id"] == "ann"
    lead.post("/key/update", {"key": service.key, "max_budget": 9})
    assert {it["token"] for it in lead.get("/team/info", team_id="t")["keys"]} == {
        sha(service.key or ""),
        sha(of_ann.key or ""),
    }
    assert lead.fails(400, "/key/update", {"key": service.key, "max_budget": 11})["param"] == "max_budget"
    for body in (
        {"max_budget": 11},
        {"max_budget": None},
        {"models": []},
        {"models": ["c"]},
        {"budget_duration": "1d"},
    ):
        lead.fails(403, "/team/update", {"team_id": "t", **body})
    lead.post("/team/update", {"team_id": "t", "max_budget": 9, "team_alias": "ours"})
    lead.fails(403, "/team/delete", {"team_ids": ["t"]})
    lead.fails(403, "/key/generate", {"team_id": "t", "user_id": "stranger"})
    lead.fails(403, "/team/new", {})
    lead.post("/key/block", {"key": of_ann.key})
    lead.post("/key/unblock", {"key": of_ann.key})
    lead.post("/team/member_delete", {"team_id": "t", "user_id": "ann"})
    assert ann.find() is not None, "its own key has nothing to do with the team"


def test_a_key_grants_no_more_than_it_has(api: Api) -> None:
    api.post("/user/new", {"user_id": "ann", "auto_create_key": False})
    given = api.new_key(user_id="ann", max_budget=1, models=["a"], duration="1h")
    for body, param in (
        ({}, "models"),
        ({"models": ["b"]}, "models"),
        ({"models": ["a"]}, "max_budget"),
        ({"models": ["a"], "max_budget": 2}, "max_budget"),
        ({"models": ["a"], "max_budget": 1}, "duration"),
        ({"models": ["a"], "max_budget": 1, "duration": "30m", "user_id": "bob"}, "user_id"),
        ({"models": ["a"], "max_budget": 1, "duration": "30m", "spend": 1}, "spend"),
        ({"models": ["a"], "max_budget": 1, "duration": "30m", "budget_id": "b"}, "budget_id"),
    ):
        assert given.fails(403, "/key/generate", body)["param"] == param
    given.new_key(models=["a"], max_budget=1, duration="30m")
    for body in ({"max_budget": 2}, {"models": []}, {"duration": "2h"}, {"spend": 0}, {"temp_budget_increase": 5}):
        given.fails(403 if "temp_budget_increase" not in body else 400, "/key/update", {"key": given.key, **body})
    unlimited = api.new_key(user_id="ann")
    for body in ({"max_budget": 2}, {"models": ["a", "b"]}):
        unlimited.fails(403, "/key/update", {"key": given.key, **body})
    unlimited.fails(403, f"/key/{given.key}/reset_spend", {"reset_to": 0})


def test_routes_of_a_key_are_no_way_up(api: Api) -> None:
    ann = user(api, "ann")
    held = ann.new_key(allowed_routes=["/key/*"])
    assert held.fails(403, "/key/generate", {})["param"] == "allowed_routes"
    assert held.fails(403, "/key/generate", {"allowed_routes": ["management_routes"]})["param"] == "allowed_routes"
    held.new_key(allowed_routes=["/key/*"])
    assert held.fails(403, "/key/update", {"key": held.key, "allowed_routes": []})["param"] == "allowed_routes"
    wide = ann.new_key(allowed_routes=["/*"])
    wide.fails(403, "/team/new", {})
    wide.fails(403, "/budget/new", {})


@pytest.mark.parametrize("role", ["proxy_admin_viewer", "internal_user_viewer"])
def test_viewers_look(api: Api, role: str) -> None:
    viewer = user(api, "viewer", user_role=role)
    other = user(api, "other")
    reads = 200 if role == "proxy_admin_viewer" else 404
    assert viewer.ask("GET", "/key/info", key=other.key)[0] == reads
    assert viewer.ask("GET", "/user/info", user_id="other")[0] == reads
    assert viewer.get("/key/list")["total_count"] == (2 if reads == 200 else 1)
    for path in ("/key/generate", "/key/delete", "/key/regenerate", "/user/update", "/team/new", "/budget/new"):
        assert viewer.fails(403, path, {})["code"] == "role_not_allowed"


def test_an_organization_and_its_limits(api: Api) -> None:
    made = api.post(
        "/organization/new",
        {"organization_id": "o", "organization_alias": "Acme", "max_budget": 50, "models": ["a"], "rpm_limit": 9},
    )
    assert made["litellm_budget_table"]["max_budget"] == 50.0
    assert api.fails(400, "/team/new", {"organization_id": "o", "max_budget": 51})["param"] == "max_budget"
    assert api.fails(400, "/team/new", {"organization_id": "o", "models": ["b"]})["param"] == "models"
    api.post("/team/new", {"team_id": "t", "organization_id": "o", "models": ["a"]})
    key = api.new_key(team_id="t")
    found = key.find()
    assert found is not None
    assert found.subjects[-1] == Subject(kind="organization", id="o", rpm=9, budgets=(BudgetLimit(amount=50 * 10**9),))
    updated = api.post("/organization/update", {"organization_id": "o", "max_budget": 60}, method="PATCH")
    assert (updated["litellm_budget_table"]["max_budget"], updated["budget_id"]) == (60.0, made["budget_id"])
    api.post("/organization/update", {"organization_id": "o", "blocked": True}, method="PATCH")
    assert key.fails(403, "/key/info", method="GET")["code"] == "organization_blocked"
    assert [it["organization_id"] for it in api.post("/organization/info", {"organizations": ["o"]})] == ["o"]
    assert [it["team_id"] for it in api.get("/organization/info", organization_id="o")["teams"]] == ["t"]
    api.post("/organization/delete", {"organization_ids": ["o"]}, method="DELETE")
    assert key.find() is None
    assert api.get("/team/list") == api.get("/organization/list") == []


def test_an_admin_of_an_organization(api: Api) -> None:
    boss = user(api, "boss")
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "Acme", "max_budget": 5})
    added = api.post(
        "/organization/member_add", {"organization_id": "o", "member": {"user_id": "boss", "role": "org_admin"}}
    )
    assert added["updated_organization_memberships"][0]["user_role"] == "org_admin"
    team = boss.post("/team/new", {"organization_id": "o", "team_id": "t"})
    assert team["members_with_roles"] == [{"user_id": "boss", "user_email": None, "role": "admin"}]
    hand = boss.post("/user/new", {"user_id": "hand", "organizations": ["o"], "teams": ["t"], "max_budget": 2})
    assert boss.get("/user/info", user_id="hand")["user_info"]["teams"] == ["t"]
    assert boss.get("/user/list")["total"] == 2
    boss.post("/user/update", {"user_id": "hand", "max_budget": 3})
    boss.fails(403, "/user/update", {"user_id": "hand", "user_role": "proxy_admin"})
    boss.fails(403, "/user/new", {"user_role": "proxy_admin", "organizations": ["o"]})
    boss.fails(403, "/user/new", {})
    boss.fails(403, "/organization/update", {"organization_id": "o", "max_budget": 6}, method="PATCH")
    boss.fails(403, "/organization/delete", {"organization_ids": ["o"]}, method="DELETE")
    boss.post("/key/delete", {"keys": [hand["key"]]})
    boss.post("/organization/member_update", {"organization_id": "o", "user_id": "hand", "role": "org_admin"}, "PATCH")
    boss.post("/organization/member_delete", {"organization_id": "o", "user_id": "hand"}, method="DELETE")
    assert len(boss.get("/organization/info", organization_id="o")["members"]) == 1


def test_budgets_are_shared(api: Api) -> None:
    made = api.post("/budget/new", {"budget_id": "free", "max_budget": 1, "budget_duration": "1d", "rpm_limit": 3})
    assert (made["budget_id"], made["max_budget"]) == ("free", 1.0)
    assert api.fails(400, "/budget/new", {"budget_id": "free"})["code"] == "already_exists"
    key = api.new_key(budget_id="free", rpm_limit=1)
    found = key.find()
    assert found is not None
    assert found.subjects[0] == Subject(
        kind="key", id=sha(key.key or ""), rpm=1, budgets=(BudgetLimit(amount=10**9, duration="1d"),)
    )
    assert api.get("/key/info", key=key.key)["info"]["litellm_budget_table"]["max_budget"] == 1.0
    api.post("/budget/update", {"budget_id": "free", "max_budget": 2})
    assert api.told[-1].subjects == (f"key:{sha(key.key or '')}",)
    assert [it["max_budget"] for it in api.post("/budget/info", {"budgets": ["free", "none"]})] == [2.0]
    assert [it["budget_id"] for it in api.get("/budget/list")] == ["free"]
    fields = {it["field_name"]: it["field_value"] for it in api.get("/budget/settings", budget_id="free")}
    assert fields["max_budget"] == 2.0
    assert api.fails(400, "/budget/delete", {"id": "free"})["param"] == "id"
    api.post("/key/delete", {"keys": [key.key]})
    assert api.post("/budget/delete", {"id": "free"})["budget_id"] == "free"
    api.fails(404, "/budget/delete", {"id": "free"})


@pytest.mark.parametrize("prefix", ["customer", "end_user"])
def test_customers(api: Api, prefix: str) -> None:
    made = api.post(f"/{prefix}/new", {"user_id": "c", "alias": "Cat", "max_budget": 2, "budget_duration": "1d"})
    assert (made["user_id"], made["blocked"], made["litellm_budget_table"]["max_budget"]) == ("c", False, 2.0)
    api.fails(400, f"/{prefix}/new", {"user_id": "c"})
    found = api.plane.keys.find_end_user("c")
    assert found is not None
    assert found.subjects[0].budgets == (BudgetLimit(amount=2 * 10**9, duration="1d"),)
    assert api.post(f"/{prefix}/update", {"user_id": "c", "max_budget": 3})["litellm_budget_table"]["max_budget"] == 3.0
    assert api.told[-1].subjects == ("end_user:c",)
    assert api.post(f"/{prefix}/block", {"user_ids": ["c", "d"]})["blocked_users"][1]["user_id"] == "d"
    found = api.plane.keys.find_end_user("d")
    assert found is not None
    assert found.blocked
    api.post(f"/{prefix}/unblock", {"user_ids": ["c"]})
    assert api.get(f"/{prefix}/info", end_user_id="c")["blocked"] is False
    assert [it["user_id"] for it in api.get(f"/{prefix}/list")] == ["c", "d"]
    assert api.post(f"/{prefix}/delete", {"user_ids": ["c"]})["deleted_customers"] == 1
    api.fails(404, f"/{prefix}/info", method="GET", end_user_id="c")
    api.fails(404, f"/{prefix}/delete", {"user_ids": ["c"]})
    api.post("/budget/new", {"budget_id": "free", "max_budget": 1})
    api.configure(max_end_user_budget_id="free")
    api.post(f"/{prefix}/new", {"user_id": "e"})
    assert api.get(f"/{prefix}/info", end_user_id="e")["litellm_budget_table"]["budget_id"] == "free"
    assert api.client.get("/internal/end_users", params={"id": "anybody"}).json()["subjects"][0]["id"] == "anybody"
