"""What a provider says it used is what is billed: in the Event, the header and the metrics, to the nano-dollar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from matrix.bills import ANTHROPIC_USAGE, BEDROCK_USAGE, BILLS, Bill
from matrix.server import Reply, Server
from routeiq.core.money import dollars
from routeiq.core.usage import MOST_TOKENS
from routeiq.ledger.event import Event, usage_of
from support.worker import Worker

PRICES: dict[str, Any] = {
    "input_cost_per_token": 2.003e-6,
    "output_cost_per_token": 8.011e-6,
    "cache_read_input_token_cost": 2.17e-7,
    "cache_creation_input_token_cost": 2.53e-6,
    "cache_creation_input_token_cost_above_1hr": 4.07e-6,
    "output_cost_per_reasoning_token": 9.13e-6,
    "input_cost_per_audio_token": 3.17e-5,
    "output_cost_per_audio_token": 6.43e-5,
    "cache_read_input_audio_token_cost": 1.91e-6,
    "input_cost_per_image_token": 2.71e-6,
    "input_cost_per_request": 1.3e-5,
    "input_cost_per_query": 2.1e-3,
    "search_context_cost_per_query": {"search_context_size_medium": 1.01e-2},
    "input_cost_per_token_flex": 1.009e-6,
    "output_cost_per_token_priority": 1.601e-5,
}
MESSAGES = [{"role": "user", "content": "one two three"}]
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    "completion": ("/v1/completions", {"prompt": "one two three"}),
    "responses": ("/v1/responses", {"input": "one two three"}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 100}),
    "generate": (
        "/v1beta/models/%s:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]},
    ),
    "cohere_chat": ("/v2/chat", {"messages": MESSAGES}),
    "embedding": ("/v1/embeddings", {}),
    "rerank": ("/v1/rerank", {}),
}
HELD = re.compile(rb'"Hi"|"H"|"token"|IkhpIn')
"""The first piece of an answer's text, in base64 as well."""
CHATS = ("chat", "responses", "messages", "generate", "cohere_chat")
ANOTHER_WIRE = [
    *(("openai", "responses"), ("xai", "responses"), ("openrouter", "responses"), ("openrouter", "messages")),
    *(("litellm", "responses"), ("litellm", "messages")),
]
"""Providers that speak the client's dialect, too."""


class Running:
    def __init__(self, worker: Worker, servers: dict[str, Server]) -> None:
        self.worker = worker
        self.servers = servers
        assert isinstance(worker, Worker)
        self.prices = worker.snapshot(worker.config).deployments[0].prices


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(bill.serve)) for name, bill in BILLS.items()}
        models = [
            {
                "model_name": name.replace(" ", "-"),
                "litellm_params": {"model": bill.model, **bill.params(servers[name].url), **PRICES},
            }
            for name, bill in BILLS.items()
        ]
        config: dict[str, Any] = {
            "model_list": models,
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "routeiq": {"resilience": {"breaker_failures": 0}},
        }
        yield Running(stack.enter_context(Worker(config)), servers)


def ask(worker: Worker, name: str, bill: Bill, endpoint: str, *, stream: bool) -> tuple[dict[str, str], Event]:
    """One request; the headers of its answer, and its Event."""
    path, body = ASKED[endpoint]
    model = name.replace(" ", "-")
    body = {**body, **bill.body}
    if endpoint == "generate":
        path = path % model
        path = path.replace("generateContent", "streamGenerateContent?alt=sse") if stream else path
    else:
        body = {**body, "model": model} | ({"stream": True} if stream else {})
    worker.forget()
    status, headers, answer = worker.call(path, body)
    assert status == 200, answer
    [event] = worker.wait_events(1)
    return headers, msgspec.convert(event, Event)


CELLS = [
    (name, endpoint, stream)
    for name, bill in BILLS.items()
    for endpoint in (CHATS if bill.endpoints == ("chat",) else bill.endpoints)
    if (name, endpoint) not in ANOTHER_WIRE
    for stream in ((False, True) if endpoint not in ("embedding", "rerank") else (False,))
]


@pytest.mark.parametrize(("name", "endpoint", "stream"), CELLS)
def test_what_was_used_is_what_is_billed(gateway: Running, name: str, endpoint: str, stream: bool) -> None:
    bill = BILLS[name]
    headers, event = ask(gateway.worker, name, bill, endpoint, stream=stream)
    assert usage_of(event) == bill.usage
    prices = gateway.prices
    assert prices is not None
    assert event.cost == prices.cost(bill.usage)
    if stream:
        assert "x-litellm-response-cost" not in headers
    else:
        assert Decimal(headers["x-litellm-response-cost"]) == Decimal(dollars(event.cost))


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [(name, endpoint) for name, endpoint, stream in CELLS if stream and BILLS[name].stream and endpoint != "responses"]
    + [("openai responses", "responses")],
)
def test_a_stream_that_is_cut_is_billed_by_what_came(gateway: Running, name: str, endpoint: str) -> None:
    """At least one token came; the prompt is told at the beginning by some, at the end by others."""
    bill, server = BILLS[name], gateway.servers[name]
    whole = bill.serve
    kept = next(at for at, piece in enumerate(bill.stream) if HELD.search(piece))
    server.serve = lambda asked: Reply(bill.stream[: kept + 1], bill.kind, cut=True)
    try:
        _, event = ask(gateway.worker, name, bill, endpoint, stream=True)
    finally:
        server.serve = whole
    assert event.error
    assert event.prompt_tokens > 0
    assert 1 <= event.completion_tokens <= kept + 1
    assert event.estimated
    assert gateway.prices is not None
    assert event.cost == gateway.prices.cost(usage_of(event))


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "cohere", "bedrock", "ollama", "watsonx"])
@pytest.mark.parametrize("endpoint", CHATS)
def test_an_answer_without_usage_is_estimated(gateway: Running, name: str, endpoint: str) -> None:
    if (name, endpoint) in ANOTHER_WIRE:
        return
    bill, server = BILLS[name], gateway.servers[name]
    told = json.loads(bill.whole)
    for member in ("usage", "usageMetadata", "prompt_eval_count", "eval_count"):
        told.pop(member, None)
    server.serve = lambda asked: Reply([json.dumps(told).replace("Hi", "eight letters and more").encode()])
    try:
        _, event = ask(gateway.worker, name, bill, endpoint, stream=False)
    finally:
        server.serve = bill.serve
    assert event.estimated
    assert 10 <= event.prompt_tokens <= 50
    assert 5 <= event.completion_tokens <= 6
    assert event.cost


ABSURD = [-1, 10**9 + 1, 10**18, 10**30]


@pytest.mark.parametrize("count", ABSURD)
@pytest.mark.parametrize(
    ("name", "member"),
    [
        *(("openai", name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "audio_tokens")),
        *(("anthropic", name) for name in ANTHROPIC_USAGE if name.endswith("_tokens")),
        ("anthropic", "web_search_requests"),
        *(("gemini", name) for name in ("promptTokenCount", "cachedContentTokenCount", "tokenCount")),
        *(("bedrock", name) for name in BEDROCK_USAGE if name != "totalTokens"),
        *(("cohere", name) for name in ("input_tokens", "output_tokens", "cached_tokens")),
        *(("ollama", name) for name in ("prompt_eval_count", "eval_count")),
        ("cohere rerank", "search_units"),
        ("bedrock embeddings", "inputTextTokenCount"),
        ("vertex_ai embeddings", "token_count"),
        ("watsonx embeddings", "input_token_count"),
    ],
)
def test_nonsense_neither_pays_nor_overflows(gateway: Running, name: str, member: str, count: int) -> None:
    bill, server = BILLS[name], gateway.servers[name]
    told = re.sub(rb'("%b": )[0-9.]+' % member.encode(), rb"\g<1>%d" % count, bill.whole)
    assert told != bill.whole
    server.serve = lambda asked: Reply([told])
    try:
        worker = gateway.worker
        worker.forget()
        endpoint = bill.endpoints[0]
        path, body = ASKED[endpoint]
        status, headers, answer = worker.call(path, {**body, **bill.body, "model": name.replace(" ", "-")})
        [raw] = worker.wait_events(1)
    finally:
        server.serve = bill.serve
    event = msgspec.convert(raw, Event)
    if status != 200:  # not a number any provider could have meant, and no answer in its dialect
        assert (status, count) == (502, 10**30), answer
        return
    usage = usage_of(event)
    assert 0 <= usage.prompt <= MOST_TOKENS
    assert 0 <= usage.completion <= MOST_TOKENS
    assert usage.cached + usage.written + usage.written_1h <= usage.prompt
    assert event.cost is not None
    assert 0 < event.cost < 2**63
    assert Decimal(headers["x-litellm-response-cost"]) == Decimal(dollars(event.cost))
