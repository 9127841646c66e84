"""Management against a running gateway: the documentation's walk, LiteLLM's own client, what workers make of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.gateway import MASTER_KEY, Gateway, deployment
from support.postgres import PostgresServer
from support.upstream import Upstream

PAGE = Path(__file__).resolve().parents[2] / "docs" / "management.md"
JQ = """jq_get() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }\n"""


@pytest.fixture(scope="module")
def gateway_config(provider: Upstream) -> dict[str, Any]:
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    return {"model_list": [deployment(provider, name, **prices) for name in ("gpt-4o", "gpt-4o-mini")]}


@pytest.fixture(scope="module", autouse=True)
def managed(gateway: Gateway) -> None:
    """Workers serve before the control plane does."""
    wait(lambda: gateway.get("/health")[0] == 200, 30.0)


def call(gateway: Gateway, key: str | None, model: str = "gpt-4o", **more: Any) -> tuple[int, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    status, _, answer = gateway.call("/v1/chat/completions", body, key=key)
    return status, json.loads(answer)


def post(gateway: Gateway, path: str, body: Any, key: str | None = "") -> Any:
    status, _, answer = gateway.call(path, body, key=key, method="POST")
    assert status == 200, answer
    return json.loads(answer)


def test_the_walk_of_the_documentation(gateway: Gateway, tmp_path: Path) -> None:
    script = JQ + "".join(re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.S))
    env = {"PATH": os.environ["PATH"], "GATEWAY": gateway.url, "MASTER_KEY": MASTER_KEY}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    left = {file.stem: json.loads(file.read_text()) for file in tmp_path.glob("*.json")}
    assert left["answer"]["choices"]
    assert left["info"]["info"]["key_alias"] == "first"
    assert left["team"]["members_with_roles"][0]["role"] == "admin"
    assert left["team_answer"]["choices"]
    assert left["spent"]["team_info"]["spend"] > 0
    (day,) = left["report"]
    assert "core" in [team["team_name"] for team in day["teams"]]
    assert left["budget"]["budget_id"] == "tiny"
    assert left["refused"]["error"]["code"] == "budget_exceeded"
    assert len(left["deleted"]["deleted_keys"]) == 1


def test_it_is_the_same_in_postgresql(postgres: PostgresServer, gateway_config: dict[str, Any], tmp_path: Path) -> None:
    with Gateway(gateway_config, env={"DATABASE_URL": postgres.database()}) as shared:
        wait(lambda: shared.get("/health")[0] == 200, 30.0)
        team = post(shared, "/team/new", {"models": ["gpt-4o"], "max_budget": 1})["team_id"]
        key = post(shared, "/key/generate", {"team_id": team, "duration": "1h"})["key"]
        assert call(shared, key)[0] == 200
        assert call(shared, key, "gpt-4o-mini")[0] == 403
        wait(lambda: json.loads(shared.get("/team/info", key=key)[2])["team_info"]["spend"] > 0)
        post(shared, "/team/delete", {"team_ids": [team]})
        wait(lambda: call(shared, key)[0] == 401)


def test_every_route_is_in_the_documentation(gateway: Gateway) -> None:
    described = json.loads(gateway.get("/openapi.json")[2])["paths"]
    text = PAGE.read_text()
    for path in described:
        if re.match(r"/(v2/)?(key|user|team|organization|budget)/", path) and not re.search("daily|spend/", path):
            assert path in text, path


def test_changes_reach_the_workers_at_once(gateway: Gateway) -> None:
    team = post(gateway, "/team/new", {"models": ["gpt-4o"]})["team_id"]
    key = post(gateway, "/key/generate", {"team_id": team})["key"]
    assert call(gateway, key)[0] == 200
    assert call(gateway, key, "gpt-4o-mini")[0] == 403
    post(gateway, "/team/model/add", {"team_id": team, "models": ["gpt-4o-mini"]})
    wait(lambda: call(gateway, key, "gpt-4o-mini")[0] == 200)
    post(gateway, "/team/block", {"team_id": team})
    wait(lambda: call(gateway, key)[0] == 403)
    post(gateway, "/team/unblock", {"team_id": team})
    wait(lambda: call(gateway, key)[0] == 200)
    made = post(gateway, "/key/regenerate", {"key": key, "grace_period": "1h"})

    def accounted() -> bool:
        assert call(gateway, key)[0] == 200
        page = json.loads(gateway.get(f"/api/v1/routeiq/requests?limit=1&key={made['token']}")[2])
        return bool(page["data"])

    wait(accounted)  # what the old key asks counts as the new one's
    assert call(gateway, made["key"])[0] == 200
    post(gateway, "/key/delete", {"keys": [made["key"]]})
    wait(lambda: [call(gateway, each)[0] for each in (key, made["key"])] == [401, 401])


def test_many_at_once_do_not_wait_for_each_other(gateway: Gateway) -> None:
    key = post(gateway, "/key/generate", {"max_budget": 1})["key"]

    def ask(number: int) -> int:
        if number % 4 == 0:
            return gateway.call("/key/generate", {"max_budget": 1})[0]
        return gateway.get("/key/info", key=key)[0]

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(ask, range(120))) == {200}


def test_a_users_budget_and_a_members(gateway: Gateway) -> None:
    post(gateway, "/user/new", {"user_id": "poor", "max_budget": 1e-9, "auto_create_key": False})
    own = post(gateway, "/key/generate", {"user_id": "poor"})["key"]
    assert call(gateway, own)[1]["error"]["code"] == "budget_exceeded"
    team = post(gateway, "/team/new", {"members_with_roles": [{"user_id": "poor", "role": "user"}]})["team_id"]
    shared = post(gateway, "/key/generate", {"user_id": "poor", "team_id": team})["key"]
    assert call(gateway, shared)[0] == 200
    post(gateway, "/team/member_update", {"team_id": team, "user_id": "poor", "max_budget_in_team": 1e-9})
    wait(lambda: call(gateway, shared)[0] == 422)


def test_spend_that_is_set_back_can_be_spent_again(gateway: Gateway) -> None:
    key = post(gateway, "/key/generate", {"max_budget": 5e-5})["key"]
    assert call(gateway, key, max_tokens=1)[0] == 200
    wait(lambda: call(gateway, key, max_tokens=1)[0] == 422, 10.0)
    wait(lambda: json.loads(gateway.get("/key/info", key=key)[2])["info"]["spend"] > 0)
    time.sleep(0.5)
    post(gateway, f"/key/{key}/reset_spend", {"reset_to": 0})
    wait(lambda: call(gateway, key, max_tokens=1)[0] == 200)
    assert json.loads(gateway.get("/key/info", key=key)[2])["info"]["spend"] <= 5e-5
    raised = post(gateway, "/key/update", {"key": key, "spend": 1})
    assert raised["spend"] == 1.0
    wait(lambda: call(gateway, key, max_tokens=1)[0] == 422)
    made = post(gateway, "/key/regenerate", {"key": key})
    assert call(gateway, made["key"], max_tokens=1)[0] == 422, "a new key brings no new money"


def test_a_blocked_customer(gateway: Gateway) -> None:
    key = post(gateway, "/key/generate", {})["key"]
    assert call(gateway, key, user="cat")[0] == 200
    post(gateway, "/customer/block", {"user_ids": ["cat"]})
    wait(lambda: call(gateway, key, user="cat")[0] == 403)
    assert call(gateway, key, user="dog")[0] == 200


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm.proxy.client import Client

    return Client(base_url=gateway.url, api_key=MASTER_KEY)


def test_litellms_client_manages_keys(gateway: Gateway, client: Any) -> None:
    made = client.keys.generate(models=["gpt-4o"], key_alias="by-client", duration="1h", user_id="someone")
    assert made["key"].startswith("sk-")
    assert call(gateway, made["key"])[0] == 200
    found = client.keys.list(key_alias="by-client", return_full_object=True)
    assert [entry["token"] for entry in found["keys"]] == [made["token"]]
    assert client.keys.info(made["key"])["info"]["user_id"] == "someone"
    assert client.keys.update(made["key"], models=["gpt-4o-mini"])["models"] == ["gpt-4o-mini"]
    assert client.keys.delete(key_aliases=["by-client"]) == {"deleted_keys": ["by-client"]}


def test_litellms_client_manages_users_and_teams(gateway: Gateway, client: Any) -> None:
    from litellm.proxy.client.teams import TeamsManagementClient
    from litellm.proxy.client.users import UsersManagementClient

    users = UsersManagementClient(base_url=gateway.url, api_key=MASTER_KEY)
    made = users.create_user({"user_id": "by-client", "user_email": "c@example.com", "user_role": "internal_user"})
    assert made["key"].startswith("sk-")
    assert users.get_user("by-client")["user_info"]["user_email"] == "c@example.com"
    assert users.get_user_v2("by-client")["user_id"] == "by-client"
    assert "by-client" in {user["user_id"] for user in users.list_users({"page_size": 100})}
    teams = TeamsManagementClient(base_url=gateway.url, api_key=MASTER_KEY)
    id = post(gateway, "/team/new", {"team_alias": "by client"})["team_id"]
    assert id in {team["team_id"] for team in teams.list()}
    assert teams.list_v2(team_alias="by cl")["teams"][0]["team_id"] == id
    assert teams.get_available() == []
    users.delete_user(["by-client"])
    assert gateway.get("/user/info?user_id=by-client")[0] == 404


def wait(condition: Any, seconds: float = 5.0) -> None:
    """Until a change has reached the workers."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
