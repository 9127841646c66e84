"""Reranking through a worker: Cohere's SDK and plain HTTP in front, servers of every shape behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cohere
import pytest
from cohere.v2.types import V2RerankResponse

from support import cohere_wire as wire
from support.gateway import MASTER_KEY
from support.upstream import Script, Upstream
from support.worker import Worker

Serve = Callable[[dict[str, Any]], Worker]
BY_UNIT = {"input_cost_per_query": 0.002}
BY_TOKEN = {"input_cost_per_token": 0.00001}
ASKED: dict[str, Any] = {"query": "capital?", "documents": ["Oslo", "Rome", "Bern"], "top_n": 2}
RANKED = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.25}]
COHERE = {
    "id": "r-1",
    "results": RANKED,
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 3.0}},
}


@pytest.fixture
def ranks(serve: Serve, provider: Upstream) -> Worker:
    """A reranker of each kind."""
    models = {
        "cohere": ("cohere/rerank-v3.5", BY_UNIT),
        "jina": ("jina_ai/jina-reranker-v2", BY_TOKEN),
        "voyage": ("voyage/rerank-2.5", BY_TOKEN),
        "together": ("together_ai/Salesforce/Llama-Rank-V1", BY_TOKEN),
        "infinity": ("infinity/bge-reranker", BY_TOKEN),
        "vllm": ("hosted_vllm/bge-reranker", BY_TOKEN),
        "tei": ("tei/bge-reranker", BY_TOKEN),
        "dropping": ("jina_ai/jina-reranker-v2", {"drop_params": True}),
        "without": ("cohere/rerank-v3.5", {"additional_drop_params": ["top_n"]}),
        "claude": ("anthropic/claude-sonnet-4-5", {}),
        "mocked": ("openai/rerank-mock", {"mock_response": "hi"}),
    }
    return serve({"model_list": [entry(provider, name, *model) for name, model in models.items()]})


def entry(provider: Upstream, name: str, model: str, params: dict[str, Any]) -> dict[str, Any]:
    settings = {"model": model, "api_base": provider.base, "api_key": "sk-provider-0123456789", **params}
    if model.startswith(("cohere/", "tei/")):
        settings["api_base"] = provider.url
    return {"model_name": name, "litellm_params": settings}


def test_the_sdk_through_to_cohere(ranks: Worker, upstream: Upstream) -> None:
    wire.same(V2RerankResponse, COHERE)
    upstream.script(Script(body=COHERE))
    client = cohere.ClientV2(api_key=MASTER_KEY, base_url=ranks.url)
    answer = client.rerank(model="cohere", max_tokens_per_doc=100, **ASKED)
    assert [(found.index, found.relevance_score) for found in answer.results] == [(2, 0.9), (0, 0.25)]
    [sent] = upstream.requests
    assert sent.target == "/v2/rerank"
    wire.RerankRequest.model_validate(sent.json)
    assert sent.json == {**ASKED, "model": "rerank-v3.5", "max_tokens_per_doc": 100}
    [line] = ranks.wait_events(1)
    assert (line["endpoint"], line["units"], line["cost"]) == ("rerank", 3, 6_000_000)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank", "/cohere/v2/rerank"])
def test_every_path_passes_the_same_bytes(ranks: Worker, upstream: Upstream, path: str) -> None:
    body = json.dumps(COHERE, indent=1).encode()
    upstream.script(Script(body=body))
    asked = json.dumps({"model": "cohere", **ASKED}, indent=2).encode()
    status, headers, got = ranks.call(path, asked)
    assert (status, got) == (200, body)
    assert upstream.requests[0].body == asked.replace(b'"cohere"', b'"rerank-v3.5"')
    [line] = ranks.wait_events(1)
    assert headers["x-litellm-response-cost"] == "0.006000000"
    assert line["cost"] == 6_000_000


def test_what_version_2_does_not_have_is_done_here(ranks: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body=COHERE))
    documents = [{"text": "Oslo"}, {"city": "Rome", "size": 3}, "Bern"]
    asked = {"model": "cohere", "query": "q", "documents": documents, "return_documents": True}
    status, headers, got = ranks.call("/rerank", asked)
    assert status == 200
    answer = json.loads(got)
    assert answer["results"] == [
        {"index": 2, "relevance_score": 0.9, "document": {"text": "Bern"}},
        {"index": 0, "relevance_score": 0.25, "document": {"text": "Oslo"}},
    ]
    assert (answer["id"], answer["meta"]["billed_units"]) == ("r-1", {"search_units": 3})
    assert wire.RerankRequest.model_validate(upstream.requests[0].json)
    assert upstream.requests[0].json["documents"] == ["Oslo", "city: Rome\nsize: 3", "Bern"]
    assert headers["x-litellm-response-cost"] == "0.006000000"
    upstream.script(Script(body=COHERE))
    asked = {"model": "cohere", "query": "q", "documents": [{"a": "x", "b": "y"}] * 3, "rank_fields": ["b"]}
    assert ranks.call("/rerank", asked)[0] == 200
    assert upstream.requests[1].json["documents"] == ["b: y"] * 3


OPENAI_LIKE = {"model": "m", "results": RANKED[::-1], "usage": {"total_tokens": 40, "prompt_tokens": 40}}


@pytest.mark.parametrize(
    ("model", "target", "body"),
    [
        ("jina", "/v1/rerank", OPENAI_LIKE),
        ("voyage", "/v1/rerank", {"object": "list", "data": RANKED, "model": "m", "usage": {"total_tokens": 40}}),
        ("together", "/v1/rerank", {"object": "rerank", "id": "t", **OPENAI_LIKE}),
        ("infinity", "/v1/rerank", {"object": "rerank", "id": "i", "created": 1, **OPENAI_LIKE}),
        ("vllm", "/v1/rerank", {"id": "v", **OPENAI_LIKE, "usage": {"total_tokens": 40}}),
    ],
)
def test_servers_that_count_tokens(
    ranks: Worker, upstream: Upstream, model: str, target: str, body: dict[str, Any]
) -> None:
    upstream.script(Script(body=body))
    status, headers, got = ranks.call("/v1/rerank", {"model": model, **ASKED, "truncation": True})
    assert status == 200, got
    wire.same(V2RerankResponse, {key: value for key, value in json.loads(got).items() if key != "meta"})
    answer = V2RerankResponse.model_validate_json(got)
    assert [(found.index, found.relevance_score) for found in answer.results] == [(2, 0.9), (0, 0.25)]
    assert answer.id
    assert answer.meta is not None
    assert answer.meta.tokens is not None
    assert answer.meta.tokens.input_tokens == 40
    [sent] = upstream.requests
    limit = {"top_k": 2} if model == "voyage" else {"top_n": 2}
    asked = {"query": "capital?", "documents": ["Oslo", "Rome", "Bern"], "truncation": True, **limit}
    assert sent.target == target
    assert sent.json == {"model": sent.json["model"], **asked}
    [line] = ranks.wait_events(1)
    assert (line["prompt_tokens"], line["cost"]) == (40, 400_000)
    assert headers["x-litellm-response-cost"] == "0.000400000"


def test_tei(ranks: Worker, upstream: Upstream) -> None:
    scores = [{"index": 0, "score": 0.25}, {"index": 1, "score": 0.1}, {"index": 2, "score": 0.9}]
    upstream.script(Script(body=json.dumps(scores).encode()))
    asked = {"model": "tei", **ASKED, "return_documents": True, "truncate": True}
    status, headers, got = ranks.call("/rerank", asked)
    assert status == 200, got
    assert json.loads(got)["results"] == [
        {"index": 2, "relevance_score": 0.9, "document": {"text": "Bern"}},
        {"index": 0, "relevance_score": 0.25, "document": {"text": "Oslo"}},
    ]
    [sent] = upstream.requests
    assert sent.target == "/rerank"
    assert sent.json == {"query": "capital?", "texts": ["Oslo", "Rome", "Bern"], "truncate": True}
    [line] = ranks.wait_events(1)
    assert (line["prompt_tokens"], line["estimated"], line["cost"]) == (9, True, 90_000)
    assert headers["x-litellm-response-cost"] == "0.000090000"


@pytest.mark.parametrize(
    ("model", "extra", "param"),
    [
        ("jina", {"max_tokens_per_doc": 5}, "max_tokens_per_doc"),
        ("tei", {"max_tokens_per_doc": 5}, "max_tokens_per_doc"),
        ("tei", {"max_chunks_per_doc": 5}, "max_chunks_per_doc"),
        ("cohere", {"max_chunks_per_doc": 5}, "max_chunks_per_doc"),
        ("jina", {"documents": []}, "documents"),
        ("jina", {"top_n": 0}, "top_n"),
        ("jina", {"query": 5}, "query"),
        ("jina", {"documents": "text"}, "documents"),
        ("claude", {}, "model"),
        ("mocked", {}, "model"),
        ("jina", {"api_base": "http://elsewhere"}, "api_base"),
    ],
)
def test_what_is_refused(ranks: Worker, upstream: Upstream, model: str, extra: dict[str, Any], param: str) -> None:
    status, _, got = ranks.call("/rerank", {"model": model, **ASKED, **extra})
    answer = json.loads(got)
    assert (status, answer["error"]["param"]) == (400, param)
    assert answer["message"] == answer["error"]["message"]
    assert upstream.requests == []


def test_what_is_left_out(ranks: Worker, upstream: Upstream) -> None:
    upstream.script(Script(body=OPENAI_LIKE), Script(body=COHERE))
    status, headers, _ = ranks.call("/rerank", {"model": "dropping", **ASKED, "max_tokens_per_doc": 5, "user": "me"})
    assert (status, headers["x-routeiq-dropped-params"]) == (200, "max_tokens_per_doc, user")
    assert upstream.requests[0].json == {"model": "jina-reranker-v2", **ASKED}
    status, headers, _ = ranks.call("/rerank", {"model": "without", **ASKED})
    assert (status, headers["x-routeiq-dropped-params"]) == (200, "top_n")
    assert "top_n" not in upstream.requests[1].json


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("jina", {"results": [{"index": 3, "relevance_score": 1.0}]}),
        ("jina", {"model": "m"}),
        ("voyage", {"data": "none"}),
        ("tei", {"error": "no"}),
    ],
)
def test_answers_that_are_none(ranks: Worker, upstream: Upstream, model: str, body: dict[str, Any]) -> None:
    upstream.always(Script(body=body))
    status, _, got = ranks.call("/rerank", {"model": model, **ASKED})
    assert (status, json.loads(got)["error"]["code"]) == (502, "invalid_upstream_answer")


def test_errors_of_the_provider(ranks: Worker, upstream: Upstream) -> None:
    upstream.script(Script(status=422, body={"detail": "too long"}), Script(status=413, body={"error": "Batch size"}))
    status, _, got = ranks.call("/v1/rerank", {"model": "jina", **ASKED})
    assert (status, json.loads(got)["message"]) == (422, "too long")
    status, _, got = ranks.call("/v1/rerank", {"model": "tei", **ASKED})
    assert (status, json.loads(got)["message"]) == (413, "Batch size")
