"""Two tenants beside each other: neither sees, lists, guesses or touches what is the other's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from management.conftest import Api, sha

MARK = "okapi"
"""In whatever is the other tenant's and nobody who asks has named."""


@dataclass
class Tenant:
    """An organization with a team, who leads them, who works there, and their keys."""

    name: str
    keys: dict[str, Api] = field(default_factory=dict)

    @property
    def ids(self) -> dict[str, str]:
        return {
            "organization": f"{self.name}-org",
            "team": f"{self.name}-team",
            "user": f"{self.name}-worker",
            "key": sha(self.keys["worker"].key or ""),
            "alias": f"{self.name}-alias-{MARK}",
            "email": f"worker.{MARK}@{self.name}.example",
        }


def founded(api: Api, name: str) -> Tenant:
    tenant = Tenant(name)
    ids = {kind: f"{name}-{kind}" for kind in ("org", "team", "head", "lead", "worker", "viewer", "loner")}
    note = {"note": MARK}
    api.post("/organization/new", {"organization_id": ids["org"], "organization_alias": MARK, "metadata": note})
    api.post("/team/new", {"team_id": ids["team"], "organization_id": ids["org"], "team_alias": MARK, "metadata": note})
    for person, role in (("head", "org_admin"), ("lead", "internal_user"), ("worker", "internal_user")):
        email = f"{person}.{MARK}@{name}.example"
        api.post(
            "/user/new",
            {"user_id": ids[person], "user_email": email, "user_alias": MARK, "auto_create_key": False},
        )
        member = {"user_id": ids[person], "role": role}
        api.post("/organization/member_add", {"organization_id": ids["org"], "member": member})
        if person != "head":
            role = "admin" if person == "lead" else "user"
            api.post("/team/member_add", {"team_id": ids["team"], "member": {"user_id": ids[person], "role": role}})
        tenant.keys[person] = api.new_key(user_id=ids[person], metadata=note, key_alias=f"{name}-{person}-{MARK}")
    api.post("/user/new", {"user_id": ids["viewer"], "user_role": "internal_user_viewer", "auto_create_key": False})
    tenant.keys["viewer"] = api.new_key(user_id=ids["viewer"])
    tenant.keys["service"] = api.new_key(team_id=ids["team"], key_alias=f"{name}-alias-{MARK}", metadata=note)
    tenant.keys["in team"] = api.new_key(team_id=ids["team"], user_id=ids["worker"], metadata=note)
    return tenant


def state(api: Api, name: str) -> list[Any]:
    """All that is a tenant's."""
    tables = ("virtual_keys", "users", "teams", "team_memberships", "organizations", "organization_memberships")
    with api.plane.accounts.read() as db:
        rows = [row for table in tables for row in db.connection.execute(text(f"SELECT data FROM {table}"))]
        resets = db.connection.execute(text("SELECT count(*) FROM spend_resets")).scalar()
    return [*sorted(row.data for row in rows if f'"{name}-' in row.data), resets]


def attempts(theirs: dict[str, str]) -> Iterator[tuple[str, str, Any]]:
    """(method, path with query, body) at the other's objects, by their ids."""
    organization, team, user, key = theirs["organization"], theirs["team"], theirs["user"], theirs["key"]
    alias, email = theirs["alias"], theirs["email"]
    yield "GET", f"/key/info?key={key}", None
    for path, body in (
        ("/key/update", {"max_budget": 1}),
        ("/key/update", {"user_id": user}),
        ("/key/block", {}),
        ("/key/unblock", {}),
        ("/key/regenerate", {}),
    ):
        yield "POST", path, {"key": key, **body}
    yield "POST", f"/key/{key}/regenerate", {"new_key": "sk-mine-now-0123456789"}
    yield "POST", f"/key/{key}/reset_spend", {"reset_to": 0}
    yield "POST", "/key/delete", {"keys": [key]}
    yield "POST", "/key/delete", {"key_aliases": [alias]}
    yield "POST", "/key/bulk_update", {"keys": [{"key": key, "max_budget": 1}]}
    for body in (
        {"team_id": team},
        {"user_id": user},
        {"organization_id": organization},
        {"team_id": team, "user_id": user},
    ):
        yield "POST", "/key/generate", body
    yield "POST", "/key/service-account/generate", {"team_id": team}
    yield "GET", f"/team/info?team_id={team}", None
    yield "GET", f"/team/permissions_list?team_id={team}", None
    yield "GET", f"/team/{team}/members/me", None
    for path, body in (
        ("/team/update", {"team_alias": "mine"}),
        ("/team/update", {"organization_id": "a-org"}),
        ("/team/block", {}),
        ("/team/unblock", {}),
        ("/team/model/add", {"models": ["m"]}),
        ("/team/model/delete", {"models": ["m"]}),
        ("/team/permissions_update", {"team_member_permissions": []}),
        ("/team/member_add", {"member": {"user_id": "a-worker", "role": "admin"}}),
        ("/team/bulk_member_add", {"members": [{"user_id": "a-worker"}]}),
        ("/team/member_update", {"user_id": user, "role": "admin"}),
        ("/team/member_delete", {"user_id": user}),
    ):
        yield "POST", path, {"team_id": team, **body}
    yield "PATCH", f"/team/{team}", {"team_alias": "mine"}
    yield "POST", "/team/delete", {"team_ids": [team]}
    yield "POST", f"/team/{team}/member/{user}/reset_budget", None
    yield "POST", f"/team/{team}/member/{user}/reset_spend", {"reset_to": 0}
    yield "POST", "/team/new", {"team_id": "a-new", "organization_id": organization}
    yield "POST", "/team/member_add", {"team_id": "a-team", "member": {"user_id": user}}
    yield "POST", "/team/member_add", {"team_id": "a-team", "member": {"user_email": email}}
    yield "GET", f"/user/info?user_id={user}", None
    yield "GET", f"/v2/user/info?user_id={user}", None
    yield "POST", "/user/update", {"user_id": user, "user_alias": "mine"}
    yield "POST", "/user/update", {"user_email": email, "max_budget": 1}
    yield "POST", "/user/bulk_update", {"users": [{"user_id": user, "user_alias": "mine"}]}
    yield "POST", "/user/delete", {"user_ids": [user]}
    yield "POST", "/user/new", {"user_id": "a-new", "organizations": [organization]}
    yield "POST", "/user/new", {"user_id": "a-new", "organizations": ["a-org"], "teams": [team]}
    yield "GET", f"/organization/info?organization_id={organization}", None
    yield "POST", "/organization/info", {"organizations": [organization]}
    yield "PATCH", "/organization/update", {"organization_id": organization, "organization_alias": "mine"}
    yield "DELETE", "/organization/delete", {"organization_ids": [organization]}
    yield "POST", "/organization/member_add", {"organization_id": organization, "member": {"user_id": "a-head"}}
    yield "POST", "/organization/member_add", {"organization_id": "a-org", "member": {"user_id": user}}
    yield "PATCH", "/organization/member_update", {"organization_id": organization, "user_id": user}
    yield "DELETE", "/organization/member_delete", {"organization_id": organization, "user_id": user}
    for path in ("/budget/list", "/customer/list"):
        yield "GET", path, None


ACTORS = ("head", "lead", "worker", "viewer", "service", "in team")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_two_tenants(api: Api) -> None:
    ours, theirs = founded(api, "a"), founded(api, "b")
    marks = (MARK, *(sha(key.key or "") for key in theirs.keys.values()))
    before = state(api, "b")
    for actor in ACTORS:
        caller = ours.keys[actor]
        for method, target, body in attempts(theirs.ids):
            headers = {"Authorization": f"Bearer {caller.key}"}
            answer = caller.client.request(method, target, json=body, headers=headers)
            case = (actor, method, target, body, answer.status_code, answer.text)
            if answer.status_code == 200:
                # Bulk requests say of each what became of it; names that are not there are not deleted.
                done = {"/key/delete": "deleted_keys"}.get(target, "successful_updates")
                assert answer.json()[done] in ([], 0), case
            else:
                assert answer.status_code in (403, 404), case
            asked = f"{target}{body}"
            assert not any(mark in answer.text for mark in marks if mark not in asked), case
            assert state(api, "b") == before, case


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_id_does_not_buy_an_address(api: Api) -> None:
    theirs = founded(api, "b")
    lead = api.as_(api.post("/user/new", {"user_id": "lead"})["key"])
    api.post("/team/new", {"team_id": "t", "members_with_roles": [{"user_id": "lead", "role": "admin"}]})
    answers = [
        lead.post("/team/member_add", {"team_id": "t", "member": {"user_id": "b-worker"}}),
        lead.post("/team/bulk_member_add", {"team_id": "t", "members": [{"user_id": "b-head"}]}),
        lead.post("/team/member_update", {"team_id": "t", "user_id": "b-worker", "role": "user"}),
        lead.get("/team/info", team_id="t"),
        lead.get("/team/list"),
        lead.get("/key/list", team_id="t", expand="user"),
        lead.get("/user/list"),
    ]
    assert MARK not in str(answers)
    assert theirs.ids["key"] not in str(answers)
    lead.fails(404, "/user/info", method="GET", user_id="b-worker")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_lists_have_nothing_of_the_other(api: Api) -> None:
    ours, theirs = founded(api, "a"), founded(api, "b")
    marks = ('"b-', *(sha(key.key or "") for key in theirs.keys.values()))
    for actor in ACTORS:
        caller = ours.keys[actor]
        for target in (
            "/key/list?return_full_object=true&include_team_keys=true&size=100",
            "/key/list?include_team_keys=true&expand=user",
            "/key/list?team_id=b-team",
            "/key/list?user_id=b-worker",
            "/key/list?organization_id=b-org",
            f"/key/list?key_hash={theirs.ids['key']}",
            "/key/list?key_alias=b-&substring_matching=true",
            "/key/aliases?search=b-",
            "/key/aliases?size=100",
            "/key/info",
            "/team/list",
            "/team/list?user_id=b-worker",
            "/team/list?organization_id=b-org",
            "/v2/team/list?page_size=100",
            "/v2/team/list?team_id=b-team",
            "/team/info?team_id=a-team",
            "/user/list?page_size=100",
            "/user/list?user_ids=b-worker",
            "/user/list?team=b-team",
            "/user/list?user_email=b.example",
            "/user/info",
            "/organization/list",
            "/organization/list?org_id=b-org",
            "/health",
        ):
            answer = caller.client.get(target, headers={"Authorization": f"Bearer {caller.key}"})
            assert answer.status_code in (200, 403, 404), (actor, target, answer.text)
            assert not any(mark in answer.text for mark in marks), (actor, target, answer.text)
    assert ours.keys["head"].get("/user/list")["total"] == 3
    assert {team["team_id"] for team in ours.keys["worker"].get("/team/list")} == {"a-team"}
    assert ours.keys["lead"].get("/key/list", include_team_keys=True)["total_count"] == 3
