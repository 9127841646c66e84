"""What the Terraform provider `ncecere/litellm` sends over the life of its resources, with the bodies it makes.

https://registry.terraform.io/providers/ncecere/litellm: create, read back, update, read, delete, and read what is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import ask, wait_managed
from support.upstream import Script, Upstream


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[Gateway]:
    provider.reset()
    config = {"model_list": [deployment(provider, "gpt-4o")], "general_settings": {"store_model_in_db": True}}
    with Gateway(config, env={"LITELLM_SALT_KEY": "salt-0123456789abcdef"}) as running:
        wait_managed(running)
        yield running


def call(gateway: Gateway, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    found, _, answer = gateway.call(path, body, method=method)
    assert found == status, answer
    return json.loads(answer)


def new_team(gateway: Gateway, **fields: Any) -> str:
    id = str(uuid4())
    body = {"team_id": id, "team_alias": f"team {id}", "router_settings": {}, **fields}
    call(gateway, "POST", "/team/new", body)
    return id


def test_litellm_model(gateway: Gateway, provider: Upstream) -> None:
    id = str(uuid4())
    params = {
        "custom_llm_provider": "openai", "model": "openai/gpt-4o-mini", "input_cost_per_token": 3e-05,
        "output_cost_per_token": 6e-05, "tpm": 100_000, "rpm": 1000, "api_key": "sk-1", "api_base": provider.base,
        "drop_params": True,
    }  # fmt: skip
    info = {"id": id, "db_model": True, "base_model": "gpt-4o-mini", "tier": "paid", "mode": "chat"}
    call(gateway, "POST", "/model/new", {"model_name": "tf", "litellm_params": params, "model_info": info})
    (read,) = call(gateway, "GET", f"/model/info?litellm_model_id={id}")["data"]
    assert read["model_name"] == "tf"
    assert (read["litellm_params"]["tpm"], read["litellm_params"]["rpm"]) == (100_000, 1000)
    assert read["model_info"]["base_model"] == "gpt-4o-mini"
    assert read["model_info"]["tier"] == "paid"
    assert ask(gateway, "", model="tf")[0] == 200
    patch = {"model_name": "tf2", "litellm_params": {**params, "rpm": 500}, "model_info": info}
    call(gateway, "PATCH", f"/model/{id}/update", patch)
    (read,) = call(gateway, "GET", f"/model/info?litellm_model_id={id}")["data"]
    assert (read["model_name"], read["litellm_params"]["rpm"]) == ("tf2", 500)
    call(gateway, "POST", "/model/delete", {"id": id})
    gone = call(gateway, "GET", f"/model/info?litellm_model_id={id}", status=404)
    assert "not found on litellm proxy" in gone["error"]["message"]


def test_litellm_model_of_a_team(gateway: Gateway, provider: Upstream) -> None:
    team, other = new_team(gateway, models=["gpt-4o"]), new_team(gateway)
    key, foreign = (call(gateway, "POST", "/key/generate", {"team_id": id})["key"] for id in (team, other))
    id = str(uuid4())
    params = {"model": "openai/own", "api_key": "sk-1", "api_base": provider.base}
    info = {"id": id, "db_model": True, "team_id": team, "team_public_model_name": "theirs"}
    body = {"model_name": "theirs", "litellm_params": params, "model_info": info}
    call(gateway, "POST", "/model/new", {**body, "model_info": {**info, "team_id": "nobody"}}, status=404)
    call(gateway, "POST", "/model/new", body)
    call(gateway, "POST", "/model/new", {**body, "model_info": {**info, "id": str(uuid4())}})
    assert call(gateway, "GET", f"/team/info?team_id={team}")["team_info"]["models"] == ["gpt-4o", "theirs"]
    (read,) = call(gateway, "GET", f"/model/info?litellm_model_id={id}")["data"]
    assert read["model_info"]["team_public_model_name"] == "theirs"
    assert read["model_name"] == f"model_name_{team}_theirs"

    status, answer = ask(gateway, key, model="theirs")
    assert (status, answer["model"]) == (200, "theirs")
    for name in ("theirs", read["model_name"]):
        for stranger in (foreign, ""):
            assert ask(gateway, stranger, model=name)[0] == 404, name
    assert ask(gateway, key, model=read["model_name"])[0] == 404

    def listed(who: str, path: str) -> str:
        return gateway.call(path, key=who)[2].decode()

    assert '"theirs"' in listed(key, "/v1/models")
    assert "theirs" in listed(key, "/v1/model/info")
    for path in ("/v1/models", "/v1/model/info", "/v2/model/info", "/model_group/info", "/health"):
        assert team not in listed(foreign, path), path
        assert "theirs" not in listed(foreign, path), path
    stolen = {"key": foreign, "router_settings": {"fallbacks": [{"*": [read["model_name"], "theirs"]}]}}
    call(gateway, "POST", "/key/update", stolen)
    provider.always(Script(status=500), model="gpt-4o")
    assert ask(gateway, foreign, model="gpt-4o")[0] == 500
    provider.reset()
    call(gateway, "POST", "/model/delete", {"id": id})
    assert ask(gateway, key, model="theirs")[0] == 200, "the other one is still there"


def test_litellm_team(gateway: Gateway) -> None:
    id = new_team(
        gateway, models=["gpt-4o"], max_budget=100, budget_duration="30d", tpm_limit=50_000, rpm_limit=200,
        blocked=False, tpm_limit_type="best_effort_throughput", rpm_limit_type="best_effort_throughput",
        team_member_budget=5, team_member_rpm_limit=10, team_member_permissions=["/key/info", "/key/generate"],
        model_aliases={"gpt-4": "gpt-4o"},
        model_rpm_limit={"gpt-4o": 50}, model_tpm_limit={"gpt-4o": 10_000}, metadata={"department": "research"},
        router_settings={"fallbacks": [{"gpt-4": ["gpt-4o"]}], "context_window_fallbacks": [{"gpt-4": ["gpt-4o"]}]},
    )  # fmt: skip
    read = call(gateway, "GET", f"/team/info?team_id={id}")["team_info"]
    assert (read["team_id"], read["max_budget"], read["budget_duration"]) == (id, 100, "30d")
    assert (read["tpm_limit"], read["rpm_limit"], read["blocked"]) == (50_000, 200, False)
    assert read["rpm_limit_type"] == "best_effort_throughput"
    assert read["models"] == ["gpt-4o"]
    assert read["metadata"]["department"] == "research"
    assert read["router_settings"]["fallbacks"] == [{"gpt-4": ["gpt-4o"]}]
    change = {
        "team_id": id, "team_alias": "renamed", "models": ["gpt-4o"], "blocked": False, "max_budget": None,
        "budget_duration": None, "tpm_limit": None, "rpm_limit": None, "team_member_budget": None,
        "router_settings": {},
    }  # fmt: skip
    call(gateway, "POST", "/team/update", change)
    permissions = {"team_id": id, "team_member_permissions": ["/key/info"]}
    call(gateway, "POST", "/team/permissions_update", permissions)
    read = call(gateway, "GET", f"/team/info?team_id={id}")["team_info"]
    assert (read["team_alias"], read["max_budget"], read["budget_duration"]) == ("renamed", None, None)
    assert (read["router_settings"], read["team_member_permissions"]) == (None, ["/key/info"])
    call(gateway, "POST", "/team/delete", {"team_ids": [id]})
    call(gateway, "GET", f"/team/info?team_id={id}", status=404)
    call(gateway, "POST", "/team/delete", {"team_ids": [id]}, status=404)


def test_litellm_user_and_team_member(gateway: Gateway) -> None:
    team, user = new_team(gateway), str(uuid4())
    email = f"{user}@example.com"
    body = {
        "user_id": user, "user_alias": "Ann", "user_email": email, "user_role": "internal_user", "max_budget": 10,
        "budget_duration": "30d", "tpm_limit": 1000, "rpm_limit": 10, "auto_create_key": False, "models": ["gpt-4o"],
        "metadata": {"team": "core"},
    }  # fmt: skip
    call(gateway, "POST", "/user/new", body)
    assert call(gateway, "GET", f"/user/info?user_id={user}")["user_info"]["user_email"] == email
    call(gateway, "POST", "/user/update", {**body, "user_alias": "Anna", "metadata": {}})
    read = call(gateway, "GET", f"/user/info?user_id={user}")["user_info"]
    assert (read["user_alias"], read["metadata"], read["teams"]) == ("Anna", {}, [])
    found = call(gateway, "GET", f"/user/list?page=1&page_size=100&user_email={email}")
    assert [entry["user_id"] for entry in found["users"]] == [user]

    member = {
        "member": [{"role": "user", "user_id": user, "user_email": email}], "team_id": team, "max_budget_in_team": 5.0,
    }  # fmt: skip
    call(gateway, "POST", "/team/member_add", member)
    again = call(gateway, "POST", "/team/member_add", member, status=400)
    assert "team_member_already_in_team" in json.dumps(again), "the provider goes on where it reads this"
    (joined,) = call(gateway, "GET", f"/team/info?team_id={team}")["team_memberships"]
    budget = joined["litellm_budget_table"]
    reset = "2031-01-01T00:00:00Z"
    later = {"budget_id": budget["budget_id"], "budget_duration": "30d", "max_budget": 5.0, "budget_reset_at": reset}
    call(gateway, "POST", "/budget/update", later)
    change = {"user_id": user, "user_email": email, "team_id": team, "max_budget_in_team": 7.0}
    call(gateway, "POST", "/team/member_update", change)
    (joined,) = call(gateway, "GET", f"/team/info?team_id={team}")["team_memberships"]
    assert joined["litellm_budget_table"]["max_budget"] == 7.0
    call(gateway, "POST", "/team/member_delete", {"user_id": user, "user_email": email, "team_id": team})
    call(gateway, "POST", "/user/delete", {"user_ids": [user]})
    call(gateway, "GET", f"/user/info?user_id={user}", status=404)


def test_litellm_key(gateway: Gateway) -> None:
    team = new_team(gateway)
    body = {
        "team_id": team, "tpm_limit_type": "best_effort_throughput", "rpm_limit_type": "best_effort_throughput",
        "budget_duration": "30d", "key_alias": f"key {team}", "duration": "90d", "max_budget": 100.0,
        "max_parallel_requests": 10, "tpm_limit": 50_000, "rpm_limit": 200, "soft_budget": 80.0, "blocked": False,
        "models": ["all-team-models"], "allowed_routes": ["llm_api_routes"], "tags": ["testing"],
        "metadata": {"environment": "testing", "owner": "terraform"}, "aliases": {"gpt-3.5-turbo": "gpt-4o"},
        "model_max_budget": {"gpt-4o": 50.0}, "model_rpm_limit": {"gpt-4o": 100}, "model_tpm_limit": {"gpt-4o": 25_000},
        "router_settings": {"num_retries": "3", "fallbacks": [{"gpt-4": ["gpt-4o"]}]},
    }  # fmt: skip
    key = call(gateway, "POST", "/key/generate", body)["key"]
    read = call(gateway, "GET", f"/key/info?key={key}")["info"]
    for name in ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "soft_budget", "blocked", "key_alias",
                 "tpm_limit_type", "rpm_limit_type", "budget_duration", "team_id", "models",
                 "allowed_routes"):  # fmt: skip
        assert read[name] == body[name], name
    assert ask(gateway, key, model="gpt-3.5-turbo")[0] == 200
    call(gateway, "POST", "/key/update", {**body, "key": key, "max_budget": 50.0, "blocked": True})
    read = call(gateway, "GET", f"/key/info?key={key}")["info"]
    assert (read["max_budget"], read["blocked"]) == (50.0, True)
    call(gateway, "POST", "/key/delete", {"keys": [key]})
    call(gateway, "GET", f"/key/info?key={key}", status=404)
    service = {
        "team_id": team,
        "metadata": {"service_account_id": "ci"},
        "key_alias": f"ci {team}",
        "models": ["gpt-4o"],
    }
    key = call(gateway, "POST", "/key/service-account/generate", service)["key"]
    assert call(gateway, "GET", f"/key/info?key={key}")["info"]["metadata"]["service_account_id"] == "ci"
    call(gateway, "POST", "/key/delete", {"keys": [key]})
