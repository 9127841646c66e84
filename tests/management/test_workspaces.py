"""Workspaces through the management API, over each kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from management.conftest import Api
from routeiq.core.keys import BudgetLimit, ModelRule, Subject

PATH = "/api/v1/routeiq/workspaces"


def test_what_is_said_is_shown_and_reaches_the_worker(api: Api) -> None:
    made = api.post(
        PATH,
        {
            "workspace_id": "w", "name": "W", "allowed_models": ["gpt-*", "best"], "blocked_models": ["gpt-4o"],
            "max_budget": 2.5, "budget_duration": "1d", "rpm": 7, "tpm": 8, "max_parallel_requests": 9,
            "metadata": {"a": 1},
        },
    )  # fmt: skip
    assert (made["max_budget"], made["spend"], made["blocked"], made["metadata"]) == (2.5, 0, False, {"a": 1})
    assert made["budget_reset_at"] is not None
    key = api.new_key(workspace_id="w", tags=["t"])
    found = key.find()
    assert found is not None
    assert found.rules == (ModelRule(kind="workspace", models=("gpt-*", "best"), denied=("gpt-4o",)),)
    assert found.tags == ("t", "routeiq:workspace:w")
    assert found.subjects[-1] == Subject(
        kind="workspace",
        id="w",
        rpm=7,
        tpm=8,
        max_parallel_requests=9,
        budgets=(BudgetLimit(amount=2_500_000_000, duration="1d"),),
    )
    changed = api.post(f"{PATH}/w", {"rpm": None, "blocked_models": None, "allowed_models": None}, "PATCH")
    assert (changed["rpm"], changed["tpm"], changed["blocked_models"]) == (None, 8, [])
    assert api.told[-1].subjects == ("workspace:w",)
    found = key.find()
    assert found is not None
    assert found.rules == ()
    api.post(f"{PATH}/w", {"blocked": True}, "PATCH")
    found = key.find()
    assert found is not None
    assert found.refused is not None
    assert found.refused.code == "workspace_blocked"
    assert api.get("/key/info", key=key.key)["info"]["workspace_id"] == "w"
    assert len(api.get("/key/list", workspace_id="w")["keys"]) == 1
    assert api.get("/key/list", workspace_id="v")["keys"] == []


def test_a_workspace_goes_when_its_keys_have(api: Api) -> None:
    api.post(PATH, {"workspace_id": "w"})
    key = api.new_key(workspace_id="w")
    assert api.fails(400, f"{PATH}/w", method="DELETE")["param"] == "workspace_id"
    api.post("/key/update", {"key": key.key, "workspace_id": None})
    assert api.post(f"{PATH}/w", method="DELETE")["workspace_id"] == "w"
    api.fails(404, f"{PATH}/w", method="GET")


def test_a_key_whose_workspace_is_gone_may_nothing(api: Api) -> None:
    api.post(PATH, {"workspace_id": "w"})
    key = api.new_key(workspace_id="w")
    with api.plane.accounts.write() as db:
        db.connection.execute(text("DELETE FROM workspaces"))
    found = key.find()
    assert found is not None
    assert found.refused is not None
    assert found.refused.code == "workspace_gone"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"rpm": -1}, "rpm"), ({"max_budget": "x"}, "max_budget"), ({"budget_duration": "9y"}, "budget_duration"),
        ({"allowed_models": "gpt"}, "allowed_models"), ({"surprise": 1}, "surprise"),
        ({"workspace_id": ""}, "workspace_id"),
        ({"metadata": [1]}, "metadata"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_by_name(api: Api, body: dict[str, object], param: str) -> None:
    assert api.fails(400, PATH, body)["param"] == param


def test_names_that_are_taken_or_nobodys(api: Api) -> None:
    api.post(PATH, {"workspace_id": "w"})
    assert api.fails(400, PATH, {"workspace_id": "w"})["param"] == "workspace_id"
    api.fails(404, PATH, {"organization_id": "none"})
    api.fails(404, "/key/generate", {"workspace_id": "none"})
    for path, body in (("/key/generate", {}), ("/team/new", {})):
        assert "tags" in api.fails(400, path, {**body, "tags": ["routeiq:workspace:w"]})["message"]


def tenant(api: Api, name: str) -> tuple[Api, Api]:
    """An organization's head and a worker of it, who has a key in its workspace."""
    api.post("/organization/new", {"organization_id": name, "organization_alias": name})
    for person, role in (("head", "org_admin"), ("worker", "internal_user")):
        api.post("/user/new", {"user_id": f"{name}-{person}", "auto_create_key": False})
        member = {"user_id": f"{name}-{person}", "role": role}
        api.post("/organization/member_add", {"organization_id": name, "member": member})
    head = api.new_key(user_id=f"{name}-head")
    head.post(PATH, {"workspace_id": f"{name}-w", "organization_id": name, "rpm": 3})
    worker = head.new_key(user_id=f"{name}-worker", organization_id=name, workspace_id=f"{name}-w")
    return head, worker


def test_two_tenants_are_apart(api: Api) -> None:
    (a, a_worker), (b, _) = tenant(api, "a"), tenant(api, "b")
    for somebody in (a, a_worker):
        assert [it["workspace_id"] for it in somebody.get(PATH)["workspaces"]] == ["a-w"]
        assert somebody.get(PATH, organization_id="b")["workspaces"] == []
        there = somebody.fails(404, f"{PATH}/b-w", method="GET")["message"]
        assert there.replace("b-w", "x") == somebody.fails(404, f"{PATH}/x", method="GET")["message"]
    assert a_worker.get(f"{PATH}/a-w")["rpm"] == 3
    for method, body in (("PATCH", {"rpm": 100}), ("DELETE", None)):
        a.fails(404, f"{PATH}/b-w", body, method=method)
        a_worker.fails(403, f"{PATH}/a-w", body, method=method)
    a.fails(404, PATH, {"organization_id": "b"})
    a.fails(403, PATH, {})
    a.fails(404, f"{PATH}/a-w", {"organization_id": "b"}, method="PATCH")
    a.fails(404, "/key/generate", {"user_id": "a-worker", "organization_id": "a", "workspace_id": "b-w"})
    a.fails(404, "/key/update", {"key": a.key, "workspace_id": "b-w"})
    error = api.fails(400, "/key/generate", {"organization_id": "a", "workspace_id": "b-w"})
    assert error["param"] == "workspace_id"
    assert len(api.get(PATH)["workspaces"]) == 2
    assert b.get(f"{PATH}/b-w")["rpm"] == 3


def test_who_is_held_by_a_workspace_does_not_get_out(api: Api) -> None:
    head, worker = tenant(api, "a")
    made = worker.new_key(organization_id="a")
    assert made.get("/key/info")["info"]["workspace_id"] == "a-w"
    worker.fails(403, "/key/generate", {"organization_id": "a", "workspace_id": None})
    worker.fails(403, "/key/update", {"key": worker.key, "workspace_id": None})
    assert head.post("/key/update", {"key": worker.key, "workspace_id": None})["workspace_id"] is None
    assert api.fails(400, f"{PATH}/a-w", {"organization_id": None, "rpm": -1}, method="PATCH")["param"] == "rpm"


def test_an_organization_takes_its_workspaces_along(api: Api) -> None:
    tenant(api, "a")
    api.post("/organization/delete", {"organization_ids": ["a"]}, "DELETE")
    assert api.get(PATH)["workspaces"] == []
