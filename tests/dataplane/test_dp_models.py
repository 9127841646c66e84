"""Models, credentials, tags and access groups of the management API, over a running gateway with two workers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.gateway import PROVIDER_KEY, Gateway, config_for
from support.postgres import PostgresServer
from support.upstream import Upstream

SALT = {"LITELLM_SALT_KEY": "the-salt-canary-0123456789"}
STORE = {"general_settings": {"store_model_in_db": True}}
KEY = "sk-canary-of-the-provider-0123456789"


def config(provider: Upstream, **more: Any) -> dict[str, Any]:
    return config_for(provider, "gpt-4o", **{**STORE, **more})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateway(request: pytest.FixtureRequest, provider: Upstream) -> Iterator[Gateway]:
    env = dict(SALT)
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        env["DATABASE_URL"] = server.database()
    with Gateway(config(provider), workers=2, env=env) as running:
        yield running


def ask(gateway: Gateway, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
    deadline = time.monotonic() + 20
    while True:
        found, _, answer = gateway.call(path, body, method=method, **more)
        data = json.loads(answer)
        # Workers are there before the control plane is.
        if found != 503 or data["error"]["code"] != "control_unavailable" or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert found == status, (answer, gateway.logs()[-2000:])
    return data


def params(provider: Upstream, **more: Any) -> dict[str, Any]:
    return {"model": "openai/gpt-4o-mini", "api_base": provider.base, "api_key": KEY, **more}


def served(gateway: Gateway, model: str) -> set[int]:
    """The status of chats that begin at once, so that every worker has some."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(gateway.call, "/v1/chat/completions", body) for _ in range(32)]
        return {call.result()[0] for call in calls}


def model_ids(gateway: Gateway) -> dict[str, str]:
    data = ask(gateway, "GET", "/v1/model/info")["data"]
    return {item["model_info"]["id"]: item["model_name"] for item in data}


def test_a_model_is_served_from_the_answer_on_and_gone_from_the_next_on(gateway: Gateway, upstream: Upstream) -> None:
    made = ask(gateway, "POST", "/model/new", {"model_name": "fresh", "litellm_params": params(upstream)})
    assert served(gateway, "fresh") == {200}
    assert dict(upstream.requests[-1].headers)["Authorization"] == f"Bearer {KEY}"
    assert made["litellm_params"]["api_key"] == "sk-...6789"
    assert made["model_info"] == {"id": made["model_id"], "db_model": True, "blocked": False}
    assert made["created_by"] == "master"
    id = made["model_id"]
    assert model_ids(gateway)[id] == "fresh"
    info = ask(gateway, "GET", f"/model/info?litellm_model_id={id}")["data"][0]
    assert info["model_info"]["db_model"] is True
    assert info["model_info"]["created_by"] == "master"
    assert KEY not in json.dumps(info)
    assert ask(gateway, "POST", "/model/delete", {"id": id}) == {"message": f"Model: {id} deleted successfully"}
    assert served(gateway, "fresh") == {404}
    assert "no deployment" in ask(gateway, "POST", "/model/delete", {"id": id}, status=400)["error"]["message"]


def test_changes_are_put_over_what_is_there(gateway: Gateway, upstream: Upstream) -> None:
    info = {"id": "changing", "mode": "chat", "note": "one", "access_groups": ["changing-group"]}
    new = {"model_name": "changing", "litellm_params": params(upstream, rpm=100), "model_info": info}
    ask(gateway, "POST", "/model/new", new)
    ask(gateway, "POST", "/model/new", new, status=400)
    changed = ask(gateway, "PATCH", "/model/changing/update", {"litellm_params": {"rpm": 7000, "tpm": 9000000}})
    assert (changed["litellm_params"]["rpm"], changed["litellm_params"]["tpm"]) == (7000, 9000000)
    body = {"model_name": "renamed", "litellm_params": {"rpm": None}, "model_info": {"id": "changing", "note": None}}
    changed = ask(gateway, "POST", "/model/update", body)
    assert "rpm" not in changed["litellm_params"]
    assert "note" not in changed["model_info"]
    assert (served(gateway, "changing"), served(gateway, "renamed")) == ({404}, {200})
    assert dict(upstream.requests[-1].headers)["Authorization"] == f"Bearer {KEY}"
    groups = ask(gateway, "GET", "/access_group/list")["access_groups"]
    assert {"access_group": "changing-group", "model_names": ["renamed"], "deployment_count": 1} in groups
    ask(gateway, "POST", "/model/block", {"model_id": "changing"})
    assert served(gateway, "renamed") == {404}
    shown = ask(gateway, "GET", "/v2/model/info?modelId=changing")
    assert (shown["total_count"], shown["data"][0]["model_info"]["blocked"]) == (1, True)
    ask(gateway, "POST", "/model/unblock", {"model_id": "changing"})
    assert served(gateway, "renamed") == {200}
    group = ask(gateway, "GET", "/model_group/info?model_group=renamed")["data"]
    assert (group[0]["providers"], group[0]["tpm"], group[0]["rpm"]) == (["openai"], 9000000, None)
    ask(gateway, "PATCH", "/model/changing/update", {"model_info": {"id": "other"}}, status=400)
    ask(gateway, "POST", "/model/delete", {"id": "changing"})


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"litellm_params": {"model": "opnai/x"}}, "litellm_params.model", "no provider is called opnai"),
        ({"litellm_params": {"rpm": "many"}}, "litellm_params.rpm", "must be a number"),
        ({"litellm_params": {"api_base": "ftp://x"}}, "litellm_params.api_base", ""),
        ({"litellm_params": {"no_such": 1}}, "litellm_params.no_such", "is not a known setting"),
        ({"litellm_params": {"api_key": "os.environ/NOT_SET"}}, "litellm_params.api_key", "NOT_SET is not set"),
        ({"litellm_params": {"api_key": "os.environ/LITELLM_SALT_KEY"}}, "litellm_params.api_key", "own"),
        ({"litellm_params": {"litellm_credential_name": "nobody"}}, "litellm_params.litellm_credential_name", "nobody"),
        ({"model_info": {"id": "bad", "access_groups": 7}}, "model_info.access_groups", ""),
        ({"model_info": {"id": "bad", "team_id": 7}}, "model_info.team_id", "must be text"),
        ({"model_info": {"id": 7}}, "model_info.id", "must be text"),
        ({"model_name": ""}, "model_name", ""),
        ({"model_name": "two*stars*"}, "model_name", "more than one *"),
        ({"surprise": 1}, "surprise", ""),
    ],
)
def test_what_can_t_be_served_is_refused_and_not_stored(
    gateway: Gateway, provider: Upstream, change: dict[str, Any], param: str, message: str
) -> None:
    before = model_ids(gateway)
    body: dict[str, Any] = {"model_name": "bad", "litellm_params": params(provider), "model_info": {"id": "bad"}}
    for name, value in change.items():
        body[name] = {**body[name], **value} if name == "litellm_params" else value
    error = ask(gateway, "POST", "/model/new", body, status=400)["error"]
    assert error["param"] == param
    assert message in error["message"]
    assert KEY not in json.dumps(error)
    assert model_ids(gateway) == before
    ask(gateway, "POST", "/model/delete", {"id": "bad"}, status=400)


def test_a_model_of_the_files_is_changed_there(gateway: Gateway) -> None:
    (id,) = [id for id, name in model_ids(gateway).items() if name == "gpt-4o"]
    for method, path, body in (
        ("POST", "/model/delete", {"id": id}),
        ("POST", "/model/block", {"model_id": id}),
        ("PATCH", f"/model/{id}/update", {"model_name": "x"}),
        ("POST", "/model/update", {"model_info": {"id": id}, "model_name": "x"}),
    ):
        assert "configuration file" in ask(gateway, method, path, body, status=400)["error"]["message"]
    new = {"model_name": "x", "litellm_params": {"model": "openai/x", "api_key": "k"}, "model_info": {"id": id}}
    assert "already" in ask(gateway, "POST", "/model/new", new, status=400)["error"]["message"]


def test_credentials_are_named_by_models(gateway: Gateway, upstream: Upstream) -> None:
    values = {"api_key": KEY, "api_base": upstream.base}
    new = {"credential_name": "a/main", "credential_values": values, "credential_info": {"description": "d"}}
    assert ask(gateway, "POST", "/credentials", new)["success"] is True
    ask(gateway, "POST", "/credentials", new, status=400)
    named = {"model": "openai/gpt-4o-mini", "litellm_credential_name": "a/main"}
    ask(gateway, "POST", "/model/new", {"model_name": "named", "litellm_params": named, "model_info": {"id": "named"}})
    assert served(gateway, "named") == {200}
    assert dict(upstream.requests[-1].headers)["Authorization"] == f"Bearer {KEY}"
    shown = ask(gateway, "GET", "/credentials/by_name/a/main")
    assert shown["credential_values"] == {"api_key": "sk-...6789", "api_base": upstream.base}
    assert shown in ask(gateway, "GET", "/credentials")["credentials"]
    assert ask(gateway, "GET", "/credentials/by_model/named")["credential_values"] == shown["credential_values"]
    patched = {"credential_values": {"api_key": KEY + "-second"}}
    ask(gateway, "PATCH", "/credentials/a/main", patched)
    assert served(gateway, "named") == {200}
    assert dict(upstream.requests[-1].headers)["Authorization"] == f"Bearer {KEY}-second"
    broken = {"credential_values": {"api_base": "not an address"}}
    assert "api_base" in ask(gateway, "PATCH", "/credentials/a/main", broken, status=400)["error"]["message"]
    error = ask(gateway, "DELETE", "/credentials/a/main", status=400)["error"]
    assert "no credential is called a/main" in error["message"]
    assert served(gateway, "named") == {200}
    ask(gateway, "POST", "/model/delete", {"id": "named"})
    ask(gateway, "DELETE", "/credentials/a/main")
    for method in ("GET", "DELETE", "PATCH"):
        path = "/credentials/by_name/a/main" if method == "GET" else "/credentials/a/main"
        ask(gateway, method, path, {} if method == "PATCH" else None, status=404)


def test_tags(gateway: Gateway) -> None:
    new = {"name": "nightly", "description": "batches", "max_budget": 2.5, "budget_duration": "1d", "rpm_limit": 5}
    made = ask(gateway, "POST", "/tag/new", new)
    assert made["message"] == "Tag nightly created successfully"
    assert made["tag"]["litellm_budget_table"]["max_budget"] == 2.5
    ask(gateway, "POST", "/tag/new", new, status=400)
    changed = ask(gateway, "POST", "/tag/update", {"name": "nightly", "max_budget": None, "tpm_limit": 9})["tag"]
    budget = changed["litellm_budget_table"]
    assert (budget["max_budget"], budget["tpm_limit"], budget["rpm_limit"]) == (None, 9, 5)
    assert ask(gateway, "POST", "/tag/info", {"names": ["nightly"]}) == {"nightly": {**changed, "spend": 0.0}}
    assert ask(gateway, "GET", "/tag/list") == [{**changed, "spend": 0.0}]
    ask(gateway, "POST", "/tag/update", {"name": "nobody"}, status=404)
    ask(gateway, "POST", "/tag/info", {"names": ["nobody"]}, status=404)
    error = ask(gateway, "POST", "/tag/new", {"name": "x", "model_max_budget": {"m": 1}}, status=400)["error"]
    assert (error["param"], error["message"]) == (
        "model_max_budget",
        "model_max_budget is not supported by this gateway",
    )
    assert ask(gateway, "POST", "/tag/delete", {"name": "nightly"})["message"] == "Tag nightly deleted successfully"
    ask(gateway, "POST", "/tag/delete", {"name": "nightly"}, status=404)


def test_access_groups(gateway: Gateway) -> None:
    new = {"access_group": "best", "model_names": ["gpt-4o"]}
    assert ask(gateway, "POST", "/access_group/new", new) == {**new, "models_updated": 1}
    ask(gateway, "POST", "/access_group/new", new, status=400)
    ask(gateway, "POST", "/access_group/new", {"access_group": "x", "model_names": ["nobody"]}, status=400)
    assert ask(gateway, "GET", "/access_group/best/info") == {**new, "deployment_count": 1}
    assert ask(gateway, "PUT", "/access_group/best/update", {"model_names": []})["model_names"] == []
    ask(gateway, "GET", "/access_group/nobody/info", status=404)
    assert ask(gateway, "DELETE", "/access_group/best/delete")["access_group"] == "best"
    ask(gateway, "DELETE", "/access_group/best/delete", status=404)


def test_the_other_form_of_access_groups(gateway: Gateway) -> None:
    new = {"access_group_name": "unified", "description": "d", "access_model_names": ["gpt-4o"]}
    made = ask(gateway, "POST", "/v1/access_group", new)
    assert (made["access_group_id"], made["access_model_names"], made["description"]) == ("unified", ["gpt-4o"], "d")
    ask(gateway, "POST", "/v1/access_group", new, status=400)
    ask(gateway, "POST", "/v1/access_group", {}, status=400)
    ask(gateway, "POST", "/v1/access_group", {**new, "assigned_key_ids": ["k"]}, status=400)
    changed = ask(gateway, "PUT", "/v1/access_group/unified", {"description": None})
    assert (changed["description"], changed["access_model_names"]) == (None, ["gpt-4o"])
    assert ask(gateway, "GET", "/v1/access_group/unified") == changed
    assert changed in ask(gateway, "GET", "/v1/access_group")
    assert gateway.call("/v1/access_group/unified", method="DELETE")[0] == 204
    ask(gateway, "GET", "/v1/access_group/unified", status=404)


def test_a_key_may_use_what_its_access_group_has_at_the_moment(gateway: Gateway, upstream: Upstream) -> None:
    ask(gateway, "POST", "/model/new", {"model_name": "inside", "litellm_params": params(upstream),
                                        "model_info": {"id": "inside"}})  # fmt: skip
    ask(gateway, "POST", "/access_group/new", {"access_group": "club", "model_names": ["inside"]})
    key = ask(gateway, "POST", "/key/generate", {"models": ["club"]})["key"]
    body = {"messages": [{"role": "user", "content": "Hello"}]}

    def status(model: str) -> int:
        return gateway.call("/v1/chat/completions", {**body, "model": model}, key=key)[0]

    assert (status("inside"), status("gpt-4o")) == (200, 403)
    ask(gateway, "PUT", "/access_group/club/update", {"model_names": ["gpt-4o"]})
    assert (status("inside"), status("gpt-4o")) == (403, 200)
    listed = ask(gateway, "GET", "/v1/models", key=key)["data"]
    assert [model["id"] for model in listed] == ["gpt-4o"]
    seen = ask(gateway, "GET", "/v2/model/info", key=key)["data"]
    assert [model["model_name"] for model in seen] == ["gpt-4o"]
    assert ask(gateway, "GET", "/access_group/club/info", key=key)["model_names"] == ["gpt-4o"]
    ask(gateway, "DELETE", "/access_group/club/delete")
    assert status("gpt-4o") == 403
    ask(gateway, "POST", "/model/delete", {"id": "inside"})


def test_many_changes_at_once_are_all_served(gateway: Gateway, upstream: Upstream) -> None:
    def add(number: int) -> int:
        info = {"id": f"many-{number}"}
        body = {"model_name": f"many-{number}", "litellm_params": params(upstream), "model_info": info}
        return gateway.call("/model/new", body)[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, range(8))) == {200}
    assert all(served(gateway, f"many-{number}") == {200} for number in range(8))
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(gateway.call, "/model/delete", {"id": f"many-{number}"}) for number in range(8)]
        assert {call.result()[0] for call in calls} == {200}


def test_nothing_is_stored_where_that_is_off_or_there_is_no_key(
    start: Callable[..., Gateway], provider: Upstream
) -> None:
    new = {"model_name": "x", "litellm_params": params(provider)}
    admin = "0123456789abcdef-admin"
    off = start(config_for(provider, "gpt-4o"), env={"ADMIN_API_KEYS": admin})
    for headers in ({"X-Admin-API-Key": f"sk-riq-{admin}"}, {"Authorization": f"Bearer {admin}"}):
        assert ask(off, "GET", "/api/v1/routeiq/status", key=None, headers=headers)["models"] == 1
        chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        ask(off, "POST", "/v1/chat/completions", chat, status=401, key=None, headers=headers)
    error = ask(off, "GET", "/metrics", status=401, key=None, headers={"X-Admin-API-Key": "wrong"})["error"]
    assert error["code"] == "invalid_admin_key"
    for method, path, body in (
        ("POST", "/model/new", new), ("POST", "/model/delete", {"id": "x"}),
        ("POST", "/credentials", {"credential_name": "x", "credential_values": {}}),
    ):  # fmt: skip
        error = ask(off, method, path, body, status=400)["error"]
        assert "store_model_in_db" in error["message"]
    keys = [{"name": "admin", "key": "sk-admin-0123456789abcdef", "admin": True}]
    keyless = start(config(provider, routeiq={"keys": keys}), key=None)
    error = ask(keyless, "POST", "/model/new", new, status=400, key="sk-admin-0123456789abcdef")["error"]
    assert "LITELLM_SALT_KEY is not set" in error["message"]
    assert "deployments can't be stored" in keyless.logs()


def test_models_outlive_restarts_and_a_database_that_is_away(
    start: Callable[..., Gateway], provider: Upstream, tmp_path: Path
) -> None:
    with PostgresServer() as server:
        env = {**SALT, "DATABASE_URL": server.database()}
        running = start(config(provider), env=env, directory=tmp_path)
        ask(running, "POST", "/model/new", {"model_name": "kept", "litellm_params": params(provider)})
        running.stop()
        running.start()
        assert served(running, "kept") == {200}
        server.stop()
        running.reload(config(provider))
        deadline = time.monotonic() + 30
        while "served as it was at" not in running.logs():
            assert time.monotonic() < deadline, running.logs()
            time.sleep(0.1)
        assert served(running, "kept") == {200}
        running.stop()
        running.start()
        assert served(running, "kept") == {200}
        assert KEY not in running.logs()


def test_other_gateways_on_the_database_serve_a_change_within_seconds(
    start: Callable[..., Gateway], provider: Upstream, postgres: PostgresServer
) -> None:
    env = {**SALT, "DATABASE_URL": postgres.database()}
    first, second = start(config(provider), env=env), start(config(provider), env=env)
    ask(first, "POST", "/model/new", {"model_name": "shared", "litellm_params": params(provider)})
    deadline = time.monotonic() + 15
    while served(second, "shared") != {200}:
        assert time.monotonic() < deadline, second.logs()
        time.sleep(0.2)


def test_what_is_stored_can_t_be_read_in_the_state_directory(gateway: Gateway, upstream: Upstream) -> None:
    made = ask(gateway, "POST", "/model/new", {"model_name": "hidden", "litellm_params": params(upstream)})
    for file in gateway.state_dir.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert KEY.encode() not in data, file
            assert SALT["LITELLM_SALT_KEY"].encode() not in data, file
    ask(gateway, "POST", "/model/delete", {"id": made["model_id"]})
    assert PROVIDER_KEY not in gateway.logs()
