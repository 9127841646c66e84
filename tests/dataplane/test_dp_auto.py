"""Auto models over a worker: candidates, filters, wishes, fallbacks by the ranking, headers, sticky conversations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routeiq.core.keys import Routing
from routeiq.core.routing import Wishes
from support.answers import error
from support.gateway import config_for, deployment
from support.upstream import Script, Upstream
from support.worker import Worker

MODELS = {
    "small": {"input_cost_per_token": 1e-7, "output_cost_per_token": 2e-7, "size": "8B", "max_input_tokens": 1000},
    "middle": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "size": "70B", "supports_vision": True},
    "large": {"input_cost_per_token": 1e-5, "output_cost_per_token": 2e-5, "size": "400B", "region": "eu-central-1"},
}
BLIND = {"supports_vision": False, "supports_function_calling": False}


def config(upstream: Upstream, strategy: str = "llmrouter-largest", **more: Any) -> dict[str, Any]:
    models = []
    for name, info in MODELS.items():
        entry = deployment(upstream, name)
        entry["model_info"] = {**(BLIND if name == "small" else {}), **info}
        models.append(entry)
    settings = {"strategy": strategy, **more}
    built = config_for(upstream, routeiq={"auto_models": {"auto": settings}, "keys": KEYS})
    return {**built, "model_list": models}


KEYS = [
    {"name": "some", "key": "sk-some", "models": ["small", "middle"]},
    {"name": "auto only", "key": "sk-auto", "models": ["auto"]},
    {"name": "none", "key": "sk-none", "models": ["other"]},
    {"name": "poor", "key": "sk-poor", "max_budget": 0.001},
]

Serve = Callable[[dict[str, Any]], Worker]


def ask(worker: Worker, content: Any = "Hello", *, key: str | None = None, status: int = 200, **more: Any) -> Any:
    headers = more.pop("headers", {})
    messages = more.pop("messages", [{"role": "user", "content": content}])
    if key:
        headers["Authorization"] = f"Bearer {key}"
    body = {"model": more.pop("model", "auto"), "messages": messages, **more}
    found, head, answer = worker.call("/v1/chat/completions", body, headers=headers)
    assert found == status, answer
    return {name.lower(): value for name, value in head.items()}, json.loads(answer)


def chosen(worker: Worker, *args: Any, **more: Any) -> str:
    return ask(worker, *args, **more)[0]["x-routeiq-selected-model"]


def test_headers_and_event_tell_the_choice(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    head, answer = ask(worker)
    assert answer["model"] == "large"
    assert upstream.requests[-1].model == "large"
    assert head["x-routeiq-strategy"] == "llmrouter-largest"
    assert head["x-routeiq-selected-model"] == "large"
    assert head["x-routeiq-variant"] == "default"
    assert head["x-routeiq-decision-id"] == head["x-litellm-call-id"]
    event = worker.wait_events(1)[0]
    decision = json.loads(event["decision"])
    assert (event["model"], event["group"], event["strategy"]) == ("auto", "large", "llmrouter-largest")
    assert (decision["selected"], decision["id"]) == ("large", head["x-litellm-call-id"])
    assert [(one["model"], one["rank"]) for one in decision["candidates"]] == [
        ("small", 3),
        ("middle", 2),
        ("large", 1),
    ]
    assert decision["candidates"][0]["cost"] < decision["candidates"][2]["cost"]


def test_the_sdk_sees_an_ordinary_model_and_the_list_has_it(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    client = worker.client()
    assert "auto" in [model.id for model in client.models.list()]
    stream = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hi"}], stream=True)
    chunks = list(stream)
    assert {chunk.model for chunk in chunks} == {"large"}
    head, _ = ask(worker, [{"type": "text", "text": "Hi"}], max_tokens=3)
    assert head["x-routeiq-selected-model"] == "large"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v2/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
def test_every_dialect_may_ask(serve: Serve, upstream: Upstream, path: str, body: dict[str, Any]) -> None:
    worker = serve(config(upstream))
    status, head, answer = worker.call(path, {"model": "auto", **body})
    assert status == 200, answer
    assert {name.lower(): value for name, value in head.items()}["x-routeiq-selected-model"] == "large"


def test_responses_too(serve: Serve, upstream: Upstream) -> None:
    built = config(upstream)
    for entry in built["model_list"]:
        entry["litellm_params"]["mock_response"] = "Hello!"
    answer = serve(built).client().responses.create(model="auto", input="Hi", store=False)
    assert (answer.output_text, answer.model) == ("Hello!", "large")


def test_what_does_not_chat_is_refused(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    status, _, answer = worker.call("/v1/embeddings", {"model": "auto", "input": "Hi"})
    assert (status, json.loads(answer)["error"]["code"]) == (400, "unsupported_endpoint")


IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]


def test_neither_wildcards_nor_aliases_hide_it(serve: Serve, upstream: Upstream) -> None:
    built = config(upstream)
    wildcard = deployment(upstream, "*")
    wildcard["litellm_params"]["model"] = "openai/*"
    built["model_list"].append(wildcard)
    built["router_settings"] = {"model_group_alias": {"gpt-4": "auto"}}
    worker = serve(built)
    assert chosen(worker) == "large"
    head, answer = ask(worker, model="gpt-4")
    assert (head["x-routeiq-selected-model"], answer["model"]) == ("large", "large")
    assert ask(worker, model="anything")[1]["model"] == "anything"
    assert {"auto", "gpt-4"} <= {model.id for model in worker.client("sk-auto").models.list()}


def test_tokens_are_counted_for_it(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
    status, head, answer = worker.call("/v1/messages/count_tokens", body)
    assert (status, head["x-routeiq-selected-model"]) == (200, "large")
    assert json.loads(answer)["input_tokens"] > 0


def test_filters_take_candidates_out(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-smallest"))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    assert chosen(worker) == "small"
    assert chosen(worker, IMAGE) == "middle"
    assert chosen(worker, tools=[tool]) == "middle"
    assert chosen(worker, "word " * 2000) == "middle"
    assert chosen(worker, headers={"x-routeiq-exclude-models": "small, mid*"}) == "large"
    assert chosen(worker, headers={"x-routeiq-models": "large"}) == "large"
    assert chosen(worker, headers={"x-routeiq-region": "eu", "x-routeiq-residency": "true"}) == "large"
    assert chosen(worker, headers={"x-routeiq-region": "eu"}) == "large"
    decisions = [json.loads(event["decision"]) for event in worker.wait_events(8)]
    removed = [{one["model"]: one["removed"] for one in each["candidates"] if "removed" in one} for each in decisions]
    assert removed == [
        {},
        {"small": "capability:vision"},
        {"small": "capability:tools"},
        {"small": "context_window"},
        {"small": "excluded", "middle": "excluded"},
        {"small": "not_asked_for", "middle": "not_asked_for"},
        {"small": "region", "middle": "region"},
        {},
    ]


def test_a_key_gets_only_what_it_may_use(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    assert chosen(worker, key="sk-some") == "middle"
    assert chosen(worker, key="sk-auto") == "large"
    assert ask(worker, key="sk-none", status=403)[1]["error"]["code"] == "model_access_denied"
    assert [model.id for model in worker.client("sk-none").models.list()] == []
    assert [model.id for model in worker.client("sk-auto").models.list()] == ["auto"]
    assert ask(worker, key="sk-auto", model="large", status=403)[1]["error"]["code"] == "model_access_denied"


def test_a_budget_that_is_nearly_spent_leaves_the_cheap(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    assert chosen(worker, key="sk-poor", max_tokens=10) == "large"
    assert chosen(worker, key="sk-poor", max_tokens=100) == "middle"


def test_max_cost_puts_the_dear_behind(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    assert chosen(worker, headers={"x-routeiq-max-cost": "0.001"}) == "middle"
    assert chosen(worker, headers={"x-routeiq-max-cost": "0"}) == "small"
    assert chosen(worker, metadata={"routeiq": {"max_cost": 0.001}}) == "middle"
    assert chosen(serve(config(upstream, max_cost=0.001))) == "middle"


def test_wishes_of_a_key(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, excluded=["middle"]))
    snapshot = worker.snapshot(worker.config)
    keys = dict(snapshot.auth.keys)
    ((digest, key),) = [(digest, key) for digest, key in keys.items() if key.name == "poor"]
    wishes = Wishes(max_cost=0.0, excluded=("small",))
    keys[digest] = msgspec.structs.replace(key, subjects=(), routing=Routing(wishes=wishes))
    auth = msgspec.structs.replace(snapshot.auth, keys=keys)
    worker.publish(msgspec.structs.replace(snapshot, auth=auth))
    assert chosen(worker, key="sk-poor") == "large"
    problem = ask(worker, key="sk-poor", headers={"x-routeiq-exclude-models": "large"}, status=400)[1]["error"]
    assert problem["code"] == "no_candidates"
    keys[digest] = msgspec.structs.replace(key, subjects=(), routing=Routing(wishes=Wishes(max_cost=0.0)))
    worker.publish(msgspec.structs.replace(snapshot, auth=msgspec.structs.replace(auth, keys=keys)))
    assert chosen(worker, key="sk-poor") == "small"
    assert chosen(worker, key="sk-poor", headers={"x-routeiq-max-cost": "1"}) == "large"


METRICS = """# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
vllm:num_requests_waiting{engine="0",model_name="m"} %s
vllm:kv_cache_usage_perc{engine="0",model_name="m"} %s
"""


def test_engines_are_asked_how_full_they_are(serve: Serve, upstream: Upstream) -> None:
    with Upstream() as one, Upstream() as two:
        built = config_for(upstream, router_settings={"routing_strategy": "llmrouter-kv-cache-aware"})
        models = []
        for engine, name in ((one, "one"), (two, "two")):
            models.append(deployment(upstream, "both", name, engine_metrics_url=f"{engine.url}/metrics"))
        one.always(Script(body=(METRICS % (3.0, 0.9)).encode()))
        two.always(Script(body=(METRICS % (0.0, 0.1)).encode()))
        worker = serve({**built, "model_list": models})
        for engine in (one, two):
            engine.wait_requests(2)
        ask(worker, model="both")
        assert upstream.requests[-1].model == "two"
        one.always(Script(body=(METRICS % (0.0, 0.0)).encode()))
        two.always(Script(status=500))
        for engine in (one, two):
            engine.wait_requests(len(engine.requests) + 2)
        ask(worker, model="both")
        assert upstream.requests[-1].model == "one"
        asked = len(one.requests)
        worker.serve(config_for(upstream, "plain"))
        time.sleep(1.5)
        assert len(one.requests) <= asked + 1


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-routeiq-target-quality", "1.5"),
        ("x-routeiq-max-cost", "cheap"),
        ("x-routeiq-willingness-to-pay", "-1"),
        ("x-routeiq-max-latency", "nan"),
        ("x-routeiq-profile", "best"),
        ("x-routeiq-residency", "perhaps"),
    ],
)
def test_malformed_wishes_are_refused(serve: Serve, upstream: Upstream, header: str, value: str) -> None:
    problem = ask(serve(config(upstream)), headers={header: value}, status=400)[1]["error"]
    assert problem["param"] == header
    assert header in problem["message"]


def test_data_stays_somewhere(serve: Serve, upstream: Upstream) -> None:
    problem = ask(serve(config(upstream)), headers={"x-routeiq-residency": "true"}, status=400)[1]["error"]
    assert problem["param"] == "x-routeiq-region"
    assert "needs x-routeiq-region" in problem["message"]


def test_nothing_left_tells_why(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, models=["small"]))
    problem = ask(worker, IMAGE, status=400)[1]["error"]
    assert problem["code"] == "no_candidates"
    assert "small (capability:vision)" in problem["message"]


def test_fallbacks_follow_the_ranking(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    upstream.always(Script(status=400, body=error("no", code="context_length_exceeded")), model="large")
    upstream.always(Script(status=401, body=error("no")), model="middle")
    head, _ = ask(worker)
    assert [request.model for request in upstream.requests] == ["large", "middle", "small"]
    assert (head["x-litellm-attempted-fallbacks"], head["x-routeiq-selected-model"]) == ("2", "small")


def test_what_is_held_out_is_not_chosen(serve: Serve, upstream: Upstream) -> None:
    worker = serve({**config(upstream), "router_settings": {"allowed_fails": 0, "cooldown_time": 60}})
    upstream.always(Script(status=500, body=error("no")), model="large")
    assert chosen(worker) == "middle"
    upstream.requests.clear()
    assert chosen(worker) == "middle"
    assert [request.model for request in upstream.requests] == ["middle"]


def test_a_conversation_stays_with_its_model(serve: Serve, upstream: Upstream) -> None:
    def say(worker: Worker, *more: str, ttl: str = "") -> str:
        roles = ("user", "assistant") * 4
        said = [{"role": role, "content": text} for role, text in zip(roles, ("Who are you?", *more), strict=False)]
        return chosen(worker, messages=said)

    worker = serve(config(upstream, "llmrouter-smallest"))
    assert say(worker) == "small"
    worker = serve(config(upstream))
    assert say(worker, "Me.", "And now?") == "small"
    assert chosen(worker, "Another conversation") == "large"
    assert say(serve(config(upstream, session_ttl=0)), "Me.", "And now?") == "large"


def test_limits_of_the_chosen_model_count(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream))
    for _ in range(3):
        ask(worker, key="sk-auto")
    events = worker.wait_events(3)
    assert [event["cost"] for event in events] == [events[0]["cost"]] * 3
    assert events[0]["cost"] > 0


MINE = """
from routeiq.routing.strategy import Ranking

class Mine:
    name = "mine"

    def rank(self, query, candidates, state):
        wanted = query.prompt.split()[-1]
        return Ranking(order=sorted(range(len(candidates)), key=lambda place: candidates[place].name != wanted))

    def update(self, feedback):
        pass
"""


def test_a_class_of_ones_own(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    worker = serve(config(upstream, "llmrouter-custom", args={"class": f"{tmp_path}/mine.py:Mine"}))
    assert [chosen(worker, f"I want {name}") for name in MODELS] == list(MODELS)
    (tmp_path / "broken.py").write_text(MINE.replace("query.prompt.split()[-1]", "query.nothing"))
    worker = serve(config(upstream, "llmrouter-custom", args={"class": f"{tmp_path}/broken.py:Mine"}))
    assert chosen(worker) == "small"
    worker.wait_moved('routeiq_routing_failures_total{strategy="mine"}', 1)


LEARNER = """
from routeiq.routing.strategy import Ranking

class Learner:
    name = "learner"

    def __init__(self):
        self.seen = {}

    def rank(self, query, candidates, state):
        def worth(place):
            return -self.seen.get(candidates[place].name, 0.0)
        return Ranking(order=sorted(range(len(candidates)), key=worth), features={"seen": dict(self.seen)})

    def update(self, feedback):
        name = feedback.candidate.name
        if feedback.failed:
            self.seen[name] = -1.0
        else:
            assert feedback.quality is None and feedback.cost > 0 and feedback.latency > 0
            self.seen[name] = self.seen.get(name, 0.0) + 1.0
"""


def test_a_strategy_learns_what_became_of_its_choice(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "learner.py").write_text(LEARNER)
    worker = serve(
        config(upstream, "llmrouter-custom", args={"class": f"{tmp_path}/learner.py:Learner"}, session_ttl=0)
    )
    upstream.always(Script(status=400, body=error("no", code="context_length_exceeded")), model="small")
    upstream.always(Script(status=401, body=error("no")), model="middle")
    assert chosen(worker) == "large"
    upstream.always(None, model="small")
    upstream.requests.clear()
    assert chosen(worker) == "large"
    assert [request.model for request in upstream.requests] == ["large"]
    assert json.loads(worker.wait_events(2)[1]["decision"])["features"]["seen"]["large"] == 1.0


def test_rules_choose(serve: Serve, upstream: Upstream) -> None:
    rules = {"tags": {"gold": ["large"]}, "regex": {r"\bproof\b": ["middle"]}, "user_agents": {"cli/": ["large"]}}
    worker = serve(config(upstream, "llmrouter-tag-regex-ua", args=rules, session_ttl=0))
    assert chosen(worker) == "small"
    assert chosen(worker, "A proof, please") == "middle"
    assert chosen(worker, headers={"x-litellm-tags": "gold"}) == "large"
    assert chosen(worker, headers={"User-Agent": "my-CLI/2"}) == "large"


def test_what_is_going_on_chooses(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-usage-based", session_ttl=0))
    assert sorted(chosen(worker) for _ in MODELS) == sorted(MODELS)
    upstream.always(Script(delay=0.5), model="small")
    worker = serve(config(upstream, "llmrouter-latency-sla", args={"target_latency_ms": 200}, session_ttl=0))
    assert [chosen(worker) for _ in range(2)] == ["small", "middle"]
    worker = serve(config(upstream, "llmrouter-least-busy", session_ttl=0))
    with ThreadPoolExecutor(3) as pool:
        upstream.always(Script(delay=0.5))
        assert sorted(pool.map(lambda _: chosen(worker), MODELS)) == sorted(MODELS)


def test_several_choose_together(serve: Serve, upstream: Upstream) -> None:
    both = [{"strategy": "llmrouter-largest"}, {"strategy": "llmrouter-cost-aware"}]
    worker = serve(config(upstream, "routeiq-ensemble", args={"strategies": both, "weights": [3, 1]}))
    assert chosen(worker) == "large"
    worker = serve(config(upstream, "routeiq-ensemble", args={"strategies": both, "weights": [1, 3]}))
    assert chosen(worker, "Hi") == "small"
    rules = {"strategy": "llmrouter-tag-regex-ua", "args": {"regex": {"proof": "middle"}}}
    worker = serve(config(upstream, "routeiq-pipeline", args={"strategies": [rules, "llmrouter-largest"]}))
    assert chosen(worker, "A proof") == "middle"
    assert chosen(worker, "A joke") == "large"


def test_a_group_may_be_ranked_too(serve: Serve, upstream: Upstream) -> None:
    built = config_for(upstream, router_settings={"routing_strategy": "llmrouter-largest"})
    one, two = (deployment(upstream, "both", name) for name in ("model-8b", "model-70b"))
    worker = serve({**built, "model_list": [one, two]})
    head, _ = ask(worker, model="both")
    assert upstream.requests[-1].model == "model-70b"
    assert head["x-routeiq-strategy"] == "llmrouter-largest"
    upstream.always(Script(status=500, body=error("no")), model="model-70b")
    ask(worker, model="both")
    assert upstream.requests[-1].model == "model-8b"
