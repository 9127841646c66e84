"""What auto models must not be led to: by odd requests, by strategies of one's own, past what a caller may use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routeiq.core.keys import ModelRule
from routeiq.governance.keys import allows_through
from support.gateway import Gateway, config_for, deployment
from support.managed import manage, new_key, wait_managed
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
SIZES = {"small": "8B", "large": "400B"}
MESSAGES = [{"role": "user", "content": "Hello"}]
PART = '{"questions": [{"question": "one?"}, {"question": "two?"}]}'
OWN = """
from routeiq.routing.strategy import Ranking

class Own:
    name = "own"

    def __init__(self, how):
        self.how = how

    def rank(self, query, candidates, state):
        order = list(range(len(candidates)))
        if self.how == "raises":
            raise RuntimeError("no")
        odd = {"scores": [1.0], "cost": [1.0], "quality": ["x"] * len(order), "features": {"x": object()},
               "memento": "text", "confidence": None, "propensity": float("nan"), "reason": 5}
        return Ranking(order=order, **{self.how: odd[self.how]})

    def update(self, feedback):
        raise RuntimeError("no")
"""


def models(upstream: Upstream) -> list[dict[str, Any]]:
    found = []
    for name, size in SIZES.items():
        entry = deployment(upstream, name)
        entry["model_info"] = {"size": size, "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
        found.append(entry)
    return found


def config(upstream: Upstream, strategy: str = "llmrouter-largest", **args: Any) -> dict[str, Any]:
    keys = [{"name": "small", "key": "sk-small", "models": ["small"]}, {"name": "two", "key": "sk-two"}]
    own = {"auto_models": {"auto": {"strategy": strategy, "args": args}}, "keys": keys}
    return {**config_for(upstream, routeiq=own), "model_list": models(upstream)}


def call(gateway: Gateway, body: Any, key: str = "", path: str = "/v1/chat/completions") -> tuple[int, Any, Any]:
    status, head, answer = gateway.call(path, body, key=key)
    return status, head, json.loads(answer)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/routing/explain"])
@pytest.mark.parametrize(
    "metadata",
    [
        b'{"routeiq":{"max_cost":1' + b"0" * 400 + b"}}",
        b'{"routeiq":{"max_cost":1e400}}',
        b'{"note":"\xff\xfe"}',
        b'{"tags":["\xff\xfe"]}',
        b'{"routeiq":{"exclude_models":[' + b'"x",' * 256 + b'"x"]}}',
    ],
    ids=["big", "infinite", "latin", "tags", "many"],
)
def test_metadata_that_cannot_be_read(serve: Serve, upstream: Upstream, path: str, metadata: bytes) -> None:
    body = b'{"model":"auto","messages":[{"role":"user","content":"Hi"}],"metadata":%b}' % metadata
    status, _, answer = call(serve(config(upstream)), body, path=path)
    assert (status, answer["error"]["code"] in ("invalid_parameter", "invalid_json")) == (400, True)


def own(tmp_path: Path, how: str) -> dict[str, Any]:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return {"class": f"{file}:Own", "args": {"how": how}}


@pytest.mark.parametrize(
    "how", ["raises", "scores", "cost", "quality", "features", "memento", "confidence", "propensity", "reason"]
)
def test_a_class_that_returns_what_it_should_not_fails_no_request(
    serve: Serve, upstream: Upstream, tmp_path: Path, how: str
) -> None:
    worker = serve(config(upstream, "llmrouter-custom", **own(tmp_path, how)))
    status, head, _ = call(worker, {"model": "auto", "messages": MESSAGES})
    assert (status, head["x-routeiq-selected-model"]) == (200, "small")
    decision = json.loads(worker.wait_events(1)[0]["decision"])
    assert decision["reason"].endswith("in the order of the configuration")


@pytest.mark.parametrize("strategy", ["llmrouter-cost-cascade", "llmrouter-automix", "llmrouter-knn-multiround"])
def test_within_a_play_neither(serve: Serve, upstream: Upstream, tmp_path: Path, strategy: str) -> None:
    inner = {"strategy": "llmrouter-custom", "args": own(tmp_path, "raises")}
    worker = serve(config(upstream, strategy, strategies=[inner]))
    upstream.script(says(PART))
    assert call(worker, {"model": "auto", "messages": MESSAGES})[0] == 200


def says(text: str) -> Script:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return Script(body={"id": "c", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage})


def test_a_cascade_begins_below_though_it_was_begun_above_before(serve: Serve, upstream: Upstream) -> None:
    built = config(upstream, "llmrouter-cost-cascade")
    built["model_list"][1]["model_info"]["input_cost_per_token"] = 1e-3
    worker = serve(built)
    body = {"model": "auto", "messages": MESSAGES}
    call(worker, {**body, "metadata": {"cascade_rung": 1}})
    assert [request.model for request in upstream.requests] == ["large"]
    call(worker, {**body, "messages": [*MESSAGES, {"role": "assistant", "content": "Hi"}, *MESSAGES]})
    assert upstream.requests[1].model == "small"


def test_explaining_tells_nothing_of_models_a_key_may_not_use(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    for model, status in (("small", 200), ("large", 403), ("auto", 200)):
        assert call(worker, {"model": model, "prompt": "Hi"}, "sk-small", "/v1/routing/explain")[0] == status


def test_who_is_denied_the_auto_model_or_a_candidate_gets_neither() -> None:
    rule = ModelRule(kind="key", models=("*",), denied=("auto",))
    assert not allows_through((rule,), "small", "auto")
    rule = ModelRule(kind="key", models=("auto",), denied=("large",))
    assert [allows_through((rule,), model, "auto") for model in ("small", "large")] == [True, False]


def test_end_users_of_one_name_have_conversations_of_their_own(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-largest"))
    body = {"model": "auto", "messages": MESSAGES, "user": "1"}
    assert call(worker, {**body, "metadata": {"routeiq": {"models": ["small"]}}})[1]["x-routeiq-selected-model"] == (
        "small"
    )
    later = {**body, "messages": [*MESSAGES, {"role": "assistant", "content": "Hi"}, *MESSAGES]}
    assert call(worker, later)[1]["x-routeiq-selected-model"] == "small"
    assert call(worker, later, "sk-two")[1]["x-routeiq-selected-model"] == "large"


# --- through a whole gateway


@pytest.fixture(scope="module")
def governed(provider: Upstream) -> Iterator[Gateway]:
    elsewhere = deployment(provider, "elsewhere", "large", api_key="sk-another-account")
    autos = {
        "auto": {"models": ["large", "small"], "strategy": "llmrouter-largest"},
        "lower": {"models": ["large", "small"], "strategy": "llmrouter-smallest"},
        "both": {"models": ["small", "elsewhere"], "strategy": "llmrouter-smallest"},
        "plays": {"models": ["small", "large"], "strategy": "llmrouter-cost-cascade"},
    }
    built = config_for(provider, routeiq={"auto_models": autos})
    built |= {"model_list": [*models(provider), elsewhere], "router_settings": {"num_retries": 0}}
    built["general_settings"] = {"store_model_in_db": True}
    with Gateway(built, env={"LITELLM_SALT_KEY": "salt-0123456789abcdef"}) as gateway:
        wait_managed(gateway)
        yield gateway


@pytest.fixture
def gateway(governed: Gateway, provider: Upstream) -> Gateway:
    provider.reset()
    return governed


def native(ident: str) -> Script:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    body = {"id": ident, "object": "response", "status": "completed", "model": "m", "output": [], "usage": usage}
    return Script(body=body)


def respond(gateway: Gateway, model: str, previous: str = "", key: str = "", **more: Any) -> tuple[int, Any]:
    body = {"model": model, "input": "Hi", **more}
    if previous:
        body["previous_response_id"] = previous
    status, _, answer = call(gateway, body, key, "/v1/responses")
    return status, answer


def lower(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


def test_a_conversation_goes_on_only_where_the_auto_model_may_choose(gateway: Gateway, provider: Upstream) -> None:
    provider.script(native("resp_a1"), native("resp_a2"))
    assert respond(gateway, "elsewhere")[0] == 200
    status, answer = respond(gateway, "auto", "resp_a1")
    assert (status, answer["error"]["code"]) == (400, "previous_response_elsewhere")
    excluded = {"routeiq": {"exclude_models": ["elsewhere"]}}
    assert respond(gateway, "both", "resp_a1", metadata=excluded)[0] == 400
    assert len(provider.requests) == 1
    assert respond(gateway, "both", "resp_a1")[0] == 200
    assert ("authorization", "Bearer sk-another-account") in lower(provider.requests[-1].headers)


def test_what_a_provider_keeps_is_asked_of_nobody_else(gateway: Gateway, provider: Upstream) -> None:
    provider.script(native("resp_b1"), Script(status=500), native("resp_b2"))
    assert respond(gateway, "both")[0] == 200
    assert respond(gateway, "both", "resp_b1")[0] == 500
    assert len(provider.requests) == 2


def test_a_play_leaves_what_a_provider_keeps_to_it(gateway: Gateway, provider: Upstream) -> None:
    provider.script(native("resp_c1"), native("resp_c2"))
    assert respond(gateway, "large")[0] == 200
    assert respond(gateway, "plays", "resp_c1")[0] == 200
    assert provider.requests[1].json["previous_response_id"] == "resp_c1"


def test_a_play_in_the_background(gateway: Gateway, provider: Upstream) -> None:
    status, answer = respond(gateway, "plays", background=True)
    assert (status, answer["status"]) == (200, "queued")
    end = time.monotonic() + 10
    while (found := json.loads(gateway.get(f"/v1/responses/{answer['id']}")[2]))["status"] != "completed":
        assert time.monotonic() < end, found
        time.sleep(0.1)
    assert found["output"][0]["content"][0]["text"]


def test_end_users_get_what_they_may_use(gateway: Gateway, provider: Upstream) -> None:
    manage(gateway, "/customer/new", {"user_id": "modest", "models": ["small"]})
    manage(gateway, "/customer/new", {"user_id": "free", "models": ["auto"]})
    key = new_key(gateway)
    body = {"model": "auto", "messages": MESSAGES}
    end = time.monotonic() + 10
    while call(gateway, {**body, "user": "modest"}, key)[1]["x-routeiq-selected-model"] != "small":
        assert time.monotonic() < end  # workers hear of the first end user with limits a little later
        time.sleep(0.1)
    assert call(gateway, {**body, "user": "free"}, key)[1]["x-routeiq-selected-model"] == "large"
    provider.script(Script(status=500))
    status, _, _ = call(gateway, {**body, "model": "lower", "user": "modest"}, key)
    assert status == 500, "no fallback to a model that is not the end user's"
