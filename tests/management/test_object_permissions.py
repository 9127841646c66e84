"""`object_permission`: which MCP servers, tools and agents keys, teams and organizations may reach."""

from __future__ import annotations

from management.conftest import Api
from routeiq.core.keys import ObjectPermission

SOME = {"mcp_servers": ["github", "jira"], "mcp_tool_permissions": {"github": ["search", "read"]}}


def led(api: Api) -> Api:
    """A key of the admin of the team `core`, which may reach `SOME`."""
    ann = api.as_(api.post("/user/new", {"user_id": "ann"})["key"])
    members = [{"user_id": "ann", "role": "admin"}]
    api.post("/team/new", {"team_id": "core", "members_with_roles": members, "object_permission": SOME})
    return ann


def test_workers_get_the_permissions_of_a_key_and_all_it_belongs_to(api: Api) -> None:
    held = {"mcp_access_groups": ["dev"], "agents": ["travel"]}
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "o", "object_permission": held})
    api.post("/team/new", {"team_id": "t", "organization_id": "o", "object_permission": SOME})
    key = api.new_key(team_id="t", object_permission={"mcp_servers": ["github"], "agents": None, "vector_stores": None})
    found = key.find()
    assert found is not None
    assert found.permissions == (
        ObjectPermission(kind="key", mcp_servers=("github",)),
        ObjectPermission(
            kind="team", mcp_servers=("github", "jira"), mcp_tool_permissions={"github": ("search", "read")}
        ),
        ObjectPermission(kind="organization", mcp_access_groups=("dev",), agents=("travel",)),
    )
    plain = api.new_key().find()
    assert plain is not None
    assert plain.permissions == ()


def test_a_permission_is_shown_changed_in_part_and_taken_away(api: Api) -> None:
    key = api.new_key(object_permission=SOME)
    shown = api.get("/key/info", key=key.key)["info"]["object_permission"]
    assert shown == {**SOME, "mcp_access_groups": [], "mcp_toolsets": [], "agents": [], "agent_access_groups": []}
    changed = api.post("/key/update", {"key": key.key, "object_permission": {"mcp_servers": ["jira"]}})
    assert changed["object_permission"] == {**shown, "mcp_servers": ["jira"]}
    assert api.post("/key/update", {"key": key.key, "object_permission": None})["object_permission"] is None
    api.post("/team/new", {"team_id": "t", "object_permission": SOME})
    assert api.get("/team/info", team_id="t")["team_info"]["object_permission"]["mcp_servers"] == ["github", "jira"]
    error = api.fails(400, "/key/generate", {"object_permission": {"vector_stores": ["v"]}})
    assert "vector_stores" in error["message"]
    assert api.fails(400, "/key/generate", {"object_permission": {"nonsense": 1}})["param"]


def test_nobody_gives_away_what_it_can_not_reach(api: Api) -> None:
    ann = led(api)
    for given in ({"mcp_servers": ["secret"]}, {"mcp_servers": ["github"]}, {"mcp_access_groups": ["dev"]},
                  {"mcp_servers": ["all-proxy-mcpservers"]}, {"agents": ["travel"]},
                  {"mcp_tool_permissions": {"github": ["write"]}}):  # fmt: skip
        ann.fails(403, "/key/generate", {"team_id": "core", "object_permission": given})
    ann.fails(403, "/key/generate", {"object_permission": {"mcp_servers": ["jira"]}})
    fine = {"mcp_servers": ["github"], "mcp_tool_permissions": {"github": ["read"]}}
    own = ann.new_key(team_id="core", object_permission=fine)
    own.fails(403, "/key/generate", {"team_id": "core"})
    own.fails(403, "/key/generate", {"team_id": "core", "object_permission": {"mcp_servers": ["jira"]}})
    assert own.new_key(team_id="core", object_permission=fine).find() is not None
    bob = {"user_id": "bob", "role": "user"}
    api.post("/team/member_add", {"team_id": "core", "member": bob})
    his = ann.new_key(team_id="core", user_id="bob", object_permission=fine)
    his.fails(403, "/key/update", {"key": his.key, "object_permission": None})


def test_a_team_s_permission_is_widened_by_who_has_more(api: Api) -> None:
    ann = led(api)
    wider = {"team_id": "core", "object_permission": {"mcp_servers": ["github", "jira", "secret"]}}
    ann.fails(403, "/team/update", wider)
    ann.fails(403, "/team/update", {"team_id": "core", "object_permission": None})
    ann.post("/team/update", {"team_id": "core", "object_permission": {"mcp_servers": ["github"]}})
    api.post("/team/update", wider)


def test_an_organization_s_admin_gives_its_teams_what_it_has(api: Api) -> None:
    boss = api.as_(api.post("/user/new", {"user_id": "boss"})["key"])
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "o", "object_permission": SOME})
    api.post("/organization/member_add", {"organization_id": "o", "member": {"user_id": "boss", "role": "org_admin"}})
    team = {"team_id": "t", "organization_id": "o"}
    boss.fails(403, "/team/new", {**team, "object_permission": {"mcp_servers": ["secret"]}})
    boss.post("/team/new", {**team, "object_permission": {"mcp_servers": ["jira"]}})
    boss.post("/team/update", {"team_id": "t", "object_permission": SOME})
    patch = {"organization_id": "o", "object_permission": {"mcp_servers": ["secret"]}}
    boss.fails(403, "/organization/update", patch, method="PATCH")
