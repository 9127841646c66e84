"""Limits of everyone in the database a request counts for, set through the management API, enforced by workers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, MESSAGES, ask, database_env, manage, new_key, statuses, wait_managed
from support.upstream import Script, Upstream


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, provider: Upstream) -> Iterator[Gateway]:
    env = {"LITELLM_SALT_KEY": "salt-0123456789abcdef", **database_env(request)}
    config = {
        "model_list": [deployment(provider, "m", **CENT), deployment(provider, "other", **CENT)],
        "general_settings": {"store_model_in_db": True},
    }
    with Gateway(config, workers=2, env=env) as gateway:
        wait_managed(gateway)
        yield gateway


@pytest.fixture
def gateway(running: Gateway, provider: Upstream) -> Gateway:
    provider.reset()
    return running


def name() -> str:
    return uuid4().hex[:12]


def test_the_budget_of_each_owner_holds(gateway: Gateway) -> None:
    """The narrowest refuses first; each is told by name."""
    organization, team, user = name(), name(), name()
    manage(
        gateway, "/organization/new", {"organization_id": organization, "organization_alias": "o", "max_budget": 0.08}
    )
    manage(gateway, "/team/new", {"team_id": team, "organization_id": organization, "max_budget": 0.06})
    manage(gateway, "/user/new", {"user_id": user, "auto_create_key": False})
    member = {"team_id": team, "member": {"user_id": user, "role": "user"}, "max_budget_in_team": 0.04}
    manage(gateway, "/team/member_add", member)
    key = new_key(gateway, team_id=team, user_id=user, max_budget=0.02)
    wider = new_key(gateway, team_id=team, user_id=user)
    service = new_key(gateway, team_id=team)
    told = []
    for caller in (key, wider, service):
        while (found := ask(gateway, caller))[0] == 200:
            pass
        told.append(found[1]["error"]["message"].partition(" has been")[0])
    assert told == ["Budget", f"Budget of the member '{user}' of the team '{team}'", f"Budget of the team '{team}'"]
    other = name()
    manage(gateway, "/team/new", {"team_id": other, "organization_id": organization})
    assert statuses(gateway, new_key(gateway, team_id=other), 4) == [200, 200, 422, 422]
    time.sleep(1)
    assert manage(gateway, f"/team/info?team_id={team}")["team_info"]["spend"] == pytest.approx(0.06)
    assert manage(gateway, f"/organization/info?organization_id={organization}")["spend"] == pytest.approx(0.08)


def test_a_user_without_a_team(gateway: Gateway) -> None:
    user = name()
    manage(gateway, "/user/new", {"user_id": user, "max_budget": 0.02, "auto_create_key": False})
    keys = [new_key(gateway, user_id=user) for _ in range(2)]
    assert [ask(gateway, keys[n % 2])[0] for n in range(4)] == [200, 200, 422, 422]


def test_rates_of_a_team_are_shared_by_its_keys(gateway: Gateway) -> None:
    team = name()
    manage(gateway, "/team/new", {"team_id": team, "rpm_limit": 5})
    keys = [new_key(gateway, team_id=team, rpm_limit=4) for _ in range(2)]
    assert statuses(gateway, keys[0], 5) == [200] * 4 + [429]
    assert statuses(gateway, keys[1], 2) == [200, 429]
    status, headers, _ = gateway.call("/v1/chat/completions", {"model": "m", "messages": MESSAGES}, key=keys[1])
    assert status == 429
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("5", "0")


def test_limits_of_single_models(gateway: Gateway) -> None:
    key = new_key(
        gateway,
        model_rpm_limit={"m": 2},
        model_max_budget={"other": {"budget_limit": 0.01, "time_period": "1d"}},
    )
    assert statuses(gateway, key, 3) == [200, 200, 429]
    assert statuses(gateway, key, 2, model="other") == [200, 422]
    assert ask(gateway, key)[0] == 429


def test_models_of_each_owner(gateway: Gateway) -> None:
    team = name()
    manage(gateway, "/team/new", {"team_id": team, "models": ["m"]})
    key = new_key(gateway, team_id=team)
    assert ask(gateway, key)[0] == 200
    status, answer = ask(gateway, key, model="other")
    assert (status, answer["error"]["type"]) == (403, "team_model_access_denied")
    manage(gateway, "/team/update", {"team_id": team, "models": ["m", "other"]})
    soon(gateway, key, 200, model="other")
    listed = manage(gateway, "/v1/models", key=key)["data"]
    assert [model["id"] for model in listed] == ["m", "other"]


def soon(gateway: Gateway, key: str, wanted: int, **body: Any) -> None:
    """Workers are told when the change is made; that takes a moment."""
    end = time.monotonic() + 5
    while set(statuses(gateway, key, 6, **body)) != {wanted}:
        assert time.monotonic() < end
    assert set(statuses(gateway, key, 6, **body)) == {wanted}


def test_changes_are_known_to_every_worker_at_once(gateway: Gateway) -> None:
    team = name()
    manage(gateway, "/team/new", {"team_id": team})
    key = new_key(gateway, team_id=team, max_budget=0.01)
    assert statuses(gateway, key, 2) == [200, 422]
    manage(gateway, "/key/update", {"key": key, "max_budget": 0.03})
    assert statuses(gateway, key, 6) == [200, 200, 422, 422, 422, 422]
    manage(gateway, "/key/update", {"key": key, "max_budget": 1})
    for path, body in (("/key", {"key": key}), ("/team", {"team_id": team})):
        manage(gateway, f"{path}/block", body)
        soon(gateway, key, 403)
        manage(gateway, f"{path}/unblock", body)
        soon(gateway, key, 200)
    manage(gateway, "/key/delete", {"keys": [key]})
    soon(gateway, key, 401)


def test_a_regenerated_key_and_the_grace_of_the_old_one(gateway: Gateway) -> None:
    old = new_key(gateway, max_budget=0.03)
    assert ask(gateway, old)[0] == 200
    new = manage(gateway, "/key/regenerate", {"key": old, "grace_period": "5m"})["key"]
    assert new != old
    assert ask(gateway, new)[0] == ask(gateway, old)[0] == 200
    without = manage(gateway, "/key/regenerate", {"key": new})["key"]
    assert ask(gateway, new)[0] == 401
    assert ask(gateway, without)[0] in (200, 422)


def test_an_expired_key(gateway: Gateway) -> None:
    key = new_key(gateway, duration="2s")
    assert ask(gateway, key)[0] == 200
    time.sleep(2.1)
    status, answer = ask(gateway, key)
    assert (status, answer["error"]["code"]) == (401, "expired_key")


def test_a_budget_begins_anew_with_its_period(gateway: Gateway) -> None:
    key = new_key(gateway, max_budget=0.02, budget_duration="5s")
    time.sleep(5 - time.time() % 5)
    assert statuses(gateway, key, 3) == [200, 200, 422]
    time.sleep(5.1 - time.time() % 5)
    assert statuses(gateway, key, 3) == [200, 200, 422]


def test_a_temporary_increase(gateway: Gateway) -> None:
    key = new_key(gateway, max_budget=0.01)
    assert statuses(gateway, key, 2) == [200, 422]
    manage(gateway, "/key/update", {"key": key, "temp_budget_increase": 0.01, "temp_budget_expiry": "1d"})
    assert statuses(gateway, key, 2) == [200, 422]


def test_a_soft_budget_is_told_of_and_refuses_nothing(gateway: Gateway) -> None:
    team = name()
    manage(gateway, "/team/new", {"team_id": team, "soft_budget": 0.02, "budget_duration": "1d"})
    key = new_key(gateway, team_id=team)

    def told() -> float:
        return gateway.metrics().get('routeiq_soft_budgets_exceeded_total{kind="team"}', 0)

    before = told()
    assert ask(gateway, key)[0] == 200
    assert f"soft budget of the team {team}" not in gateway.logs()
    assert statuses(gateway, key, 8) == [200] * 8
    end = time.monotonic() + 5
    while told() == before:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert 1 <= gateway.logs().count(f"soft budget of the team {team}") <= 2  # once a worker


def test_several_windows_of_one_budget(gateway: Gateway) -> None:
    limits = [{"max_budget": 0.03, "budget_duration": "30d"}, {"max_budget": 0.02, "budget_duration": "5s"}]
    key = new_key(gateway, budget_limits=limits)
    time.sleep(5 - time.time() % 5)
    assert statuses(gateway, key, 3) == [200, 200, 422]
    time.sleep(5.1 - time.time() % 5)
    assert statuses(gateway, key, 2) == [200, 422]


def eventually(gateway: Gateway, key: str, wanted: int, **more: Any) -> None:
    """The first end user there is makes workers ask for them, about a second later."""
    end = time.monotonic() + 10
    while ask(gateway, key, **more)[0] != wanted:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_end_users(gateway: Gateway) -> None:
    key = new_key(gateway)
    poor, blocked = name(), name()
    manage(gateway, "/customer/new", {"user_id": blocked, "blocked": True})
    manage(gateway, "/customer/new", {"user_id": poor, "max_budget": 0.02})
    eventually(gateway, key, 403, user=blocked)
    assert [ask(gateway, key, user=poor)[0] for _ in range(3)][-1] == 422
    status, answer = ask(gateway, key, {"x-litellm-end-user-id": poor})
    assert (status, answer["error"]["type"]) == (422, "budget_exceeded")
    assert poor in answer["error"]["message"]
    assert ask(gateway, key, user=name())[0] == 200
    manage(gateway, "/customer/update", {"user_id": poor, "max_budget": 1})
    assert ask(gateway, key, user=poor)[0] == 200


def test_tags(gateway: Gateway) -> None:
    tag = name()
    manage(gateway, "/tag/new", {"name": tag, "max_budget": 0.02, "budget_duration": "1d"})
    key, tagged = new_key(gateway), new_key(gateway, tags=[tag])
    assert ask(gateway, key, metadata={"tags": [tag]})[0] == 200
    assert ask(gateway, tagged)[0] == 200
    assert ask(gateway, key, {"x-litellm-tags": tag})[0] == 422
    assert ask(gateway, tagged)[0] == 422
    assert ask(gateway, key)[0] == 200
    end = time.monotonic() + 10
    while manage(gateway, "/tag/info", {"names": [tag]})[tag]["spend"] != pytest.approx(0.02):
        assert time.monotonic() < end
        time.sleep(0.1)
    entry = next(entry for entry in manage(gateway, "/tag/list") if entry["name"] == tag)
    assert entry["spend"] == pytest.approx(0.02)
    assert next(it for it in manage(gateway, "/tag/list", key=key) if it["name"] == tag)["spend"] is None


def test_a_management_key_calls_no_model(gateway: Gateway) -> None:
    key = new_key(gateway, key_type="management")
    status, answer = ask(gateway, key)
    assert (status, answer["error"]["code"]) == (403, "key_not_for_calls")


def test_calls_in_flight_of_a_team(gateway: Gateway, provider: Upstream) -> None:
    provider.always(Script(delay=0.5))
    team = name()
    manage(gateway, "/team/new", {"team_id": team, "max_parallel_requests": 3})
    keys = [new_key(gateway, team_id=team) for _ in range(4)]
    with ThreadPoolExecutor(12) as pool:
        found = sorted(pool.map(lambda n: ask(gateway, keys[n % 4])[0], range(12)))
    assert found == [200] * 3 + [429] * 9


def test_a_stream_that_breaks_off_is_charged_for_what_it_used(gateway: Gateway, provider: Upstream) -> None:
    model = name()
    params = {"model": "openai/x", "api_base": provider.url + "/v1", "api_key": "k", "output_cost_per_token": 0.001,
              "input_cost_per_token": 0}  # fmt: skip
    manage(gateway, "/model/new", {"model_name": model, "litellm_params": params})
    key = new_key(gateway, max_budget=10)
    provider.always(Script(tokens=20, cut="rst", after=8))
    status, _, body = gateway.call(
        "/v1/chat/completions",
        {"model": model, "messages": MESSAGES, "stream": True, "max_tokens": 1000}, key=key,
    )  # fmt: skip
    assert status == 200
    assert b"[DONE]" not in body
    time.sleep(1)
    spent = manage(gateway, f"/key/info?key={key}")["info"]["spend"]
    assert 0.005 <= spent <= 0.02  # of the 1 dollar that was reserved


def test_a_million_names_of_end_users_cost_no_memory(gateway: Gateway, tmp_path: Path) -> None:
    """What clients make up is looked for, and then forgotten."""
    key = new_key(gateway)
    manage(gateway, "/customer/new", {"user_id": name(), "max_budget": 1})
    before = max(process.memory_info().rss for process in gateway.processes())
    for number in range(300):
        assert ask(gateway, key, user=f"made-up-{number}-" + "x" * 10_000)[0] == 200
    assert max(process.memory_info().rss for process in gateway.processes()) - before < 16 * 2**20


def test_an_export_is_written_when_it_is_asked_for(provider: Upstream, tmp_path: Path) -> None:
    out = tmp_path / "days"
    config = {"model_list": [deployment(provider, "m", **CENT)]}
    with Gateway(config) as gateway:
        end = time.monotonic() + 20
        while (found := gateway.call("/api/v1/routeiq/exports"))[0] == 503:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert json.loads(found[2])["configured"] is False
        status, _, answer = gateway.call("/api/v1/routeiq/exports", method="POST")
        assert (status, json.loads(answer)["error"]["code"]) == (400, "export_not_configured")
        gateway.write({**config, "routeiq": {"export": {"output": str(out), "format": "jsonl"}}})
        gateway.cli("config", "reload")
        shown = manage(gateway, "/api/v1/routeiq/exports", method="POST")
        assert (shown["output"], shown["format"], shown["trouble"]) == (str(out), "jsonl", None)
        assert shown["last_run"]
        assert gateway.call("/api/v1/routeiq/exports", key=new_key(gateway))[0] == 403


def test_tags_share_a_budget(gateway: Gateway) -> None:
    tag, other, budget, key = name(), name(), name(), new_key(gateway)
    assert gateway.call("/tag/new", {"name": tag, "budget_id": budget})[0] == 404
    manage(gateway, "/budget/new", {"budget_id": budget, "max_budget": 0.02, "budget_duration": "1d"})
    made = manage(gateway, "/tag/new", {"name": tag, "budget_id": budget})["tag"]
    assert made["litellm_budget_table"]["max_budget"] == 0.02
    manage(gateway, "/tag/new", {"name": other, "budget_id": budget, "max_budget": 0.01, "budget_duration": "1d"})
    assert statuses(gateway, key, 3, headers={"x-litellm-tags": tag}) == [200, 200, 422]
    assert statuses(gateway, key, 2, headers={"x-litellm-tags": other}) == [200, 422], "its own goes before"
    manage(gateway, "/budget/update", {"budget_id": budget, "max_budget": 0.03})
    assert statuses(gateway, key, 2, headers={"x-litellm-tags": tag}) == [200, 422]
    assert manage(gateway, "/tag/info", {"names": [tag]})[tag]["litellm_budget_table"]["max_budget"] == 0.03
    assert gateway.call("/budget/delete", {"id": budget})[0] == 400
    for each in (tag, other):
        manage(gateway, "/tag/update", {"name": each, "budget_id": None})
    assert statuses(gateway, key, 2, headers={"x-litellm-tags": tag}) == [200, 200]
    manage(gateway, "/budget/delete", {"id": budget})
