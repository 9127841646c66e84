"""Auto models, strategies that rank and what is known of models, compiled."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from config_helpers import ENVIRON, compile_text

from routeiq.control.build import build
from routeiq.core.routing import Choosing, Traits, Wishes
from routeiq.core.settings import Overrides

MODELS = """
model_list:
  - model_name: gpt-small
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-1}
  - model_name: llama
    litellm_params: {model: together_ai/meta-llama/Llama-3.1-70B-Instruct, api_key: sk-1}
    model_info: {supports_vision: false, supports_response_schema: true, max_input_tokens: 4096, region: eu}
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small, api_key: sk-1}
"""


def test_candidates_and_wishes() -> None:
    found = compile_text(
        MODELS
        + """
routeiq:
  auto_models:
    all: {}
    some: {models: ["gpt-*", llama], strategy: llmrouter-smallest, target_quality: 0.9, excluded: [x], latency: 500ms}
"""
    )
    assert not found.errors
    autos = found.snapshot.auto_models
    assert autos["all"].models == ("gpt-small", "llama")
    assert autos["all"].choosing == Choosing(strategy="llmrouter-nadirclaw-centroid")
    assert autos["all"].session_ttl == 1800
    assert autos["some"].models == ("gpt-small", "llama")
    assert autos["some"].wishes == Wishes(target_quality=0.9, excluded=("x",), latency=0.5)


def test_the_routers_strategy_is_that_of_auto_models_too() -> None:
    found = compile_text(
        MODELS
        + "router_settings: {routing_strategy: llmrouter-latency-sla, routing_strategy_args: {percentile: 50}}\n"
        + "routeiq: {auto_models: {auto: {}}}"
    )
    chosen = Choosing(strategy="llmrouter-latency-sla", args={"percentile": 50})
    assert found.snapshot.auto_models["auto"].choosing == chosen
    assert found.snapshot.groups["llama"].choosing is None, "there is but one deployment"


def test_strategies_within_others() -> None:
    found = compile_text(
        MODELS
        + "routeiq: {auto_models: {auto: {strategy: routeiq-pipeline, args: {strategies: "
        + "[llmrouter-smallest, {strategy: llmrouter-latency-sla, args: {percentile: 50}}]}}}}"
    )
    within = found.snapshot.auto_models["auto"].choosing.within
    assert within == (
        Choosing(strategy="llmrouter-smallest"),
        Choosing(strategy="llmrouter-latency-sla", args={"percentile": 50}),
    )


def test_what_is_known_of_models() -> None:
    found = compile_text(MODELS).snapshot.deployments
    assert found[0].traits == Traits(context_window=128_000)
    assert found[1].traits == Traits(
        context_window=4096,
        capabilities={"vision": False, "json": True, "schema": True},
        size=70.0,
        region="eu",
    )


@pytest.mark.parametrize(
    ("name", "size"), [("mixtral-8x7B", 56.0), ("qwen2.5-0.5b-instruct", 0.5), ("gpt-4", None), ("web-search", None)]
)
def test_sizes_in_names(name: str, size: float | None) -> None:
    model = f"model_list: [{{model_name: a, litellm_params: {{model: openai/{name}, api_key: sk-1}}}}]"
    assert compile_text(model).only.traits.size == size


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ("auto: {strategy: llmrouter-knnn}", "routeiq.auto_models.auto.strategy", "no routing strategy is called"),
        ("auto: {models: [nothing]}", "routeiq.auto_models.auto.models[0]", "no model is called nothing"),
        ("auto: {models: []}", "routeiq.auto_models.auto.models", "must name a model"),
        ("llama: {}", "routeiq.auto_models.llama", "a model of model_list is called llama too"),
        ("auto: {args: {a: 1}}", "routeiq.auto_models.auto.args", "needs strategy"),
        (
            "auto: {models: [llama, embed]}",
            "routeiq.auto_models.auto.models[1]",
            "embed does not chat, its mode is embedding",
        ),
        ("auto: {residency: true}", "routeiq.auto_models.auto.residency", "needs region"),
        (
            "auto: {strategy: routeiq-ensemble, args: {strategies: [llmrouter-smallest, llmrouter-automix]}}",
            "routeiq.auto_models.auto.args.strategies[1]",
            "llmrouter-automix asks models itself",
        ),
        ("auto: {target_quality: 2}", "routeiq.auto_models.auto.target_quality", ""),
        (
            "auto: {strategy: routeiq-ensemble, args: {strategies: [{args: {}}]}}",
            "routeiq.auto_models.auto.args.strategies[0]",
            "must name a strategy",
        ),
        (
            "auto: {strategy: routeiq-ensemble, args: {strategies: 5}}",
            "routeiq.auto_models.auto.args.strategies",
            "must be a list of strategies",
        ),
        (
            "auto: {strategy: llmrouter-cost-cascade, args: {max_rungs: 100000000000000000000}}",
            "routeiq.auto_models.auto.args.max_rungs",
            "can't be given to workers",
        ),
    ],
)
def test_mistakes(settings: str, path: str, message: str) -> None:
    found = compile_text(f"{MODELS}\nrouteiq: {{auto_models: {{{settings}}}}}")
    assert message in found.error(path).message


@pytest.mark.parametrize(
    "address", ["http://h:99999/metrics", "http://[::1/metrics", "http://h/a\\r\\nb: c", "ftp://h"]
)
def test_addresses_of_engines(address: str) -> None:
    model = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/gpt-4o, api_key: k}\n"
    found = compile_text(f'{model}    model_info: {{engine_metrics_url: "{address}"}}\n')
    assert "engine_metrics_url" in found.error("model_list[0].model_info").message


@pytest.mark.parametrize("said", ["max_input_tokens: -1", "max_tokens: 0", "max_input_tokens: many"])
def test_windows_are_numbers_of_tokens(said: str) -> None:
    model = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/gpt-4o, api_key: k}\n"
    found = compile_text(f"{model}    model_info: {{{said}}}\n")
    path = f"model_list[0].model_info.{said.partition(':')[0]}"
    assert found.error(path).message == "must be a whole number of tokens, 1 or more"


def test_strategies_that_play_need_an_auto_model() -> None:
    found = compile_text(MODELS + "router_settings: {routing_strategy: llmrouter-r1}")
    assert "needs an auto model" in found.error("router_settings.routing_strategy").message
    found = compile_text(
        MODELS + "router_settings: {routing_strategy: llmrouter-r1}\nrouteiq: {auto_models: {auto: {}}}"
    )
    assert not found.errors
    assert found.snapshot.auto_models["auto"].choosing.strategy == "llmrouter-r1"
    assert found.snapshot.groups["llama"].strategy == "simple-shuffle"


def test_arguments_are_tried_before_anything_is_served(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        MODELS + "routeiq: {auto_models: {auto: {strategy: llmrouter-latency-sla, args: {percentile: high}}}}"
    )
    now = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    result = build([str(file)], ENVIRON, Overrides(), now=now, cpus=1)
    assert not result.ok
    (error,) = result.errors
    assert (error.path, error.message) == ("routeiq.auto_models.auto.args", "percentile must be a number")


def test_names_that_lead_to_auto_models() -> None:
    found = compile_text(
        MODELS + "router_settings: {model_group_alias: {gpt-4: auto}}\nrouteiq: {auto_models: {auto: {}}, "
        "keys: [{name: a, key: sk-a-key-of-a-client, models: [auto]}]}"
    )
    assert not found.errors
    assert not [warning for warning in found.warnings if "auto" in warning.message]
    assert found.snapshot.aliases == {"gpt-4": "auto"}
    found = compile_text(
        MODELS + "router_settings: {fallbacks: [{llama: [auto]}]}\n"
        "routeiq: {auto_models: {auto: {}, other: {models: [auto]}}}"
    )
    assert "can't be one" in found.error("router_settings.fallbacks[0].llama[0]").message
    assert "can't be a candidate" in found.error("routeiq.auto_models.other.models[0]").message
