"""The provider catalog."""

from __future__ import annotations

import json
import re
import string
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.config.address import parse_base
from routeiq.core.provider import AUTH, CAPABILITIES, DIALECTS, ProviderSpec, Variant, resolve
from routeiq.providers.catalog import load_catalog

CATALOG = load_catalog()
SERVED = [spec for spec in CATALOG.values() if spec.served]
WAYS = [
    (f"{spec.name}/{variant.match}" if variant else spec.name, resolve(spec, variant.match if variant else "m")[0])
    for spec in SERVED
    for variant in (None, *spec.variants)
]
"""Every provider and every variant of it."""

OPERATIONS = {
    "openai": {"chat", "chat_stream", "completion", "embedding", "responses", "rerank", "messages"},
    "anthropic": {"messages", "messages_stream", "count_tokens"},
    "gemini": {"generate", "generate_stream", "count", "embed", "embed_batch", "predict"},
    "bedrock": {"converse", "converse_stream", "invoke", "converse_count"},
    "cohere": {"cohere_chat", "cohere_embed", "rerank"},
    "ollama": {"ollama_chat", "ollama_embed"},
    "replicate": {"predictions"},
    "watsonx": {"watsonx_chat", "watsonx_chat_stream", "watsonx_embed"},
    "tei": {"tei_embed", "tei_rerank"},
    "sagemaker": {"invoke", "invoke_stream"},
    "sagemaker_text": {"invoke", "invoke_stream"},
    "litellm": set(),
    "demo": {"chat", "embedding"},
}
QUIRKS: dict[str, type | tuple[object, ...]] = {
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
    "reasoning_field": ("reasoning", "reasoning_content"),
    "dimensions_field": str,
    "drop": list,
    "no_json_schema": bool,
    "no_stream_usage": bool,
    "random_seed": bool,
    "tool_choice_any": bool,
    "rerank_top_k": bool,
    "anthropic_version": ("vertex-2023-10-16", "bedrock-2023-05-31"),
    "no_model": bool,
    "unversioned": bool,
    "no_stream": bool,
    "framing": ("eventstream",),
    "prefix": ("flag", "template", "plain"),
    "text_tools": bool,
}
"""Every quirk there is, with its type or its values."""


def test_it_holds_each_name_once_and_in_order() -> None:
    names = [entry["name"] for entry in json.loads(files("routeiq.providers").joinpath("catalog.json").read_text())]
    assert names == sorted(set(names))


def test_what_litellm_lists_is_served_or_has_a_reason_not_to_be() -> None:
    assert len(CATALOG) >= 180
    assert len(SERVED) >= 147
    assert all(bool(spec.reason) != spec.served for spec in CATALOG.values())


@pytest.mark.parametrize("name", ["chatgpt", "github_copilot"])
def test_what_starts_a_login_when_it_is_resolved_is_not_served(name: str) -> None:
    assert not CATALOG[name].served


@pytest.mark.parametrize(
    ("name", "dialect", "auth"),
    [
        ("openai", "openai", "bearer"),
        ("azure", "openai", "api-key"),
        ("anthropic", "anthropic", "x-api-key"),
        ("gemini", "gemini", "x-goog-api-key"),
        ("vertex_ai", "gemini", "google"),
        ("bedrock", "bedrock", "aws"),
        ("cohere", "cohere", "bearer"),
        ("ollama", "ollama", "bearer"),
        ("replicate", "replicate", "bearer"),
        ("watsonx", "watsonx", "watsonx"),
        ("databricks", "openai", "databricks"),
        ("sagemaker", "sagemaker_text", "aws"),
        ("sagemaker_chat", "sagemaker", "aws"),
        ("tei", "tei", "bearer"),
        ("oci", "litellm", "none"),
    ],
)
def test_native_providers_speak_their_own_language(name: str, dialect: str, auth: str) -> None:
    assert (CATALOG[name].served, CATALOG[name].dialect, CATALOG[name].auth) == (True, dialect, auth)


@pytest.mark.parametrize("spec", SERVED, ids=lambda spec: spec.name)
def test_every_provider_has_an_address_and_a_key(spec: ProviderSpec) -> None:
    if spec.base_url is not None:
        assert not spec.base_url.endswith("/")
        if not spec.base_url.startswith("{"):
            address = parse_base(spec.base_url.replace("{", "").replace("}", ""))
            assert address.scheme == "https" or address.loopback
    assert spec.base_url or spec.base_env or spec.dialect in ("demo", "litellm") or not spec.key_required
    assert spec.key_env or not spec.key_required


@pytest.mark.parametrize(("way", "spec"), WAYS, ids=[way for way, _ in WAYS])
def test_every_way_of_calling_uses_words_that_others_know(way: str, spec: ProviderSpec) -> None:
    assert spec.dialect in DIALECTS
    assert spec.auth in AUTH
    assert set(spec.paths) <= OPERATIONS[spec.dialect]
    assert bool(spec.paths) == (spec.dialect != "litellm")
    for path in spec.paths.values():
        names = {name for _, name, _, _ in string.Formatter().parse(path) if name}
        assert names <= {"model", "path", "version"}
        assert path.startswith("/") or spec.dialect == "demo"
        assert "{version}" not in path or spec.default_version
    assert set(spec.capabilities) <= set(CAPABILITIES)
    assert list(spec.capabilities) == sorted(set(spec.capabilities), key=CAPABILITIES.index)
    assert spec.capabilities
    for name, value in spec.quirks.items():
        allowed = QUIRKS[name]
        assert value in allowed if isinstance(allowed, tuple) else isinstance(value, allowed)


@pytest.mark.parametrize("spec", SERVED, ids=lambda spec: spec.name)
def test_capabilities_follow_from_paths(spec: ProviderSpec) -> None:
    if spec.dialect == "openai":
        assert ("responses" in spec.paths) <= ("responses" in spec.capabilities)
        assert ("rerank" in spec.paths) == ("rerank" in spec.capabilities)
        assert ("chat" in spec.capabilities) == ("chat" in spec.paths)


def test_price_providers_exist() -> None:
    from genai_prices.data import providers

    assert {spec.price_provider for spec in SERVED} - {None} <= {provider.id for provider in providers}


def test_a_plain_provider_costs_one_row() -> None:
    row = b'[{"name": "new", "base_url": "https://api.new.example/v1", "key_env": ["NEW_API_KEY"]}]'
    (spec,) = msgspec.json.decode(row, type=list[ProviderSpec])
    assert resolve(spec, "m") == (spec, "m")
    assert (spec.served, spec.dialect, spec.auth) == (True, "openai", "bearer")
    assert set(spec.paths) == {"chat", "completion", "embedding"}


@pytest.mark.parametrize(
    ("name", "model", "dialect", "operation", "path", "left"),
    [
        ("vertex_ai", "gemini-2.5-pro", "gemini", "generate", "google/models/{model}:generateContent", None),
        ("vertex_ai", "claude-sonnet-4-5@20250929", "anthropic", "messages", "models/{model}:rawPredict", None),
        ("vertex_ai", "claude-opus-4", "anthropic", "messages_stream", "models/{model}:streamRawPredict", None),
        ("vertex_ai", "meta/llama-4-maas", "openai", "chat", "/endpoints/openapi/chat/completions", None),
        ("vertex_ai", "mistral-small-2503@001", "openai", "chat", "mistralai/models/{model}:rawPredict", None),
        ("vertex_ai", "codestral-2", "openai", "chat_stream", "mistralai/models/{model}:streamRawPredict", None),
        ("vertex_ai", "jamba-1.5-mini@001", "openai", "chat", "ai21/models/{model}:rawPredict", None),
        ("vertex_ai", "text-embedding-005", "gemini", "predict", "google/models/{model}:predict", None),
        ("bedrock", "anthropic.claude-3-haiku-v1:0", "bedrock", "converse", "/model/{model}/converse", None),
        ("bedrock", "converse/amazon.nova-pro-v1:0", "bedrock", "converse", "/converse", "amazon.nova-pro-v1:0"),
        ("bedrock", "invoke/us.anthropic.claude-x", "anthropic", "messages", "/invoke", "us.anthropic.claude-x"),
        ("bedrock", "invoke/meta.llama3", "bedrock", "converse", "/model/{model}/converse", "meta.llama3"),
        ("azure_ai", "Mistral-large", "openai", "chat", "/models/chat/completions?api-version={version}", None),
        ("azure_ai", "claude-sonnet-4-5", "anthropic", "messages", "/anthropic/v1/messages", None),
        ("replicate", "deployments/me/mine", "replicate", "predictions", "/deployments/{path}/predictions", "me/mine"),
        ("watsonx", "deployment/abc", "watsonx", "watsonx_chat", "{model}/text/chat?version={version}", "abc"),
    ],
)
def test_variants(name: str, model: str, dialect: str, operation: str, path: str, left: str | None) -> None:
    spec, wire = resolve(CATALOG[name], model)
    assert (spec.name, spec.dialect, spec.variants) == (name, dialect, ())
    assert spec.paths[operation].endswith(path)
    assert wire == (model if left is None else left)


def test_claude_in_foundry_takes_its_own_header_and_the_rest_does_not() -> None:
    assert resolve(CATALOG["azure_ai"], "claude-x")[0].headers == {"anthropic-version": "2023-06-01"}
    assert resolve(CATALOG["azure_ai"], "gpt-x")[0].headers == {}


@given(st.text(max_size=30), st.text(max_size=5), st.text(max_size=5))
def test_resolving_twice_changes_nothing(model: str, match: str, strip: str) -> None:
    spec = ProviderSpec(name="x", variants=(Variant(match=match, strip=strip, dialect="anthropic"),))
    resolved, wire = resolve(spec, model)
    assert resolve(resolved, wire) == (resolved, wire)
    assert model.endswith(wire)


def page(heading: str) -> list[list[str]]:
    """Rows of the table under a heading of docs/providers.md."""
    text = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [re.split(r" *\| *", line)[1:-1] for line in section.splitlines() if line.startswith("| `")]


def test_the_page_lists_what_is_served() -> None:
    expected = []
    for spec in SERVED:
        base = f"`{spec.base_url}`" if spec.base_url else "-" if spec.dialect in ("litellm", "demo") else "`api_base`"
        keys = ", ".join(f"`{name}`" for name in spec.key_env) or "-"
        expected.append([f"`{spec.name}`", spec.dialect, base, keys, ", ".join(spec.capabilities)])
    assert page("Served") == expected


def test_the_page_says_why_others_are_not_served() -> None:
    assert page("Not served") == [[f"`{spec.name}`", spec.reason] for spec in CATALOG.values() if not spec.served]


def test_the_page_lists_variants() -> None:
    found = [row[:2] for row in page("Models that are called in another way")]
    variants = ((spec, variant) for spec in SERVED for variant in spec.variants)
    assert found == [[f"`{spec.name}/{variant.match}`", variant.dialect or spec.dialect] for spec, variant in variants]


def test_the_page_explains_every_quirk_and_who_has_it() -> None:
    having: dict[str, list[str]] = {name: [] for name in QUIRKS}
    for spec in SERVED:
        ways = [(spec.name, spec.quirks), *((f"{spec.name}/{v.match}", v.quirks or {}) for v in spec.variants)]
        for way, quirks in ways:
            for name in quirks:
                having[name].append(f"`{way}`")
    found = {row[0].strip("`"): row[2] for row in page("Quirks")}
    assert found == {name: ", ".join(ways) for name, ways in having.items()}
