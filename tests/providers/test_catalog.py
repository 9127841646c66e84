"""The provider catalog."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from routeiq.config.address import parse_base
from routeiq.core.provider import ProviderSpec
from routeiq.core.snapshot import ENDPOINTS
from routeiq.providers.catalog import load_catalog

CATALOG = load_catalog()
SERVED = [spec for spec in CATALOG.values() if spec.served]


def test_it_holds_each_name_once_and_in_order() -> None:
    names = [entry["name"] for entry in json.loads(files("routeiq.providers").joinpath("catalog.json").read_text())]
    assert names == sorted(set(names))


def test_what_litellm_lists_is_served_or_named() -> None:
    assert len(CATALOG) > 170
    assert len(SERVED) > 100
    for name in (
        "openai",
        "azure",
        "groq",
        "together_ai",
        "hosted_vllm",
        "lm_studio",
        "llamafile",
        "openai_like",
        "demo",
    ):
        assert CATALOG[name].served
    for name in ("anthropic", "bedrock", "vertex_ai", "gemini"):
        assert not CATALOG[name].served


@pytest.mark.parametrize("spec", SERVED, ids=lambda spec: spec.name)
def test_every_provider_can_be_called(spec: ProviderSpec) -> None:
    if spec.base_url is not None and "{" not in spec.base_url:
        address = parse_base(spec.base_url)
        assert address.scheme == "https" or address.loopback
        assert not spec.base_url.endswith("/")
    assert set(spec.paths) <= set(ENDPOINTS)
    assert spec.auth in ("bearer", "api-key", "none")
    assert spec.key_env or not spec.key_required


def test_price_providers_exist() -> None:
    from genai_prices.data import providers

    assert {spec.price_provider for spec in SERVED} - {None} <= {provider.id for provider in providers}
