"""Policies of usage, made through the management API, evaluated by workers before each request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, ask, database_env, manage, new_key, statuses, wait_managed
from support.upstream import Upstream

PATH = "/api/v1/routeiq/usage-policies"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest, provider: Upstream) -> Iterator[Gateway]:
    models = [deployment(provider, name, **CENT) for name in ("m", "other")]
    with Gateway({"model_list": models}, workers=2, env=database_env(request)) as gateway:
        wait_managed(gateway)
        yield gateway


@pytest.fixture(autouse=True)
def clean(gateway: Gateway, upstream: Upstream) -> Iterator[None]:
    yield
    for policy in manage(gateway, PATH)["usage_policies"]:
        manage(gateway, f"{PATH}/{policy['policy_id']}", method="DELETE")


def made(gateway: Gateway, **fields: Any) -> str:
    """A policy that denies after so much for ever, if not said otherwise."""
    body = {"limit_type": "requests", "limit_value": 2, "limit_period": "none", **fields}
    return str(manage(gateway, PATH, body)["policy_id"])


@pytest.mark.parametrize(
    ("limits", "refused", "code"),
    [
        ({"limit_type": "requests", "limit_value": 2}, 429, "rate_limit_exceeded"),
        ({"limit_type": "cost", "limit_value": 0.02}, 422, "budget_exceeded"),
        ({"limit_type": "requests", "limit_value": 2, "limit_period": "day"}, 429, "rate_limit_exceeded"),
        ({"limit_type": "cost", "limit_value": 0.02, "limit_period": "month"}, 422, "budget_exceeded"),
    ],
)
def test_each_limit_holds(gateway: Gateway, limits: dict[str, Any], refused: int, code: str) -> None:
    made(gateway, name="few", **limits)
    key = new_key(gateway)
    assert statuses(gateway, key, 4) == [200, 200, refused, refused]
    error = ask(gateway, key)[1]["error"]
    assert "usage policy 'few'" in error["message"]
    assert error["type"] in (code, "rate_limit_error", "budget_exceeded", "throttling_error")


def test_tokens(gateway: Gateway) -> None:
    """An estimate before, the provider's count after."""
    made(gateway, limit_type="tokens", limit_value=1000)
    key = new_key(gateway)
    assert ask(gateway, key, max_tokens=2000)[0] == 429
    assert statuses(gateway, key, 3, max_tokens=500) == [200, 200, 200]


def test_turning_a_policy_off_lets_a_client_through(gateway: Gateway) -> None:
    id = made(gateway, limit_value=1)
    key = new_key(gateway)
    assert statuses(gateway, key, 3) == [200, 429, 429]
    manage(gateway, f"{PATH}/{id}", {"enabled": False}, method="PATCH")
    assert statuses(gateway, key, 4) == [200] * 4
    manage(gateway, f"{PATH}/{id}", {"enabled": True, "limit_value": 3}, method="PATCH")
    assert statuses(gateway, key, 4) == [200, 200, 429, 429]
    manage(gateway, f"{PATH}/{id}", method="DELETE")
    assert statuses(gateway, key, 4) == [200] * 4


def test_conditions_and_exclusions(gateway: Gateway) -> None:
    """A policy that allows nothing refuses exactly what fits."""
    team, user, alias, organization = (uuid4().hex[:10] for _ in range(4))
    manage(gateway, "/organization/new", {"organization_id": organization, "organization_alias": "o"})
    manage(gateway, "/team/new", {"team_id": team, "organization_id": organization})
    manage(gateway, "/user/new", {"user_id": user, "auto_create_key": False})
    key = new_key(gateway, team_id=team, key_alias=alias)
    of_user = new_key(gateway, user_id=user)
    other = new_key(gateway)
    token = manage(gateway, f"/key/info?key={key}")["key"]
    id = made(gateway, limit_value=0)
    hit: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"model": "oth*"}, other, {"model": "other"}),
        ({"key": token}, key, {}),
        ({"key_alias": f"{alias[:5]}*"}, key, {}),
        ({"user_id": user}, of_user, {}),
        ({"team_id": [team, "x"]}, key, {}),
        ({"organization_id": organization}, key, {}),
        ({"end_user": "eve*"}, other, {"user": "eve-1"}),
        ({"tag": ["a", "b"]}, other, {"metadata": {"tags": ["z", "b"]}}),
        ({"model": "m", "end_user": "eve"}, other, {"user": "eve"}),
    ]
    for conditions, caller, body in hit:
        manage(gateway, f"{PATH}/{id}", {"conditions": conditions, "exclusions": None}, method="PATCH")
        assert ask(gateway, caller, **body)[0] == 429, conditions
        spared = new_key(gateway)
        assert ask(gateway, spared, model="m", user="bob")[0] == 200, conditions
        manage(gateway, f"{PATH}/{id}", {"conditions": None, "exclusions": conditions}, method="PATCH")
        assert ask(gateway, caller, **body)[0] == 200, conditions
        assert ask(gateway, spared, model="m", user="bob")[0] == 429, conditions
    manage(gateway, f"{PATH}/{id}", {"conditions": {"endpoint": "embed*"}, "exclusions": None}, method="PATCH")
    assert ask(gateway, other)[0] == 200
    assert gateway.call("/v1/embeddings", {"model": "m", "input": "x"}, key=other)[0] == 429


def test_groups_are_counted_apart(gateway: Gateway) -> None:
    made(gateway, group_by=["team_id", "end_user"])
    teams = [uuid4().hex[:10] for _ in range(2)]
    for team in teams:
        manage(gateway, "/team/new", {"team_id": team})
    a, also_a, b = (new_key(gateway, team_id=team) for team in (teams[0], teams[0], teams[1]))
    assert [ask(gateway, key)[0] for key in (a, also_a, a)] == [200, 200, 429]
    assert statuses(gateway, b, 3) == [200, 200, 429]
    assert statuses(gateway, a, 3, user="u/1") == [200, 200, 429]
    assert statuses(gateway, a, 2, user="u") == [200, 200]


def test_every_tag_of_a_request_is_a_group(gateway: Gateway) -> None:
    made(gateway, group_by=["tag"], limit_value=1)
    key = new_key(gateway)
    assert ask(gateway, key, {"x-litellm-tags": "a,b"})[0] == 200
    assert ask(gateway, key, {"x-litellm-tags": "b,c"})[0] == 429
    assert ask(gateway, key, {"x-litellm-tags": "c"})[0] == 200


@pytest.mark.parametrize(("action", "from_"), [("log", 5), ("alert", 3)])
@pytest.mark.parametrize("what", ["requests", "cost"])
def test_who_is_only_watched_is_never_refused(gateway: Gateway, action: str, from_: int, what: str) -> None:
    id = made(
        gateway, action=action, limit_type=what, limit_value=4 if what == "requests" else 0.04, alert_threshold=0.75
    )
    key = new_key(gateway)
    assert statuses(gateway, key, 8) == [200] * 8
    end = time.monotonic() + 10
    line = f'routeiq_usage_policy_total{{policy="{id}",action="{action}"}}'
    while True:
        text = gateway.call("/metrics")[2].decode()
        counted = [float(each.rsplit(" ", 1)[1]) for each in text.splitlines() if each.startswith(line)]
        # What a request costs is known after it: the next one is told.
        late = 1 if what == "cost" else 0
        if counted and counted[0] == 8 - from_ + 1 - late:
            break
        assert time.monotonic() < end, counted
        time.sleep(0.2)


def test_a_count_begins_with_what_the_ledger_knows(gateway: Gateway) -> None:
    """A group that is counted anew, here because nothing is remembered of it, is where it was."""
    id = made(gateway, limit_value=3, limit_period="month", group_by=["key"])
    key = new_key(gateway)
    assert statuses(gateway, key, 2) == [200, 200]
    time.sleep(1.5)
    # Other words of the lease: counted elsewhere from here on.
    manage(gateway, f"{PATH}/{id}", {"limit_period": "week"}, method="PATCH")
    assert statuses(gateway, key, 3) == [200, 429, 429]
    manage(gateway, f"{PATH}/{id}", {"limit_type": "cost", "limit_value": 0.04}, method="PATCH")
    time.sleep(1.5)
    assert statuses(gateway, key, 3) == [200, 422, 422]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"limit_type": "words"}, "limit_type"),
        ({"limit_value": -1}, "limit_value"),
        ({"limit_period": "year"}, "limit_period"),
        ({"action": "shout"}, "action"),
        ({"alert_threshold": 2}, "alert_threshold"),
        ({"group_by": ["colour"]}, "group_by"),
        ({"group_by": ["key", "key"]}, "group_by"),
        ({"conditions": {"colour": "red"}}, "conditions"),
        ({"conditions": {"key": []}}, "conditions"),
        ({"policy_id": "a/b"}, "policy_id"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_makes_no_sense_is_told_by_name(gateway: Gateway, body: dict[str, Any], param: str) -> None:
    status, _, answer = gateway.call(PATH, body)
    assert status == 400
    assert json.loads(answer)["error"]["param"].startswith(param)


def test_policies_are_for_admins(gateway: Gateway) -> None:
    id = made(gateway, policy_id=uuid4().hex)
    key = new_key(gateway)
    for method, path in (("GET", PATH), ("GET", f"{PATH}/{id}"), ("DELETE", f"{PATH}/{id}"), ("POST", PATH)):
        assert gateway.call(path, {} if method == "POST" else None, key=key, method=method)[0] == 403
    assert gateway.call(PATH, {"policy_id": id})[0] == 400
    assert gateway.call(f"{PATH}/none")[0] == 404
    assert manage(gateway, f"{PATH}/{id}")["limit_value"] == 2


def test_a_part_of_the_tokens_alone(gateway: Gateway, upstream: Upstream) -> None:
    """What a prompt has is estimated, and its answer is allowed, before the call; what was used counts after it."""
    used = ask(gateway, new_key(gateway))[1]["usage"]
    key, other = new_key(gateway, key_alias="reads"), new_key(gateway, key_alias="writes")
    made(gateway, limit_type="input_tokens", limit_value=3 * used["prompt_tokens"] + 30,
         conditions={"key_alias": ["reads"]})  # fmt: skip
    made(gateway, limit_type="output_tokens", limit_value=2 * used["completion_tokens"],
         conditions={"key_alias": ["writes"]})  # fmt: skip
    assert ask(gateway, key, max_tokens=100_000)[0] == 200
    assert ask(gateway, key, messages=[{"role": "user", "content": "x" * 4000}])[0] == 429
    assert ask(gateway, other, messages=[{"role": "user", "content": "x" * 4000}])[0] == 200
    assert ask(gateway, other, max_tokens=2 * used["completion_tokens"])[0] == 429
    assert statuses(gateway, other, 2) == [200, 429]
    assert "output tokens" in ask(gateway, other, max_tokens=1)[1]["error"]["message"]
