"""Strategies that ask models themselves, over a worker: cascades, rounds, Router-R1. Limits and budgets apply."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.answers import chat, error
from support.gateway import config_for, deployment
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
PRICES = {"small": 1e-7, "middle": 1e-6, "large": 1e-5}
KEYS = [{"name": "few", "key": "sk-few", "rpm": 2}, {"name": "auto", "key": "sk-auto", "models": ["auto"]}]


def config(upstream: Upstream, strategy: str, **args: Any) -> dict[str, Any]:
    models = []
    for name, price in PRICES.items():
        entry = deployment(upstream, name)
        entry["model_info"] = {"input_cost_per_token": price, "output_cost_per_token": price}
        models.append(entry)
    own = {"auto_models": {"auto": {"strategy": strategy, "args": args}}, "keys": KEYS}
    return {**config_for(upstream, routeiq=own), "model_list": models}


def says(text: str, logprob: float | None = None, **more: Any) -> Script:
    body = json.loads(chat({"model": "m", "messages": [{"role": "user", "content": "a b c"}]}))
    body["choices"][0]["message"]["content"] = text
    if logprob is not None:
        token = {"token": "x", "logprob": logprob, "bytes": None, "top_logprobs": []}
        body["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return Script(body={**body, **more})


def ask(worker: Worker, content: str = "What is 2+2?", **more: Any) -> tuple[dict[str, str], Any]:
    body = {"model": "auto", "messages": [{"role": "user", "content": content}]}
    key = more.pop("key", None)
    status, head, answer = worker.call("/v1/chat/completions", {**body, **more}, key=key or "")
    assert status == more.pop("status", 200), answer
    return head, json.loads(answer)


def asked(upstream: Upstream) -> list[str]:
    return [request.model for request in upstream.requests]


def test_a_trusted_answer_of_the_cheapest_is_taken(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.script(says("4"), says("Correct."), model="small")
    head, answer = ask(worker)
    assert (answer["choices"][0]["message"]["content"], answer["model"]) == ("4", "small")
    assert head["x-routeiq-selected-model"] == "small"
    assert asked(upstream) == ["small", "small"]
    check = upstream.requests[1].json
    assert "What is 2+2?" in check["messages"][1]["content"]
    events = worker.wait_events(3)
    outer = next(event for event in events if event["model"] == "auto")
    inner = [event for event in events if event is not outer]
    assert [event["request_id"] for event in inner] == [outer["id"]] * 2
    assert outer["cost"] == 0
    assert answer["usage"]["total_tokens"] == sum(e["prompt_tokens"] + e["completion_tokens"] for e in inner)
    assert float(head["x-litellm-response-cost"]) == pytest.approx(sum(event["cost"] for event in inner) / 1e9)
    steps = json.loads(outer["decision"])["features"]["steps"]
    assert [step["model"] for step in steps] == ["small"]


def test_a_doubted_answer_goes_up_the_ladder(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.script(says("5"), says("Incorrect"), model="small")
    upstream.script(says("3"), says("Incorrect"), model="middle")
    upstream.script(says("4"), model="large")
    head, answer = ask(worker)
    assert (answer["choices"][0]["message"]["content"], head["x-routeiq-selected-model"]) == ("4", "large")
    assert asked(upstream) == ["small", "small", "middle", "middle", "large"]


def test_a_cascade_may_trust_the_probabilities(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade", confidence="logprobs", max_rungs=2))
    upstream.script(says("4", -0.01), model="small")
    assert ask(worker)[0]["x-routeiq-selected-model"] == "small"
    assert upstream.requests[0].json["logprobs"] is True
    upstream.script(says("5", -2.0), model="small")
    assert ask(worker)[0]["x-routeiq-selected-model"] == "large"
    assert asked(upstream) == ["small", "small", "large"]


def test_a_rung_may_be_skipped(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    ask(worker, metadata={"cascade_rung": 2})
    assert asked(upstream) == ["large"]


def test_automix_counts_its_checks(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-automix", num_samples=3, alpha=0.6))
    upstream.script(says("4"), says("Correct"), says("Incorrect"), says("Correct"), model="small")
    assert ask(worker)[0]["x-routeiq-selected-model"] == "small"
    upstream.script(says("5"), says("Correct"), says("Incorrect"), says("Incorrect"), model="small")
    assert ask(worker)[0]["x-routeiq-selected-model"] == "large"


def test_a_rung_that_fails_is_climbed_over(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.always(Script(status=400, body=error("no")), model="small")
    upstream.script(says("4"), says("Correct"), model="middle")
    assert ask(worker)[0]["x-routeiq-selected-model"] == "middle"
    for name in PRICES:
        upstream.always(Script(status=400, body=error("broken")), model=name)
    assert ask(worker, status=400)[1]["error"]["message"] == "broken"


def test_limits_hold_for_the_questions(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-automix", num_samples=4))
    upstream.always(says("Correct"), model="small")
    head, _ = ask(worker, key="sk-few", status=200)
    # The answer and one check are all the key has; the next check counts as doubt, and the next rung is refused too.
    assert head["x-routeiq-selected-model"] == "small"
    assert len(upstream.requests) == 2
    assert ask(worker, key="sk-few", status=429)[1]["error"]["type"] == "rate_limit_error"


def test_a_key_for_the_auto_model_is_enough(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.script(says("4"), says("Correct"), model="small")
    assert ask(worker, key="sk-auto")[0]["x-routeiq-selected-model"] == "small"


def test_the_answer_is_told_as_a_stream(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.script(says("Four."), says("Correct"), model="small")
    messages: Any = [{"role": "user", "content": "What is 2+2?"}]
    options: Any = {"include_usage": True}
    stream = worker.client().chat.completions.create(
        model="auto", messages=messages, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Four."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    worker.settled()


def test_other_dialects_get_their_own_answers(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.script(says("Four."), says("Correct"), model="small")
    body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "What is 2+2?"}]}
    _, _, answer = worker.call("/v1/messages", body)
    assert json.loads(answer)["content"] == [{"type": "text", "text": "Four."}]


def test_a_client_that_leaves_ends_the_play(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-cost-cascade"))
    upstream.always(Script(cut="stall"), model="small")
    client = worker.client(timeout=0.5)
    with pytest.raises(Exception, match="timed out"):
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hi"}])
    worker.settled()
    assert sorted(event["status"] for event in worker.wait_events(2)) == [499, 499]


PARTS = '{"questions": [{"question": "What is 2+2?"}, {"question": "Why is the sky blue, at length?"}]}'


def test_a_request_is_taken_apart_and_its_parts_routed(serve: Serve, upstream: Upstream) -> None:
    inner = {
        "strategy": "llmrouter-tag-regex-ua",
        "args": {"regex": {"sky": ["large"], r"\d": ["small"]}},
    }
    worker = serve(config(upstream, "llmrouter-knn-multiround", strategies=[inner], base_model="middle"))
    upstream.script(says(PARTS), says("It is 4, and blue."), model="middle")
    upstream.script(says("4"), model="small")
    upstream.script(says("Rayleigh."), model="large")
    _, answer = ask(worker, "What is 2+2, and why is the sky blue?")
    assert answer["choices"][0]["message"]["content"] == "It is 4, and blue."
    assert asked(upstream) == ["middle", "small", "large", "middle"]
    together = upstream.requests[-1].json["messages"][-1]["content"]
    assert "Finding: 4" in together
    assert "Finding: Rayleigh." in together


def test_a_model_may_route_the_parts(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-llm-multiround", base_model="large"))
    parts = {"questions": [{"question": "A?", "model": "small"}, {"question": "B?", "model": "nobody"}]}
    upstream.script(says(json.dumps(parts)), says("b"), says("ab"), model="large")
    upstream.script(says("a"), model="small")
    assert ask(worker, "A and B?")[1]["choices"][0]["message"]["content"] == "ab"
    assert asked(upstream) == ["large", "small", "large", "large"]
    upstream.requests.clear()
    upstream.script(says("not JSON"), says("whole"), model="large")
    assert ask(worker, "C?")[1]["choices"][0]["message"]["content"] == "whole"


def test_router_r1_hands_questions_over(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-r1", model="middle"))
    upstream.script(
        says('<think>hm</think><route model="large">How far is the moon?</route>'),
        says('<route model="secret-model">And the sun?</route>'),
        says("<think>now I know</think><answer>384,400 km</answer>"),
        model="middle",
    )
    upstream.script(says("384,400 km"), model="large")
    head, answer = ask(worker, "How far is the moon?")
    assert answer["choices"][0]["message"]["content"] == "384,400 km"
    assert head["x-routeiq-selected-model"] == "middle"
    assert asked(upstream) == ["middle", "large", "middle", "middle"]
    assert '<result model="large">\n384,400 km' in upstream.requests[2].json["messages"][-1]["content"]
    assert "There is no such model" in upstream.requests[3].json["messages"][-1]["content"]


def test_router_r1_ends_by_its_rounds(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config(upstream, "llmrouter-r1", model="middle", max_iterations=1))
    more = says('<route model="small">More?</route>')
    upstream.script(more, more, says("<answer>enough</answer>"), model="middle")
    _, answer = ask(worker)
    assert answer["choices"][0]["message"]["content"] == "enough"
    decision = next(json.loads(e["decision"]) for e in worker.wait_events(6) if e["model"] == "auto")
    assert decision["reason"].startswith("stopped by max_iterations")


def test_a_play_ends_when_the_time_for_a_request_is_over(serve: Serve, upstream: Upstream) -> None:
    built = config(upstream, "llmrouter-cost-cascade")
    built["routeiq"]["timeouts"] = {"total": 1}
    worker = serve(built)
    upstream.script(*(Script(delay=0.7) for _ in range(4)))
    began = time.monotonic()
    status, _, answer = worker.call("/v1/chat/completions", {"model": "auto", "messages": MESSAGES})
    assert (status, json.loads(answer)["error"]["type"]) == (504, "timeout_error")
    assert time.monotonic() - began < 2
