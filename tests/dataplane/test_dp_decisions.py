"""Decisions over a whole gateway: explained before, kept after, seen by those they belong to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from routeiq.control.otlp import collector_of
from support.gateway import MASTER_KEY, Gateway, config_for, deployment
from support.upstream import Upstream

KEYS = [{"name": "one", "key": "sk-one"}, {"name": "two", "key": "sk-two", "models": ["model-8b"]}]


class Collector(ThreadingHTTPServer):
    """An OpenTelemetry collector; the first request it refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Collecting)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []


class Collecting(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(503 if len(self.server.requests) == 1 else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def gateway(provider: Upstream, collector: Collector) -> Iterator[Gateway]:
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    models = [deployment(provider, name) for name in ("model-8b", "model-70b")]
    for entry in models:
        entry["model_info"] = prices
    own = {"auto_models": {"auto": {"strategy": "llmrouter-largest"}}, "keys": KEYS}
    config = {**config_for(provider, routeiq=own), "model_list": models}
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}/otlp/",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=one%20two",
        "OTEL_SERVICE_NAME": "gateway",
    }
    with Gateway(config, workers=2, env=env) as running:
        yield running


@pytest.fixture(autouse=True)
def obedient(upstream: Upstream) -> None:
    """The provider forgets what other tests have told it."""


def decision(gateway: Gateway, id: str, key: str = MASTER_KEY) -> tuple[int, Any]:
    """As soon as it is there, or what is said after two seconds."""
    end = time.monotonic() + (20 if key == MASTER_KEY else 2)
    while True:
        status, _, body = gateway.call(f"/v1/routing/decisions/{id}", key=key)
        if status == 200 or time.monotonic() > end:
            return status, json.loads(body)
        time.sleep(0.1)


def chat(gateway: Gateway, key: str) -> dict[str, str]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "a secret question"}], "max_tokens": 5}
    status, head, answer = gateway.call("/v1/chat/completions", body, key=key)
    assert status == 200, answer
    return head


def test_a_decision_is_kept_with_its_outcome(gateway: Gateway) -> None:
    head = chat(gateway, "sk-one")
    status, found = decision(gateway, head["x-routeiq-decision-id"])
    assert status == 200
    assert (found["model"], found["selected"], found["strategy"]) == ("auto", "model-70b", "llmrouter-largest")
    assert [(one["model"], one["rank"]) for one in found["candidates"]] == [("model-8b", 2), ("model-70b", 1)]
    outcome = found["outcome"]
    assert (outcome["status"], outcome["model"], outcome["completion_tokens"]) == (200, "model-70b", 5)
    assert outcome["cost"] == pytest.approx(outcome["prompt_tokens"] * 1e-6 + 5 * 2e-6)
    assert "secret question" not in json.dumps(found)
    told = found["telemetry"]
    assert (told["contract_name"], told["contract_version"]) == ("routeiq.router_decision.v1", "v1")
    assert told["selected_deployment"] == head["x-routeiq-deployment"]
    assert told["outcome"] == {
        "status": "success",
        "error_message": "",
        "error_type": "",
        "input_tokens": outcome["prompt_tokens"],
        "output_tokens": 5,
        "total_tokens": outcome["prompt_tokens"] + 5,
        "api_type": "chat_completion",
    }
    assert told["input"]["query_length"] == len("a secret question")
    assert told["timings"]["total_ms"] > 0


def test_a_collector_is_told(gateway: Gateway, collector: Collector) -> None:
    def told(ident: str) -> tuple[Any, str, str, dict[str, str]] | None:
        for path, headers, body in list(collector.requests):
            request = Parse(body, ExportTraceServiceRequest())
            for span in request.resource_spans[0].scope_spans[0].spans:
                (event,) = span.events
                payload = json.loads(event.attributes[0].value.string_value)
                if payload["span_id"] == ident and collector.requests[0][2] != body:
                    assert request.resource_spans[0].resource.attributes[0].value.string_value == "gateway"
                    assert event.name == "routeiq.router_decision.v1"
                    assert event.attributes[0].key == "routeiq.router_decision.payload"
                    return span, payload, path, headers
        return None

    end, found = time.monotonic() + 20, None
    while found is None and time.monotonic() < end:
        ident = chat(gateway, "sk-one")["x-routeiq-decision-id"]
        until = time.monotonic() + 4
        while found is None and time.monotonic() < until:
            time.sleep(0.1)
            found = told(ident)
    assert found is not None, "what the collector refuses is lost, what comes then is not"
    span, payload, path, headers = found
    assert (path, headers["x-tenant"], headers["content-type"]) == ("/otlp/v1/traces", "one two", "application/json")
    assert payload == decision(gateway, ident)[1]["telemetry"]
    said = {one.key: one.value for one in span.attributes}
    assert said["router.strategy"].string_value == "llmrouter-largest"
    assert said["router.model_selected"].string_value == "model-70b"
    assert said["router.candidates_evaluated"].int_value == 2
    assert said["gen_ai.usage.output_tokens"].int_value == 5
    assert span.end_time_unix_nano > span.start_time_unix_nano > 0
    assert span.status.code == 1
    assert "secret question" not in str([body for _, _, body in collector.requests])


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://h:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT must be an http://"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_HEADERS": "key"},
            "OTEL_EXPORTER_OTLP_HEADERS must be",
        ),
    ],
)
def test_no_collector(environ: dict[str, str], problem: str) -> None:
    assert collector_of({}) is None
    with pytest.raises(ValueError, match=problem):
        collector_of(environ)


def test_decisions_are_seen_by_those_they_belong_to(gateway: Gateway) -> None:
    ident = chat(gateway, "sk-one")["x-routeiq-decision-id"]
    assert decision(gateway, ident)[0] == 200
    assert decision(gateway, ident, "sk-one")[0] == 200
    assert decision(gateway, ident, "sk-two")[0] == 404
    theirs = chat(gateway, "sk-two")["x-routeiq-decision-id"]
    shown = {key: decision(gateway, theirs, key)[1]["candidates"] for key in (MASTER_KEY, "sk-two")}
    assert {key: {one["model"]: one.get("removed") for one in all_} for key, all_ in shown.items()} == {
        "sk-two": {"model-8b": None}, MASTER_KEY: {"model-8b": None, "model-70b": "not_allowed"},
    }  # fmt: skip
    ident = chat(gateway, "sk-one")["x-routeiq-decision-id"]
    assert decision(gateway, ident)[0] == 200
    listed = json.loads(gateway.call("/v1/routing/decisions?model=auto&limit=1")[2])
    assert [one["id"] for one in listed["data"]] == [ident]
    assert [one["id"] for one in json.loads(gateway.call("/v1/routing/decisions", key="sk-two")[2])["data"]] == [theirs]
    older = json.loads(gateway.call(f"/v1/routing/decisions?before={listed['next']}")[2])["data"]
    assert ident not in [one["id"] for one in older]


def test_explaining_asks_nobody(gateway: Gateway, provider: Upstream) -> None:
    before = len(provider.requests)
    status, _, body = gateway.call("/v1/routing/explain", {"model": "auto", "prompt": "Hello"}, key="sk-two")
    found = json.loads(body)
    assert (status, found["selected"]) == (200, "model-8b")
    assert [one["model"] for one in found["candidates"]] == ["model-8b"]
    plain = json.loads(gateway.call("/v1/routing/explain", {"model": "model-8b", "prompt": "Hello"})[2])
    assert plain["reason"] == "the only deployment"
    assert len(provider.requests) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 400, "invalid_json"),
        ({"model": "auto", "prompt": 5}, 400, "invalid_value"),
        ({"model": "nothing", "prompt": "Hello"}, 404, "model_not_found"),
        ({"model": "auto"}, 400, "missing_required_parameter"),
    ],
)
def test_bad_questions(gateway: Gateway, body: Any, status: int, code: str) -> None:
    found, _, answer = gateway.call("/v1/routing/explain", body)
    assert (found, json.loads(answer)["error"]["code"]) == (status, code)
    assert gateway.call("/v1/routing/explain", body, key="sk-nobody")[0] == 401


def test_the_command_shows_the_ranking(gateway: Gateway) -> None:
    shown = gateway.cli("route", "Hello", "--key", MASTER_KEY)
    assert shown.startswith("model-70b  by llmrouter-largest")
    found = json.loads(gateway.cli("route", "Hello", "--key", MASTER_KEY, "--max-cost", "0", "--json"))
    assert found["reason"].startswith("all cost more than max_cost")
    with pytest.raises(RuntimeError, match="No api key passed in"):
        gateway.cli("route", "Hello")
    with pytest.raises(RuntimeError, match="no http://"):
        gateway.cli("route", "Hello", "--url", "ftp://x")
